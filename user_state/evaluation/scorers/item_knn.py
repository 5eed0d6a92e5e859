"""Item-item cosine: items whose audience is the audience of what this user chose.

    score(j) = sum over i in the user's items of w_i C_ij / sqrt(n_i n_j)

C_ij counts the users who chose both, n_i those who chose i, and w_i is 1: the textbook's. With a `reach`, a pair counts
fade^(d-1) if the two stood d <= reach steps apart in a user's order, and only the user's last `reach` items take part,
the d-th last with w_i = fade_read^(d-1).

Source: Sarwar, Karypis, Konstan, Riedl, "Item-based collaborative filtering recommendation algorithms", WWW 2001, with
the cosine of Deshpande, Karypis, TOIS 2004, all items being neighbours.
"""

from __future__ import annotations

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.histories import Histories, need_dense


class ItemKnn:
    """Cosines of items' columns, updated with every interaction."""

    def __init__(self, log: Interactions, *, reach: int = 0, fade: float = 0.9, fade_read: float = 0.84) -> None:
        if reach < 0 or not 0 < fade <= 1 or not 0 < fade_read <= 1:
            raise InputError(
                "expected reach of at least 0, fade and fade_read above 0 and up to 1,"
                f" got {reach}, {fade}, {fade_read}"
            )
        items = need_dense(log, "item-item cosine")
        self._log = log
        self._reach = reach
        self._fading, self._reading = fade ** np.arange(reach), fade_read ** np.arange(reach)
        self._histories = Histories()
        self._both = np.zeros((items, items))
        self._chose = np.zeros(items)

    def learn(self, begin: int, end: int) -> None:
        """Count the new pairs of each user."""
        for user, item in zip(self._log.user[begin:end].tolist(), self._log.item[begin:end].tolist(), strict=True):
            earlier = self._recent(user)
            if self._histories.add(user, item):
                weight = self._fading[: len(earlier)] if self._reach else 1.0
                self._both[item, earlier] += weight
                self._both[earlier, item] += weight
                self._chose[item] += 1

    def scores(self, user: int, at_us: int) -> F64:
        """Return the sum of the cosines with the user's items."""
        chosen = self._recent(user)
        scale = 1 / np.sqrt(np.maximum(self._chose, 1))
        weight = scale[chosen] * self._reading[: len(chosen)] if self._reach else scale[chosen]
        scores: F64 = (weight @ self._both[chosen]) * scale
        return scores

    def _recent(self, user: int) -> list[int]:
        """Return the distinct items that take part, newest first."""
        newest_first = self._histories.distinct(user)[::-1]
        return newest_first[: self._reach] if self._reach else newest_first
