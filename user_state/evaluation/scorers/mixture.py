"""An online mixture of experts, each a probability over items: which half-life is right is learnt from the stream.

    p(j) = sum over m of w_m p_m(j);    after item i came:  w_m <- (1 - rate) w_m + rate w_m p_m(i) / p(i)

The update is one step of expectation maximisation: an expert gains by its share of the credit. The experts:

    personal     c_h(j) / sum of c_h, a half-life each: what the user did lately
    habit        what the user did next, the other times the user had just done what was done last
    followers    what everybody did next after it, but for staying where they are
    popular      decayed counts of everybody, a half-life in interactions each
    chance       the same for every item, so that p(i) is never 0

The weights are learnt apart for each `context`: how long ago the user's last interaction was (in powers of four
seconds), since after a pause of days people come back to something else than after ten seconds.

Weights, update and contexts are those of `user_state.ranking.mixture`, which a service can run.

Source of the update: Cappe, Moulines, "On-line expectation-maximization algorithm for latent data models", JRSS B 2009,
for mixture weights alone.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.popularity import Popularity
from user_state.evaluation.scorers.recent_counts import RecentCounts, shares
from user_state.evaluation.scorers.settings import durations_us, numbers
from user_state.evaluation.scorers.where_counts_come_from import counts_of
from user_state.ranking.mixture import CONTEXTS, NO_CONTEXT, credited, pause_context


class Mixture:
    """Scores by the mixture's probability.

    Args:
        log: the interactions.
        half_lives: of the personal experts, durations with a plus between.
        popular: half-lives of the popularity experts, interactions with a plus between.
        rate: how fast the weights follow.
        context: whether the weights go by the pause since the user's last interaction.
        keep: how many items a user keeps; 0 for all, or for a record's default.
        records: whether the counts are read from records as Redis holds them, instead of from the reference in numpy.
        counts: where else the decayed counts come from.
    """

    def __init__(
        self,
        log: Interactions,
        *,
        half_lives: str = "10s+1m+5m+30m+3h+1d+7d+30d",
        popular: str = "50+500+5000",
        rate: float = 0.002,
        context: bool = True,
        keep: int = 0,
        records: bool = False,
        counts: RecentCounts | None = None,
    ) -> None:
        if not 0 < rate < 1:
            raise InputError(f"expected a rate between 0 and 1, got {rate}")
        half_lives_us = durations_us(half_lives)
        self._log = log
        self._rate = rate
        self._context = context
        self._counts = counts_of(log, half_lives, keep=keep, records=records) if counts is None else counts
        self._popular = [Popularity(log, half_life_events=events) for events in numbers(popular)]
        self._personal = len(half_lives_us)
        self._next_of_user: defaultdict[tuple[int, int], defaultdict[int, float]] = defaultdict(_zeros)
        self._next_of_all: defaultdict[int, defaultdict[int, float]] = defaultdict(_zeros)
        self._last: dict[int, tuple[int, int]] = {}
        experts = self._personal + 2 + len(self._popular) + 1
        self._weights = np.full((CONTEXTS + 1, experts), 1 / experts)

    def learn(self, begin: int, end: int) -> None:
        """Credit the experts for each interaction, then let them learn it."""
        log = self._log
        for position in range(begin, end):
            user, item, time_us = int(log.user[position]), int(log.item[position]), int(log.time_us[position])
            self._credit(user, item, time_us)
            last = self._last.get(user)
            if last is not None:
                self._next_of_user[user, last[0]][item] += 1
                if last[0] != item:
                    self._next_of_all[last[0]][item] += 1
            self._last[user] = (item, time_us)
            self._counts.learn(position, position + 1)
            for popularity in self._popular:
                popularity.learn(position, position + 1)

    def scores(self, user: int, at_us: int) -> F64:
        """Return the mixture's probabilities."""
        weights = self._weights[self._context_of(user, at_us)]
        items, counts = self._counts.read(user, at_us)
        scores = np.full(len(self._log.items), weights[-1] / len(self._log.items))
        for weight, popularity in zip(weights[self._personal + 2 :], self._popular, strict=False):
            popular = popularity.scores(user, at_us)
            scores += popular * (weight / max(float(popular.sum()), 1e-300))
        scores[items] += shares(counts) @ weights[: self._personal]
        for weight, following in zip(weights[self._personal :], self._following(user), strict=False):
            if following:
                total = sum(following.values())
                scores[list(following)] += np.array(list(following.values())) * (weight / total)
        return scores

    def _credit(self, user: int, item: int, time_us: int) -> None:
        items, counts = self._counts.read(user, time_us)
        came = np.flatnonzero(items == item)
        probability = np.zeros(self._weights.shape[1])
        if len(came):
            probability[: self._personal] = shares(counts)[came[0]]
        for at, following in enumerate(self._following(user), self._personal):
            if following:
                probability[at] = following.get(item, 0.0) / sum(following.values())
        for at, popularity in enumerate(self._popular, self._personal + 2):
            probability[at] = popularity.share(item)
        probability[-1] = 1 / len(self._log.items)
        context = self._context_of(user, time_us)
        self._weights[context] = credited(self._weights[context], probability, self._rate)

    def _following(self, user: int) -> tuple[dict[int, float], dict[int, float]]:
        """Return counts of what came next after the user's last item: for the user, and for all."""
        last = self._last.get(user)
        if last is None:
            return {}, {}
        return self._next_of_user.get((user, last[0]), {}), self._next_of_all.get(last[0], {})

    def _context_of(self, user: int, at_us: int) -> int:
        last = self._last.get(user)
        if last is None:
            return NO_CONTEXT
        if not self._context:
            return 0
        return pause_context(at_us - last[1])


def _zeros() -> defaultdict[int, float]:
    return defaultdict(float)
