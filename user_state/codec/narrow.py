"""Columns of whole numbers, each user's in as few bytes a number as their largest one needs.

A section says each of its columns' widths, in bytes a number: 1, 2, 4 or 8, or 0 for a column of zeros, which is left
out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from user_state.core.events import I64
from user_state.core.ragged import begins_of

U64 = npt.NDArray[np.uint64]
WIDTHS = (0, 1, 2, 4, 8)
LEAST_OF_WIDTH = np.array([1, 1 << 8, 1 << 16, 1 << 32], np.uint64)


def pack_narrow(values: npt.NDArray[np.int64] | U64, sizes: npt.NDArray[np.int64]) -> tuple[list[int], list[bytes]]:
    """Return (each user's width, each user's column).

    Args:
        values: (m,) none negative, users one after the other.
        sizes: (n,) how many of them each user has.
    """
    if len(sizes) == 1:
        greatest = int(values.max()) if len(values) else 0
        only = next(w for w in WIDTHS if greatest < 1 << 8 * w)
        return [only], [values.astype(f"<u{only}").tobytes() if only else b""]
    numbers = values.astype(np.uint64)
    largest = np.zeros(len(sizes), np.uint64)
    held = sizes > 0
    if held.any():
        largest[held] = np.maximum.reduceat(numbers, begins_of(sizes)[held])
    width = np.array(WIDTHS)[np.searchsorted(LEAST_OF_WIDTH, largest, side="right")]
    width_of_number = np.repeat(width, sizes)
    joined = {w: numbers[width_of_number == w].astype(f"<u{w}").tobytes() for w in WIDTHS[1:]}
    at = dict.fromkeys(WIDTHS, 0)
    widths = width.tolist()
    columns = []
    for w, size in zip(widths, sizes.tolist(), strict=True):
        begin = at[w]
        at[w] = end = begin + w * size
        columns.append(joined[w][begin:end] if w else b"")
    return widths, columns


def folded(numbers: I64) -> U64:
    """Return signed numbers as unsigned ones that are small where those are near 0: 0, -1, 1, -2 as 0, 1, 2, 3.

    >>> folded(np.array([0, -1, 1, -2])).tolist()
    [0, 1, 2, 3]
    """
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def unfolded(numbers: U64) -> I64:
    """Return the signed numbers that `folded` made unsigned.

    >>> unfolded(np.array([0, 1, 2, 3], np.uint64)).tolist()
    [0, -1, 1, -2]
    """
    half = (numbers >> np.uint64(1)).view(np.int64)
    return half ^ -(numbers & np.uint64(1)).astype(np.int64)
