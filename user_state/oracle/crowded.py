"""Tables of keys where a window has more keys than are kept: which of many answers a bounded summary may give.

With at most K keys kept of N events, a key's count is never too high, and too low by at most N / (K + 1), as is
documented. So of a table one can say which keys it must list and between which numbers; of sums and means only that
they are made of the key's own values. Where a window has no more than K keys, one answer is right, and nothing here
applies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ROUNDING = 1e-6
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Crowd:
    """The keys of a window, and what may be said of them.

    Attributes:
        weights: each key's count, or decayed count.
        kept: how many keys are kept.
        listed: how many a table lists at most.
    """

    weights: Mapping[Key, float]
    kept: int
    listed: int

    @property
    def crowded(self) -> bool:
        """Whether there are more keys than are kept."""
        return len(self.weights) > self.kept

    @property
    def slack(self) -> float:
        """How much too low a weight may be."""
        return math.fsum(self.weights.values()) / (self.kept + 1)

    def may_list(self, keys: Sequence[Key], shown: Sequence[float] | None) -> bool:
        """Return whether a table may list these keys in this order, with these weights beside them if any are shown."""
        if not self.crowded or not self._known(keys):
            return False
        slack, margin = self.slack, ROUNDING * math.fsum(self.weights.values())
        true = [self.weights[key] for key in keys]
        least = [weight - slack for weight in true] if shown is None else list(shown)
        most = true if shown is None else list(shown)
        for weight, low, high in zip(true, least, most, strict=True):
            if high > weight + margin or low < weight - slack - margin:
                return False
        if any(lighter > heavier + margin for heavier, lighter in zip(most, least[1:], strict=False)):
            return False
        # What is not listed may not surely be heavier than the lightest that is, or than nothing.
        floor = min(most, default=0.0) if len(keys) == self.listed else 0.0
        missing = (weight for key, weight in self.weights.items() if key not in set(keys))
        return all(weight - slack <= floor + margin for weight in missing)

    def may_name(self, keys: Sequence[Key]) -> bool:
        """Return whether a table that does not go by weight may list these keys."""
        return self.crowded and self._known(keys)

    def _known(self, keys: Sequence[Key]) -> bool:
        return len(keys) <= self.listed and len(set(keys)) == len(keys) and all(key in self.weights for key in keys)


def of_the_keys_values(values_of: Mapping[Key, Sequence[float]], summed: bool) -> Callable[[Key, float], bool]:
    """Return what says whether a number may be a key's sum, or mean, if some of its events were forgotten."""

    def may_be(key: Key, number: float) -> bool:
        values = values_of[key]
        low, high = min(values), max(values)
        if summed:
            low, high = (math.fsum(v for v in values if (v > 0) == positive) for positive in (False, True))
        margin = ROUNDING * max(abs(low), abs(high), ROUNDING)
        return low - margin <= number <= high + margin

    return may_be
