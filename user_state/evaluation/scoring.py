"""What a scorer is, the run of one over a trial, and ranks.

The rank of the item that came is its mean rank among its equals: 1 + how many score more + half of how many others
score the same. A scorer that says the same of everything thus gets the rank of chance, not the first.
Scores that are not finite are an error: NaN compares false with everything, and would win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Bool
from user_state.evaluation.trials import Trial

FORESEEN = 4_000
Watch = Callable[[Iterable[int]], Iterable[int]]
"""Passes positions on, for progress."""


class Scorer(Protocol):
    """Scores all items for a user, from what it has learnt of the log it was made for."""

    def learn(self, begin: int, end: int) -> None:
        """Learn the log's interactions from `begin` up to `end`; calls follow on one another."""
        ...

    def scores(self, user: int, at_us: int) -> F64:
        """Return (items,) finite scores at that time, higher for likelier; the caller does not change them."""
        ...


class Question(NamedTuple):
    """What a scorer will be asked: for whom, when, and how much of the log it will have learnt by then."""

    user: int
    at_us: int
    visible: int


@runtime_checkable
class Foreseeing(Protocol):
    """A scorer that answers many questions cheaper together.

    It must answer each as if it were asked when its turn comes: what is not visible to a question has no part in the
    answer.
    """

    def foresee(self, questions: Sequence[Question]) -> None:
        """Take note of the next questions, all of which will be asked in this order."""
        ...


def mean_rank(scores: F64, target: int, candidates: Bool | None = None) -> float:
    """Return the rank, from 1, of `target` among the candidates (all, if None), ties at their mean.

    `target` counts as a candidate whether marked or not.

    >>> mean_rank(np.array([5.0, 7.0, 5.0]), 0)
    2.5
    """
    value = scores[target]
    above, equal = scores > value, scores == value
    if candidates is not None:
        above, equal = above & candidates, equal & candidates
    others = np.count_nonzero(equal) - int(candidates is None or bool(candidates[target]))
    return float(1 + np.count_nonzero(above) + others / 2)


def measure(name: str, scorer: Scorer, trial: Trial, watch: Watch = iter) -> F64:
    """Return (q,) the rank of each tested interaction's item, the scorer learning as it goes.

    Raises:
        InputError: a score is not finite, or there is not one an item; names the scorer.
    """
    log = trial.log
    ranks = np.empty(len(trial.tested))
    met = _Met(len(log.users), len(log.items)) if trial.unseen_only else None
    learnt = 0
    users, items, times_us = log.user.tolist(), log.item.tolist(), log.time_us.tolist()
    tested, visible = trial.tested.tolist(), trial.visible.tolist()
    for index in watch(range(len(tested))):
        if index % FORESEEN == 0 and isinstance(scorer, Foreseeing):
            ahead = range(index, min(index + FORESEEN, len(tested)))
            scorer.foresee([Question(users[tested[i]], times_us[tested[i]], visible[i]) for i in ahead])
        position = tested[index]
        if visible[index] > learnt:
            scorer.learn(learnt, visible[index])
            learnt = visible[index]
        scores = scorer.scores(users[position], times_us[position])
        _check(name, scores, trial, position)
        candidates = None if met is None else met.unmet(users, items, position)
        ranks[index] = mean_rank(scores, items[position], candidates)
    return ranks


class _Met:
    """Which items each user has met before a position."""

    def __init__(self, users: int, items: int) -> None:
        self._items = items
        self._unmet: dict[int, Bool] = {}
        self._until = 0

    def unmet(self, users: list[int], items: list[int], position: int) -> Bool:
        """Return (items,) a mask for the user of that position; positions ascend."""
        for earlier in range(self._until, position):
            self._of(users[earlier])[items[earlier]] = False
        self._until = position
        return self._of(users[position])

    def _of(self, user: int) -> Bool:
        mask = self._unmet.get(user)
        if mask is None:
            mask = self._unmet[user] = np.ones(self._items, np.bool_)
        return mask


def _check(name: str, scores: Any, trial: Trial, position: int) -> None:
    expected = (len(trial.log.items),)
    if np.shape(scores) != expected:
        raise InputError(f"expected {expected[0]} scores of scorer {name}, one an item, got {np.shape(scores)}")
    if not np.isfinite(scores).all():
        wrong = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise InputError(
            f"expected finite scores of scorer {name}, got {scores[wrong]} for item {trial.log.items[wrong]!r}"
            f" at interaction {position + 1:,} of {trial.log.source}"
        )
