"""Chance: what any other figure has to be compared with first."""

from __future__ import annotations

import numpy as np

from user_state.evaluation.interactions import F64, Interactions


class Chance:
    """Scores at random.

    Expected MRR over n candidates is H(n)/n, H being the harmonic number; expected R@10 is 10/n.
    """

    def __init__(self, log: Interactions, *, seed: int = 1) -> None:
        self._items = len(log.items)
        self._rng = np.random.default_rng(seed)

    def learn(self, begin: int, end: int) -> None:
        """Learn nothing."""

    def scores(self, user: int, at_us: int) -> F64:
        """Return new random numbers each time."""
        return self._rng.random(self._items)
