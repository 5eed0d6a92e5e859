"""Rows of different lengths in one flat column: where the elements of chosen rows are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


def begins_of(sizes: I64) -> I64:
    """Return where each row begins, rows of `sizes` standing one after the other.

    >>> begins_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2]
    """
    return np.cumsum(sizes) - sizes


def elements_of(begins: I64, sizes: I64) -> I64:
    """Return where the elements of rows are, row by row.

    >>> elements_of(np.array([7, 0]), np.array([2, 3])).tolist()
    [7, 8, 0, 1, 2]
    """
    places = np.repeat(begins - begins_of(sizes), sizes)
    places += np.arange(len(places))
    return places
