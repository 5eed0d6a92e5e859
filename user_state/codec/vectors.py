"""A record's decayed sums: for each vectors of the layout

u1 present; an absent one ends here
i8 reference time in microseconds
f8 weight x half-lives
f4 sum x half-lives x dimensions
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import column, need
from user_state.codec.optional_parts import add_part, cut_part, need_all_used
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.layout import Layout
from user_state.core.vectors import DecayedSums

LARGEST_WEIGHT = 1e30
"""More than any number of events can weigh, and small enough that nothing made of it overflows."""
ROUNDED = 1.01
"""Leaves room for what sums in single precision lose over thousands of folds."""

REST_UNITS = 65_536
REST_LIMIT = 32_767
"""One less than half a distance, so that a sum never lies as near to another f4."""


def unpack_vectors(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> tuple[DecayedSums, ...]:
    """Return the decayed sums of n records."""
    at_of = [0] * len(blobs)
    parts = []
    for half_lives, dimensions in ((v.half_lives, v.dimensions) for v in layout.vectors):
        components = half_lives * dimensions
        sizes = (8, 8 * half_lives, 4 * components, 2 * components)
        users, (times, weights, sums, rests) = cut_part(blobs, at_of, sizes, "vectors")
        part = DecayedSums.empty(len(blobs), half_lives, dimensions)
        part.time_us[users] = column(times, "<i8")
        part.weight[users] = column(weights, "<f8").reshape(-1, half_lives)
        part.sums[users] = _joined(column(sums, "<f4"), column(rests, "<i2")).reshape(-1, half_lives, dimensions)
        need(bool((part.time_us[users] > 0).all()), "vectors have no reference time")
        weight = part.weight
        need(bool(((weight >= 0) & (weight <= LARGEST_WEIGHT)).all()), "vectors have weights out of range")
        # A sum of vectors of length one is no longer than the sum of their weights; this also tells NaN and infinity.
        possible = np.abs(part.sums) <= ROUNDED * weight[:, :, None]
        need(bool(possible.all()), "vectors are longer than their weights")
        parts.append(part)
    need_all_used(blobs, at_of, "vectors")
    return tuple(parts)


def pack_vectors(vectors: Sequence[DecayedSums], _layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed decayed sums."""
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for part in vectors:
        half_lives, components = part.weight.shape[1], part.sums.shape[1] * part.sums.shape[2]
        rounded, rest = _split(part.sums)
        columns = (
            (part.time_us.astype("<i8").tobytes(), 8),
            (part.weight.astype("<f8").tobytes(), 8 * half_lives),
            (rounded.astype("<f4").tobytes(), 4 * components),
            (rest.astype("<i2").tobytes(), 2 * components),
        )
        add_part(parts, (part.time_us > 0).tolist(), columns)
    return [b"".join(part) for part in parts]


def _split(sums: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return (sums as f4, what that rounds away in units)."""
    rounded = sums.astype(np.float32)
    rest = np.rint((sums - rounded) / np.spacing(np.abs(rounded)).astype(np.float64) * REST_UNITS)
    return rounded, np.clip(rest, -REST_LIMIT, REST_LIMIT)


def _joined(rounded: npt.NDArray[np.float32], rest: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    # Bytes that are no sums may hold anything; the caller refuses what is not finite.
    with np.errstate(all="ignore"):
        distance = np.spacing(np.abs(rounded)).astype(np.float64)
        joined: npt.NDArray[np.float64] = rounded + rest * (distance / REST_UNITS)
    return joined
