"""Recent items with decayed counts: the strongest single scorer where people come back to what they know.

    score(j) = sum over half-lives h of c_h(j) / sum over i of c_h(i),  c from `recent_counts`

Items that the user never met share the score 0; popularity orders them, and is named where it takes part.
"""

from __future__ import annotations

import numpy as np

from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.popularity import TIE_BREAK, Popularity
from user_state.evaluation.scorers.recent_counts import RecentCounts, shares
from user_state.evaluation.scorers.where_counts_come_from import counts_of


class RecentItems:
    """Scores a user's items by their shares of the user's decayed counts.

    Args:
        log: the interactions.
        half_lives: durations with a plus between.
        keep: how many items a user keeps; 0 for all, or for a record's default.
        records: whether the counts are read from records as Redis holds them, instead of from the reference in numpy.
        popular: whether popularity breaks ties.
        popularity_half_life: of that popularity, in interactions.
        counts: where else the decayed counts come from.
    """

    def __init__(
        self,
        log: Interactions,
        *,
        half_lives: str = "1m+10m+1h+1d",
        keep: int = 0,
        records: bool = False,
        popular: bool = True,
        popularity_half_life: float = 500.0,
        counts: RecentCounts | None = None,
    ) -> None:
        self._items = len(log.items)
        self._counts = counts_of(log, half_lives, keep=keep, records=records) if counts is None else counts
        self._popularity = Popularity(log, half_life_events=popularity_half_life) if popular else None

    def learn(self, begin: int, end: int) -> None:
        """Count."""
        self._counts.learn(begin, end)
        if self._popularity is not None:
            self._popularity.learn(begin, end)

    def scores(self, user: int, at_us: int) -> F64:
        """Return the shares of the user's items, and less than any for the others."""
        scores = np.zeros(self._items)
        if self._popularity is not None:
            popular = self._popularity.scores(user, at_us)
            scores += popular * (TIE_BREAK / max(popular.sum(), 1e-300))
        items, counts = self._counts.read(user, at_us)
        scores[items] += shares(counts).sum(axis=1)
        return scores
