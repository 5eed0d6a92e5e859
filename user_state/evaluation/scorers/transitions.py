"""Transitions: what others did next after what this user did last. A first-order Markov chain over items.

    score(j) = sum over d = 1..last of fade^(d-1) N(the user's d-th last item, j)

N(i, j) counts how often j came up to `last` steps after i, fade times less for a step further. Most items never came
after the last one; popularity breaks their tie.

Source: Rendle, Freudenthaler, Schmidt-Thieme, "Factorizing personalized Markov chains", WWW 2010, section 4 (the
unfactorised chain over a set of last items).
"""

from __future__ import annotations

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.histories import Histories, need_dense
from user_state.evaluation.scorers.popularity import TIE_BREAK, Popularity


class Transitions:
    """Scores by counts of what followed the user's last items."""

    def __init__(self, log: Interactions, *, last: int = 1, fade: float = 0.8) -> None:
        if last < 1:
            raise InputError(f"expected to look back at least 1 item, got {last}")
        items = need_dense(log, "transitions")
        self._log = log
        self._last = last
        self._fade = fade
        self._histories = Histories()
        self._counts = np.zeros((items, items))
        self._popularity = Popularity(log)

    def learn(self, begin: int, end: int) -> None:
        """Count what followed what."""
        self._popularity.learn(begin, end)
        for user, item in zip(self._log.user[begin:end].tolist(), self._log.item[begin:end].tolist(), strict=True):
            weight = 1.0
            for earlier in self._recent(user):
                self._counts[earlier, item] += weight
                weight *= self._fade
            self._histories.add(user, item)

    def scores(self, user: int, at_us: int) -> F64:
        """Return the sum of the last items' rows."""
        popular = self._popularity.scores(user, at_us)
        scores: F64 = popular * (TIE_BREAK / max(float(popular.sum()), 1e-300))
        weight = 1.0
        for earlier in self._recent(user):
            scores += weight * self._counts[earlier]
            weight *= self._fade
        return scores

    def _recent(self, user: int) -> list[int]:
        """Return the last items, newest first."""
        return self._histories.sequence[user][: -self._last - 1 : -1]
