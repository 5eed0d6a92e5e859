"""ISGD: matrix factorisation learnt one interaction at a time. Needs item vectors that every user's update changes.

    for each interaction (u, i):  e = 1 - p_u . q_i
                                  p_u += rate (e q_i - decay p_u);  q_i += rate (e p_u - decay q_i)

Source: Vinagre, Jorge, Gama, "Fast incremental matrix factorization for recommendation with positive-only feedback",
UMAP 2014, algorithm 2.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from user_state.evaluation.interactions import F64, Interactions


class Isgd:
    """Scores by p_u . q_j."""

    def __init__(
        self, log: Interactions, *, factors: int = 16, rate: float = 0.05, decay: float = 0.01, seed: int = 1
    ) -> None:
        rng = np.random.default_rng(seed)
        self._log = log
        self._rate, self._decay = rate, decay
        self._item_vectors = rng.normal(0, 0.1, (len(log.items), factors))
        self._user_vectors: defaultdict[int, F64] = defaultdict(lambda: rng.normal(0, 0.1, factors))

    def learn(self, begin: int, end: int) -> None:
        """Take one step an interaction."""
        for user, item in zip(self._log.user[begin:end].tolist(), self._log.item[begin:end].tolist(), strict=True):
            of_user, of_item = self._user_vectors[user], self._item_vectors[item]
            error = 1 - of_user @ of_item
            of_user += self._rate * (error * of_item - self._decay * of_user)
            of_item += self._rate * (error * of_user - self._decay * of_item)

    def scores(self, user: int, at_us: int) -> F64:
        """Return the inner products."""
        scores: F64 = self._item_vectors @ self._user_vectors[user]
        return scores
