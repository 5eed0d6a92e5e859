"""Popularity: how often everybody chose an item lately, the same for all users."""

from __future__ import annotations

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions

RESCALE_AT = 1e200
TIE_BREAK = 1e-9
"""What all popularity together weighs where it only breaks ties: less than anything it must not outvote."""


class Popularity:
    """Counts of interactions, an older one weighing less: it halves every `half_life_events` interactions of the log.

    Source of decay by forward scaling: Cormode et al., "Forward Decay", ICDE 2009.
    """

    def __init__(self, log: Interactions, *, half_life_events: float = 5_000.0) -> None:
        if not half_life_events > 0:
            raise InputError(f"expected half_life_events above 0, got {half_life_events}")
        self._item = log.item
        self._growth = 2.0 ** (1 / half_life_events)
        self._counts = np.zeros(len(log.items))
        self._weight = 1.0
        self._total = 0.0

    def learn(self, begin: int, end: int) -> None:
        """Add a growing weight, which is the same as letting all others decay."""
        for item in self._item[begin:end].tolist():
            self._counts[item] += self._weight
            self._total += self._weight
            self._weight *= self._growth
            if self._weight > RESCALE_AT:
                self._counts /= self._weight
                self._total /= self._weight
                self._weight = 1.0

    def scores(self, user: int, at_us: int) -> F64:
        """Return the decayed counts."""
        return self._counts

    def share(self, item: int) -> float:
        """Return the item's share of all decayed counts; 0 before any."""
        return float(self._counts[item] / self._total) if self._total > 0 else 0.0
