"""Many small systems of equations at once, each by one thread.

LAPACK gives a system of some hundred unknowns to all of BLAS's threads, which wait for each other by spinning: 250
systems of 128 unknowns took 26 s of processor time beside other work, and 0.1 s by one thread. Up to `ALONE` unknowns
it takes one thread. Larger systems are cut in two, and what is left of the second half once the first is solved for
(the Schur complement) is solved after it.
"""

from __future__ import annotations

import numpy as np

from user_state.state.events import F64

ALONE = 64


def solve_each(left: F64, right: F64) -> F64:
    """Return x (n, k, r) of left x = right.

    Args:
        left: (n, k, k), each positive definite, or that with its rows times numbers above 0, or triangular: no pivot
            is looked for across the cut.
        right: (n, k, r).

    >>> solve_each(np.array([[[2.0, 1.0], [1.0, 2.0]]]), np.array([[[3.0], [3.0]]])).tolist()
    [[[1.0], [1.0]]]
    """
    unknowns = left.shape[1]
    if unknowns <= ALONE:
        return np.asarray(np.linalg.solve(left, right), np.float64)
    cut = unknowns // 2
    below = left[:, cut:, :cut]
    solved = solve_each(left[:, :cut, :cut], np.concatenate((left[:, :cut, cut:], right[:, :cut]), axis=2))
    across, first = solved[:, :, : unknowns - cut], solved[:, :, unknowns - cut :]
    second = solve_each(left[:, cut:, cut:] - below @ across, right[:, cut:] - below @ first)
    return np.concatenate((first - across @ second, second), axis=1)
