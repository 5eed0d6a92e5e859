"""A record's profiles: for each profile of the layout

u1 present; an absent one ends here
i8 reference time in microseconds
bit mask of bins that hold something, ceil(bins/8) bytes, least significant bit first
f8 sum x half-lives x bins in the mask
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import need
from user_state.codec.cut import Cut
from user_state.codec.optional_parts import ABSENT, PRESENT, cut_part
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.layout import Layout, ProfileLayout
from user_state.core.profiles import DecayedBins

LARGEST = 2.0**62
"""No sum of shares of at most 1 an event can be larger."""


def unpack_profiles(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> tuple[DecayedBins, ...]:
    """Return the profiles of n records."""
    cut = Cut(blobs, "profiles")
    parts = tuple(_unpack(cut, profile) for profile in layout.profiles)
    cut.end()
    return parts


def _unpack(cut: Cut, profile: ProfileLayout) -> DecayedBins:
    """Return one profile of all users, which is what their sections have next."""
    width, every = -(-profile.bins // 8), len(cut.lengths)
    users, (time_us, masks) = cut_part(cut, (("<i8", 1), ("u1", width)), "profiles")
    unpacked = DecayedBins.empty(every, profile.half_lives, profile.bins)
    need(bool(((time_us > 0) & (time_us < 2**62)).all()), "profiles have no reference time")
    bits = np.unpackbits(masks.reshape(-1, width), axis=1, bitorder="little").astype(np.bool_)
    held = np.zeros(every, np.int64)
    held[users] = bits.sum(axis=1)
    numbers = cut.fixed("<f8", profile.half_lives * held)
    need(not bits[:, profile.bins :].any(), "profiles name a bin that the layout does not have")
    held_bins = np.broadcast_to(bits[:, None, : profile.bins], (len(users), profile.half_lives, profile.bins))
    sums = np.zeros(held_bins.shape)
    sums[held_bins] = numbers
    need(bool(((sums >= 0) & (sums < LARGEST)).all()), "profiles hold what is no sum of shares")
    need(np.array_equal((sums > 0).any(axis=1), bits[:, : profile.bins]), "profiles have bins that hold nothing")
    unpacked.time_us[users] = time_us
    unpacked.sums[users] = sums
    return unpacked


def pack_profiles(profiles: Sequence[DecayedBins], _layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed profiles."""
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for profile in profiles:
        held: npt.NDArray[np.bool_] = np.any(profile.sums > 0, axis=1)
        width = -(-held.shape[1] // 8)
        packed = np.packbits(held, axis=1, bitorder="little").tobytes()
        masks = [packed[begin : begin + width] for begin in range(0, len(packed), width)]
        times = profile.time_us.astype("<i8").tobytes()
        kept = np.broadcast_to(held[:, None], profile.sums.shape)
        numbers = profile.sums[kept].astype("<f8").tobytes()
        ends = (8 * np.cumsum(kept.sum(axis=(1, 2)))).tolist()
        begin = 0
        for user, (present, end) in enumerate(zip((profile.time_us > 0).tolist(), ends, strict=True)):
            if present:
                parts[user] += (PRESENT, times[8 * user : 8 * user + 8], masks[user], numbers[begin:end])
            else:
                parts[user].append(ABSENT)
            begin = end
    return [b"".join(part) for part in parts]
