"""A user folded into a factorisation of implicit feedback whose item factors stand still (iALS).

    p = (alpha0 G + sum of |s_i| z_i z_i^T + lambda I)^-1  sum of max(s_i, 0) z_i         G = sum of z z^T of all items

s_i are the shares of `composing.py`: a weight is how much an event is to be trusted, decayed up to the user's newest
event, so the reading time plays no part. A negative weight is trusted as much to say that the user does not want the
item. z . p scores items.

With W a root of the inverse, W W^T = (alpha0 G + lambda I)^-1, which is the same for all users of a version of the
table, Z the events' z_i as rows, Y = Z W, T the |s_i| and q the max(s_i, 0), the same is

    p = W Y^T (I + T Y Y^T)^-1 q

with as many unknowns as the user has events: used where these are few beside the dimensions.

Sources: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008, equation 4; Rendle,
Krichene, Zhang, Koren, "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022, equation 3
(alpha0 for what was not observed). The two forms are the Woodbury identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from user_state.embeddings.composing import Composing
from user_state.embeddings.item_vectors import F32
from user_state.embeddings.small_solves import solve_each
from user_state.plan.outputs import FoldInOutput
from user_state.state.events import F64
from user_state.state.log_rows import older_rows

USERS_AT_ONCE = 32
"""As many as stay in a processor's cache."""
FEW = 0.5
"""Share of the dimensions up to which events are few."""
ALONE = 2**18
"""Multiplications that BLAS does by one thread; more it parts among all, which costs more than it saves here."""


@dataclass
class Ridge:
    """alpha0 G + lambda I of the version of a table that was read last; a plan keeps one for each of its settings.

    Threads may share it: what belongs together is exchanged together.
    """

    held: tuple[F64, F64, F64] | None = None

    def of(self, gram: F64, output: FoldInOutput) -> tuple[F64, F64]:
        """Return (dimensions, dimensions) of the ridge and of W."""
        held = self.held
        if held is None or (held[0] is not gram and not np.array_equal(held[0], gram)):
            ridge = output.alpha0 * gram + output.regularisation * np.eye(output.dimensions)
            lower = np.asarray(np.linalg.cholesky(ridge), np.float64)
            inverse = solve_each(lower[None], np.eye(output.dimensions)[None])[0]
            held = self.held = (gram, ridge, inverse.T)
        return held[1:]


def fold_in(part: Composing, output: FoldInOutput, prepared: Ridge) -> F32:
    """Return (n, dimensions) user factors; zeros for users without any event that takes part."""
    folded = np.zeros((part.users, output.dimensions), np.float32)
    heads = part.heads
    if len(heads) == 0:
        return folded
    shares = part.shares(output.half_life_us)
    ridge, root = prepared.of(part.gram.gram(), output)
    place = older_rows(part.user)
    bounds = np.append(heads, len(part.user))
    for begin in range(0, len(heads), USERS_AT_ONCE):
        few = bounds[begin : begin + USERS_AT_ONCE + 1]
        rows = slice(int(few[0]), int(few[-1]))
        dense = np.repeat(np.arange(len(few) - 1), np.diff(few))
        wide = int(np.diff(few).max())
        # A row of zeros stands for an event that a user does not have.
        vector = np.zeros((len(few) - 1, wide, output.dimensions))
        trust, wanted = np.zeros((2, len(few) - 1, wide, 1))
        trust[dense, place[rows], 0] = np.abs(shares[rows])
        wanted[dense, place[rows], 0] = np.maximum(shares[rows], 0)
        if wide <= FEW * output.dimensions:
            vector[dense, place[rows]] = _product(part.vector[rows], root)
            across = vector.transpose(0, 2, 1)
            solved = across @ solve_each(np.eye(wide) + (trust * vector) @ across, wanted)
            factors = _product(solved[:, :, 0], root.T)
        else:
            vector[dense, place[rows]] = part.vector[rows]
            across = vector.transpose(0, 2, 1)
            factors = solve_each(ridge + across @ (trust * vector), across @ wanted)[:, :, 0]
        folded[part.user[few[:-1]]] = factors
    return folded


def _product(rows: F64, square: F64) -> F64:
    """Return rows (m, d) times (d, d), some rows at a time."""
    count, dimensions = rows.shape
    at_once = max(ALONE // dimensions**2, 4)
    blocks = -(-count // at_once)
    padded = np.zeros((blocks * at_once, dimensions))
    padded[:count] = rows
    product: F64 = (padded.reshape(blocks, at_once, dimensions) @ square).reshape(-1, dimensions)
    return product[:count]
