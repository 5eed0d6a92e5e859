"""A record's decayed sums: for each vectors of the layout

u1 present; an absent one ends here
i8 reference time in microseconds
f8 weight x half-lives
f8 largest component x half-lives
i4 or i2 component in steps x half-lives x dimensions    see steps.py

A component is `largest * steps / 2147483647`, or `/ 32767` for i2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import need
from user_state.codec.cut import Cut
from user_state.codec.optional_parts import add_part, cut_part
from user_state.codec.steps import from_steps, to_steps
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.layout import Layout
from user_state.core.vectors import DecayedSums

LARGEST_WEIGHT = 1e30
"""More than any number of events can weigh, and small enough that nothing made of it overflows."""
ROUNDED = 1.01
"""Leaves room for what rounding adds over thousands of folds."""


def unpack_vectors(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> tuple[DecayedSums, ...]:
    """Return the decayed sums of n records."""
    cut = Cut(blobs, "vectors")
    parts = []
    for held in layout.vectors:
        half_lives, dimensions, size = held.half_lives, held.dimensions, held.component_bytes
        columns = (("<i8", 1), ("<f8", half_lives), ("<f8", half_lives), (f"<i{size}", half_lives * dimensions))
        users, (times, weights, scales, steps) = cut_part(cut, columns, "vectors")
        part = DecayedSums.empty(len(blobs), half_lives, dimensions)
        part.time_us[users] = times
        part.weight[users] = weights.reshape(-1, half_lives)
        largest = scales.reshape(-1, half_lives, 1)
        need(bool((largest >= 0).all()), "vectors have components out of range")
        part.sums[users] = from_steps(largest, steps.reshape(-1, half_lives, dimensions), size)
        need(bool((part.time_us[users] > 0).all()), "vectors have no reference time")
        weight = part.weight
        need(bool(((weight >= 0) & (weight <= LARGEST_WEIGHT)).all()), "vectors have weights out of range")
        # A sum of vectors of length one is no longer than the sum of their weights; this also tells NaN and infinity.
        possible = np.abs(part.sums) <= ROUNDED * weight[:, :, None]
        need(bool(possible.all()), "vectors are longer than their weights")
        parts.append(part)
    cut.end()
    return tuple(parts)


def pack_vectors(vectors: Sequence[DecayedSums], layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed decayed sums."""
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for held, part in zip(layout.vectors, vectors, strict=True):
        half_lives, size = held.half_lives, held.component_bytes
        seeds = part.weight.view(np.uint64) ^ part.time_us.view(np.uint64)[:, None]
        largest, steps = to_steps(part.sums, seeds, size)
        columns = (
            (part.time_us.astype("<i8").tobytes(), 8),
            (part.weight.astype("<f8").tobytes(), 8 * half_lives),
            (largest.astype("<f8").tobytes(), 8 * half_lives),
            (steps.tobytes(), size * half_lives * held.dimensions),
        )
        add_part(parts, (part.time_us > 0).tolist(), columns)
    return [b"".join(part) for part in parts]
