"""What learned item vectors must be, by plain loops over a list of events; user_state lends the hash vectors only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import xxhash

from user_state.embeddings.hashed_vectors import hashed_vectors

LEAST = 2.0**-20


class Act(NamedTuple):
    """One event: who did what, and when."""

    id: str
    user: str
    item: str | None
    time_us: int

    @property
    def order(self) -> tuple[int, int]:
        """What a user's events are ordered by."""
        return self.time_us, xxhash.xxh64_intdigest(self.id.encode()) >> 32

    def row(self) -> tuple[object, ...]:
        """Return the event as a row of a plan that reads the item alone."""
        return self.user, xxhash.xxh64_intdigest(self.id.encode()), self.time_us, self.time_us, self.item


def spec_text(learned: str) -> str:
    """Return a spec whose one table of items is learned as `learned` says."""
    return f"""
name: feed
events: {{schema: interaction.avsc, user: user_id, id: event_id, time: event_time}}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {{all: {{aggregate: count, windows: lifetime}}}}
items:
  together: {learned}
"""


def pairs_of(acts: Iterable[Act], half_life_us: int, reach: int = 10**9) -> list[tuple[str, str, float, int]]:
    """Return (item, partner, weight, time) of all pairs of these events, each event counted once."""
    of_user: dict[str, dict[str, Act]] = {}
    for act in acts:
        if act.item is not None:
            of_user.setdefault(act.user, {})[act.id] = act
    found = []
    for mine in of_user.values():
        line = sorted(mine.values(), key=lambda act: act.order)
        for at, early in enumerate(line):
            for late in line[at + 1 : at + 1 + reach]:
                weight = 2.0 ** (-(late.time_us - early.time_us) / half_life_us)
                if early.item != late.item and weight >= LEAST:
                    assert early.item is not None
                    assert late.item is not None
                    found.append((early.item, late.item, weight, late.time_us))
                    found.append((late.item, early.item, weight, late.time_us))
    return found


def item_sums(pairs: Iterable[tuple[str, str, float, int]], dimensions: int) -> Mapping[str, np.ndarray]:
    """Return each item's weighted sum of its partners' vectors, nothing forgotten."""
    sums: dict[str, np.ndarray] = {}
    for item, partner, weight, _ in pairs:
        held = sums.setdefault(item, np.zeros(dimensions))
        held += weight * hashed_vectors([partner], dimensions)[0]
    return sums
