"""Sorting rows by several columns of whole numbers, as one column where they fit one.

Sorting 64-bit numbers once is several times as fast as `np.lexsort`, which sorts once a column. Columns whose ranges
fit 63 bits together are packed, the first one on top; others are left to `np.lexsort`. Both are stable.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
BITS = 63


def order_of(columns: Sequence[I64]) -> I64:
    """Return the order (m,) of rows by the first column, equal ones by the second, and so on; stable.

    >>> order_of((np.array([1, 0, 1, 1]), np.array([5, 9, -5, 5]))).tolist()
    [1, 2, 0, 3]
    """
    if len(columns[0]) == 0:
        return np.empty(0, np.int64)
    packed = packed_columns(columns)
    if packed is None:
        return np.asarray(np.lexsort(tuple(columns[::-1])), np.int64)
    if bool((packed[1:] >= packed[:-1]).all()):
        return np.arange(len(packed))
    return np.argsort(packed, kind="stable")


def packed_columns(columns: Sequence[I64]) -> I64 | None:
    """Return one column (m,), m > 0, that orders as these do one after the other; None if they do not fit."""
    packed: I64 | None = None
    bits = 0
    for column in columns:
        least, greatest = int(column.min()), int(column.max())
        width = (greatest - least).bit_length()
        bits += width
        if bits > BITS:
            return None
        if width:
            packed = column - least if packed is None else packed << width | (column - least)
    return np.zeros(len(columns[0]), np.int64) if packed is None else packed


def runs_of(columns: Sequence[I64]) -> tuple[I64, I64]:
    """Return (where runs of equal rows begin, which run each row (m,) is in).

    >>> heads, run = runs_of([np.array([3, 3, 1, 1]), np.array([0, 0, 0, 1])])
    >>> heads.tolist(), run.tolist()
    ([0, 2, 3], [0, 0, 1, 2])
    """
    new = np.ones(len(columns[0]), np.bool_)
    if len(new):
        new[1:] = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new), np.cumsum(new) - 1
