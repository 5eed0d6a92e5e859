"""A user folded into a factorisation of implicit feedback whose item factors stand still (iALS).

    p = (alpha0 G + sum of |s_i| z_i z_i^T + lambda I)^-1  sum of max(s_i, 0) z_i         G = sum of z z^T of all items

s_i are the shares of `composing.py`: a weight is how much an event is to be trusted, decayed up to the user's newest
event, so the reading time plays no part. A negative weight is trusted as much to say that the user does not want the
item. z . p scores items.

Sources: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008, equation 4; Rendle,
Krichene, Zhang, Koren, "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022, equation 3
(alpha0 for what was not observed).
"""

from __future__ import annotations

import numpy as np

from user_state.core.composing import Composing
from user_state.core.item_vectors import F32
from user_state.core.logs import older_rows
from user_state.core.outputs import FoldInOutput

USERS_AT_ONCE = 256


def fold_in(part: Composing, output: FoldInOutput) -> F32:
    """Return (n, dimensions) user factors; zeros for users without any event that takes part."""
    folded = np.zeros((part.users, output.dimensions), np.float32)
    heads = part.heads
    if len(heads) == 0:
        return folded
    shares = part.shares(output.half_life_us)
    ridge = output.alpha0 * part.gram.gram() + output.regularisation * np.eye(output.dimensions)
    place = older_rows(part.user)
    bounds = np.append(heads, len(part.user))
    for begin in range(0, len(heads), USERS_AT_ONCE):
        few = bounds[begin : begin + USERS_AT_ONCE + 1]
        rows = slice(int(few[0]), int(few[-1]))
        dense = np.repeat(np.arange(len(few) - 1), np.diff(few))
        wide = int(np.diff(few).max())
        vector = np.zeros((len(few) - 1, wide, output.dimensions))
        trust, wanted = np.zeros((2, len(few) - 1, wide))
        vector[dense, place[rows]] = part.vector[rows]
        trust[dense, place[rows]] = np.abs(shares[rows])
        wanted[dense, place[rows]] = np.maximum(shares[rows], 0)
        left = ridge + vector.transpose(0, 2, 1) @ (trust[:, :, None] * vector)
        right = (wanted[:, None, :] @ vector)[:, 0, :, None]
        folded[part.user[few[:-1]]] = np.linalg.solve(left, right)[:, :, 0]
    return folded
