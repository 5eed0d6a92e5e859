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

from user_state.codec.columns import column, need
from user_state.codec.optional_parts import ABSENT, PRESENT, need_all_used
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.layout import Layout, ProfileLayout
from user_state.core.profiles import DecayedBins

LARGEST = 2.0**62
"""No sum of shares of at most 1 an event can be larger."""


def unpack_profiles(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> tuple[DecayedBins, ...]:
    """Return the profiles of n records."""
    at_of = [0] * len(blobs)
    parts = tuple(_unpack(blobs, at_of, profile) for profile in layout.profiles)
    need_all_used(blobs, at_of, "profiles")
    return parts


def _unpack(blobs: Sequence[bytes], at_of: list[int], profile: ProfileLayout) -> DecayedBins:
    """Return one profile of all users; moves `at_of`, where in each section it begins, on to behind it."""
    width = -(-profile.bins // 8)
    users: list[int] = []
    times, masks, numbers = [], [], []
    for user, blob in enumerate(blobs):
        at = at_of[user]
        mark = blob[at : at + 1]
        need(mark in (PRESENT, ABSENT), "profiles are cut off or marked neither present nor absent")
        at += 1
        if mark == PRESENT:
            users.append(user)
            times.append(blob[at : (at := at + 8)])
            masks.append(blob[at : (at := at + width)])
            held = int.from_bytes(masks[-1], "little").bit_count()
            numbers.append(blob[at : (at := at + 8 * held * profile.half_lives)])
            need(len(blob) >= at, "profiles are cut off")
        at_of[user] = at
    unpacked = DecayedBins.empty(len(blobs), profile.half_lives, profile.bins)
    time_us = column(times, "<i8")
    need(bool(((time_us > 0) & (time_us < 2**62)).all()), "profiles have no reference time")
    bits = np.unpackbits(column(masks, "u1").reshape(-1, width), axis=1, bitorder="little").astype(np.bool_)
    need(not bits[:, profile.bins :].any(), "profiles name a bin that the layout does not have")
    held_bins = np.broadcast_to(bits[:, None, : profile.bins], (len(users), profile.half_lives, profile.bins))
    sums = np.zeros(held_bins.shape)
    sums[held_bins] = column(numbers, "<f8")
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
