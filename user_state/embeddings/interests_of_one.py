"""The interests of one user, event by event: quickest for a few users. The rule is that of `interests.py`."""

from __future__ import annotations

import math

import numpy as np

from user_state.plan.outputs import InterestsOutput
from user_state.state.events import F64

STEPS = 1e6
FORGOTTEN = 1e-200
NEVER = 2**62


class InterestsOfOne:
    """One user's centroids; a centroid is its mean S/W, which decay leaves as it is, and W."""

    def __init__(self, output: InterestsOutput) -> None:
        self._most, self._half_life_us = output.most, output.half_life_us
        self._threshold = round(output.threshold * STEPS)
        self._means = np.zeros((output.most, output.dimensions))
        self._lengths = [0.0] * output.most
        self._weights = [0.0] * output.most
        self._born = [NEVER] * output.most
        self._events, self._as_of_us = 0, 0

    def take(self, time_us: int, weight: float, vector: F64, unit: F64) -> None:
        """Place the next event."""
        self._fade(time_us)
        there = [place for place in range(self._most) if self._born[place] != NEVER]
        place = self._place(there, weight, (self._means @ unit).tolist())
        if place is None:
            # Into a free place, or that of the lightest.
            free = [place for place in range(self._most) if self._born[place] == NEVER]
            place = free[0] if free else self._lightest(there)
            self._means[place], self._weights[place], self._born[place] = 0.0, 0.0, self._events
        self._weights[place] += weight
        mean = self._means[place]
        mean += (weight / self._weights[place]) * (vector - mean)
        self._lengths[place] = math.sqrt(float(mean @ mean))
        self._events += 1

    def finish(self, at_us: int) -> tuple[F64, F64]:
        """Return (centroids, dimensions) and (centroids,) weights at the moment of reading, the heaviest first."""
        fade = 2.0 ** (-max(at_us - self._as_of_us, 0) / self._half_life_us)
        there = [place for place in range(self._most) if self._born[place] != NEVER]
        there.sort(key=lambda place: (-np.float32(self._weights[place]), self._born[place]))
        return self._means[there], np.array([self._weights[place] for place in there]) * fade

    def _fade(self, time_us: int) -> None:
        """Let weights decay up to an event, and forget what has next to none left."""
        keep = 2.0 ** (-(time_us - self._as_of_us) / self._half_life_us) if self._events else 1.0
        self._as_of_us = time_us
        self._weights = [weight * keep for weight in self._weights]
        self._born = [
            NEVER if weight < FORGOTTEN else born for weight, born in zip(self._weights, self._born, strict=True)
        ]

    def _place(self, there: list[int], weight: float, products: list[float]) -> int | None:
        """Return the centroid that an event joins; None for one that it founds."""
        if not there:
            return None
        steps = {
            place: round(products[place] / self._lengths[place] * STEPS) if self._lengths[place] > 0 else 0
            for place in there
        }
        nearest = min(there, key=lambda place: (-steps[place], self._born[place]))
        if steps[nearest] >= self._threshold:
            return nearest
        gives_way = np.float32(self._weights[self._lightest(there)]) < np.float32(weight)
        return None if len(there) < self._most or gives_way else nearest

    def _lightest(self, there: list[int]) -> int:
        return min(there, key=lambda place: (np.float32(self._weights[place]), self._born[place]))
