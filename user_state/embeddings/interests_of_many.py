"""The interests of many users, step k placing every user's k-th event at once. The rule is that of `interests.py`.

A step costs some thirty calls of numpy, however many the users are: one user alone is quicker by `interests_of_one.py`.
"""

from __future__ import annotations

import numpy as np

from user_state.embeddings.interests_of_one import FORGOTTEN, NEVER, STEPS
from user_state.plan.outputs import InterestsOutput
from user_state.state.events import F64, I64, Bool


class InterestsOfMany:
    """Centroids of n users; a centroid is its mean S/W, which decay leaves as it is, and W.

    Attributes:
        means: (n, K, dimensions).
        weights: (n, K).
        born: (n, K) the number of the event that founded the centroid, NEVER where there is none.
        as_of_us: (n,) up to when weights are decayed.
    """

    def __init__(self, users: int, output: InterestsOutput) -> None:
        self._half_life_us, self._threshold = output.half_life_us, round(output.threshold * STEPS)
        self._means = np.zeros((users, output.most, output.dimensions))
        self._lengths, self._weights = np.zeros((2, users, output.most))
        self._born = np.full((users, output.most), NEVER, np.int64)
        self._as_of_us = np.zeros(users, np.int64)
        self._events = 0

    def take(self, time_us: I64, weight: F64, vector: F64, unit: F64) -> None:
        """Place the next event of each of the first m users: (m,), (m,), (m, dimensions), (m, dimensions)."""
        users = np.arange(len(time_us))
        weights, born = self._weights[: len(users)], self._born[: len(users)]
        if self._events:
            weights *= np.exp2(-(time_us - self._as_of_us[: len(users)]) / self._half_life_us)[:, None]
            born[weights < FORGOTTEN] = NEVER
        self._as_of_us[: len(users)] = time_us
        place, founds = self._places(weight, unit)
        means = self._means[users, place] * ~founds[:, None]
        total = weights[users, place] * ~founds + weight
        means += (weight / total)[:, None] * (vector - means)
        self._means[users, place], weights[users, place] = means, total
        self._lengths[users, place] = np.sqrt((means**2).sum(axis=1))
        born[users[founds], place[founds]] = self._events
        self._events += 1

    def finish(self, at_us: I64) -> tuple[F64, F64]:
        """Return (n, K, dimensions) centroids and (n, K) weights at (n,) reading times, zeros where there are none."""
        fade = np.exp2(-np.maximum(at_us - self._as_of_us, 0) / self._half_life_us)
        there = self._born != NEVER
        order = np.lexsort((self._born, np.where(there, -_single(self._weights), np.inf)))
        means = np.where(there[:, :, None], self._means, 0)
        weights = np.where(there, self._weights, 0) * fade[:, None]
        return np.take_along_axis(means, order[:, :, None], axis=1), np.take_along_axis(weights, order, axis=1)

    def _places(self, weight: F64, unit: F64) -> tuple[I64, Bool]:
        """Return the centroid that each event joins, or founds, and whether it founds it."""
        users = len(weight)
        weights, born, lengths = self._weights[:users], self._born[:users], self._lengths[:users]
        there = born != NEVER
        products = (self._means[:users] @ unit[:, :, None])[:, :, 0]
        steps = np.rint(products / np.where(lengths > 0, lengths, np.inf) * STEPS)
        steps = np.where(there, steps, -np.inf)
        greatest = steps.max(axis=1)
        nearest = np.where(steps == greatest[:, None], born, NEVER).argmin(axis=1)
        joins = greatest >= self._threshold
        if joins.all():
            return nearest, ~joins
        single = np.where(there, _single(weights), np.inf)
        least = single.min(axis=1)
        lightest = np.where(single == least[:, None], born, NEVER).argmin(axis=1)
        full = there.all(axis=1)
        founds = ~joins & (~full | (least < _single(weight)))
        # Into a free place, or that of the lightest.
        found = np.where(full, lightest, there.argmin(axis=1))
        return np.where(founds, found, nearest), founds


def _single(weights: F64) -> F64:
    """Return weights as single precision has them."""
    with np.errstate(over="ignore"):
        return weights.astype(np.float32).astype(np.float64)
