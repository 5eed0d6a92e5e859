"""Windows that end at one time lie in each other: what lies in a shorter one lies in all longer ones.

So everything is counted once, in the shortest window that it lies in, and each window takes over what the next shorter
one has. This goes window by window, since numpy accumulates along an axis that is not the last one element by element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


def shortest_windows(starts_s: I64, second: I64) -> I64:
    """Return (m,) the shortest window that each second (m,) lies in, -1 for none.

    `starts_s` (windows,) ascends: the longest window first. They are few, so comparing with each is faster than
    searching.

    >>> shortest_windows(np.array([10, 20]), np.array([9, 10, 25])).tolist()
    [-1, 0, 1]
    """
    shortest = np.full(len(second), -1, np.int16)
    for start_s in starts_s.tolist():
        np.add(shortest, second >= start_s, out=shortest)
    return shortest.astype(np.int64)


def take_over(held: npt.NDArray[Any], join: np.ufunc = np.add) -> npt.NDArray[Any]:
    """Let each window have what all shorter ones have too, and return `held` (windows, ...), which is changed.

    Args:
        held: what lies in each window and in no shorter one, the longest window first.
        join: puts two parts of a window together.

    >>> take_over(np.array([[5, 0], [0, 2], [1, 1]])).tolist()
    [[6, 3], [1, 3], [1, 1]]
    """
    for window in range(len(held) - 2, -1, -1):
        join(held[window], held[window + 1], out=held[window])
    return held
