"""Rows of different lengths in one flat column: where they begin, and where the elements of chosen ones are."""

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


def run_heads(key: I64) -> I64:
    """Return where runs of equal keys (m,) begin.

    >>> run_heads(np.array([3, 3, 1, 3])).tolist()
    [0, 2, 3]
    """
    changes = np.ones(len(key), np.bool_)
    changes[1:] = key[1:] != key[:-1]
    return changes.nonzero()[0]


def run_sizes(heads: I64, length: int) -> I64:
    """Return how long each run is of a column that is `length` long, given where they begin.

    >>> run_sizes(np.array([0, 2, 3]), 4).tolist()
    [2, 1, 1]
    """
    sizes = np.empty_like(heads)
    sizes[:-1] = heads[1:] - heads[:-1]
    sizes[-1:] = length - heads[-1:]
    return sizes
