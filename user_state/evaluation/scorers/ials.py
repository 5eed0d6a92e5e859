"""iALS, trained anew every so often on what came before, and a fold-in of the user at the moment of asking.

    p_u = (alpha0 G + sum over the user's items of q q^T + lambda I)^-1 sum of q,   G = Q^T Q

The same formula with the roles exchanged trains Q. Between trainings Q stands still and the user is fresh.

Sources: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008; Rendle, Krichene,
Zhang, Koren, "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022 (equation 3, and the
scaling of lambda by (n_u + alpha0 items)^nu, nu = 1).
"""

from __future__ import annotations

import numpy as np

from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.histories import Histories
from user_state.evaluation.scorers.popularity import Popularity


class Ials:
    """Scores by p_u . q_j; by popularity until the first training."""

    def __init__(
        self,
        log: Interactions,
        *,
        factors: int = 64,
        every: int = 5_000,
        sweeps: int = 8,
        alpha0: float = 0.1,
        decay: float = 0.003,
        seed: int = 1,
    ) -> None:
        self._log = log
        self._every, self._sweeps, self._alpha0, self._decay = every, sweeps, alpha0, decay
        self._rng = np.random.default_rng(seed)
        self._factors = factors
        self._histories = Histories()
        self._popularity = Popularity(log)
        self._item_vectors: F64 | None = None
        self._gram = np.zeros((factors, factors))
        self._learnt = 0

    def learn(self, begin: int, end: int) -> None:
        """Remember who chose what, and train whenever `every` interactions have come since the last time."""
        self._popularity.learn(begin, end)
        for user, item in zip(self._log.user[begin:end].tolist(), self._log.item[begin:end].tolist(), strict=True):
            self._histories.add(user, item)
            self._learnt += 1
            if self._learnt % self._every == 0:
                self._train()

    def scores(self, user: int, at_us: int) -> F64:
        """Fold the user in and return the inner products."""
        chosen = self._histories.distinct(user)
        if self._item_vectors is None or not chosen:
            return self._popularity.scores(user, at_us)
        folded = self._solve(self._item_vectors, self._gram, np.array(chosen), len(self._log.items))
        scores: F64 = self._item_vectors @ folded
        return scores

    def _train(self) -> None:
        users = [user for user in self._histories.sequence if self._histories.sequence[user]]
        of_user = [np.array(self._histories.distinct(user)) for user in users]
        audience: list[list[int]] = [[] for _ in self._log.items]
        for row, chosen in enumerate(of_user):
            for item in chosen.tolist():
                audience[item].append(row)
        of_item = [np.array(rows, np.int64) for rows in audience]
        q = self._item_vectors
        if q is None:
            q = self._rng.normal(0, 0.1 / np.sqrt(self._factors), (len(self._log.items), self._factors))
        for _ in range(self._sweeps):
            gram = q.T @ q
            p = np.stack([self._solve(q, gram, chosen, len(q)) for chosen in of_user])
            gram = p.T @ p
            q = np.stack([self._solve(p, gram, rows, len(p)) for rows in of_item])
        self._item_vectors, self._gram = q, q.T @ q

    def _solve(self, others: F64, gram: F64, chosen: np.ndarray[tuple[int], np.dtype[np.int64]], count: int) -> F64:
        """Return the vector whose inner products with `others` are 1 at the chosen and near 0 elsewhere."""
        if len(chosen) == 0:
            return np.zeros(self._factors)
        of_chosen = others[chosen]
        pull = self._decay * (len(chosen) + self._alpha0 * count)
        left = self._alpha0 * gram + of_chosen.T @ of_chosen + pull * np.eye(self._factors)
        solved: F64 = np.linalg.solve(left, of_chosen.sum(axis=0))
        return solved
