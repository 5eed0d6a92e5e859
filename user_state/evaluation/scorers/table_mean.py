"""Decayed means of vectors from a table that a batch job fits anew now and then: what most companies do.

    e_u = sum over half-lives h of sum over i of share_h(i) z_i;   score(j) = z_j . e_u

share_h(i) are the shares of the user's decayed counts (`recent_counts`), so each half-life adds a mean and not a sum.
The table comes from `user_state.embeddings.cooccurrence`, fitted on what came before and on nothing else, every so many
interactions; a new table serves all users at once, computed from their counts, so no vector mixes two tables. Until
the first table there is popularity.
"""

from __future__ import annotations

import numpy as np

from user_state.embeddings.cooccurrence import Fit, fit_vectors
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.popularity import Popularity
from user_state.evaluation.scorers.recent_counts import RecentCounts, ReferenceCounts, shares
from user_state.evaluation.scorers.settings import durations_us


def fits_until(size: int, every: int) -> list[int]:
    """Return after how many of `size` interactions a new table is fitted.

    >>> fits_until(12_000, 5_000)
    [500, 751, 1127, 1691, 2537, 3806, 5710, 8566]

    Raises:
        InputError: less than every interaction.
    """
    if every < 1:
        raise InputError(f"expected a table every 1 interaction at least, got {every}")
    fits, until = [], min(every, 500)
    while until <= size:
        fits.append(until)
        until += min(every, until // 2 + 1)
    return fits


class TableMean:
    """Scores by inner products of table vectors.

    Args:
        log: the interactions.
        half_lives: durations with a plus between.
        dimensions, reach, fade: of the table; see `Fit`.
        every: a new table after so many interactions; the first ones sooner, whenever the log has grown by half.
        counts: where the decayed counts come from; the reference in numpy, if None.
    """

    def __init__(
        self,
        log: Interactions,
        *,
        half_lives: str = "10s+1m+10m",
        dimensions: int = 64,
        reach: int = 30,
        fade: float = 0.9,
        every: int = 5_000,
        counts: RecentCounts | None = None,
    ) -> None:
        self._fits = iter([*fits_until(len(log), every), len(log) + 1])
        self._next = next(self._fits)
        self._log = log
        self._fit = Fit(dimensions=dimensions, reach=reach, fade=fade)
        self._fit.check()
        if dimensions > len(log.items):
            raise InputError(f"expected at most as many dimensions as items, {len(log.items)}, got {dimensions}")
        self._counts = ReferenceCounts(log, durations_us(half_lives)) if counts is None else counts
        self._popularity = Popularity(log)
        self._vectors: F64 | None = None

    def learn(self, begin: int, end: int) -> None:
        """Count, and fit when it is time."""
        while begin < end:
            until = min(end, max(self._next, begin + 1))
            self._counts.learn(begin, until)
            self._popularity.learn(begin, until)
            if until >= self._next:
                log = self._log
                self._vectors = fit_vectors(log.user[:until], log.item[:until], len(log.items), self._fit)
                self._next = next(self._fits)
            begin = until

    def scores(self, user: int, at_us: int) -> F64:
        """Return the inner products with the user's vector; popularity, where there is none."""
        items, counts = self._counts.read(user, at_us)
        if self._vectors is None or len(items) == 0:
            return self._popularity.scores(user, at_us)
        vector = shares(counts).sum(axis=1) @ self._vectors[items]
        if not np.any(vector):
            return self._popularity.scores(user, at_us)
        scores: F64 = self._vectors @ vector
        return scores
