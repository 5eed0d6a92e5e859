"""A record's decayed numbers: for each decay of the layout

u1 present; an absent one ends here
i8 reference time in microseconds
f8 sum x half-lives
"""

from __future__ import annotations

from collections.abc import Sequence

from user_state.codec.columns import need
from user_state.codec.cut import Cut
from user_state.codec.optional_parts import add_part, cut_part
from user_state.codec.strings import Dictionaries
from user_state.core.decays import DecayedNumbers
from user_state.core.events import I64
from user_state.core.layout import Layout


def unpack_decays(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> tuple[DecayedNumbers, ...]:
    """Return the decayed numbers of n records."""
    cut = Cut(blobs, "decays")
    parts = []
    for half_lives in (decay.half_lives for decay in layout.decays):
        users, (times, sums) = cut_part(cut, (("<i8", 1), ("<f8", half_lives)), "decays")
        part = DecayedNumbers.empty(len(blobs), half_lives)
        part.time_us[users] = times
        part.sums[users] = sums.reshape(-1, half_lives)
        need(bool(((part.time_us[users] > 0) & (part.time_us[users] < 2**62)).all()), "decays have no reference time")
        parts.append(part)
    cut.end()
    return tuple(parts)


def pack_decays(decays: Sequence[DecayedNumbers], _layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed decayed numbers."""
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for decay in decays:
        columns = (
            (decay.time_us.astype("<i8").tobytes(), 8),
            (decay.sums.astype("<f8").tobytes(), 8 * decay.sums.shape[1]),
        )
        add_part(parts, (decay.time_us > 0).tolist(), columns)
    return [b"".join(part) for part in parts]
