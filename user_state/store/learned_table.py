"""Item vectors that the pipeline learns, as a reader has them: read from the items' records, kept for some seconds.

A learned table has no versions: every item's vector changes by itself, whenever a pair of it is folded. A reading
fetches, in one further round trip, all parts of the items that it lacks or has held for longer than `refresh_s`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.embeddings.item_vectors import F32, F64, Bool
from user_state.embeddings.learned_vectors import learned_vectors
from user_state.embeddings.spread import part_names
from user_state.embeddings.table import ItemTable
from user_state.errors import CodecError
from user_state.plan.layout import Layout
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import LearnedItems
from user_state.state.histories import SumsReader
from user_state.state.records import PackedRecords
from user_state.store.connection import connect, fetch
from user_state.store.keys import record_key
from user_state.store.recent_vectors import RecentVectors
from user_state.store.registry import Registry

LEARNED = "learned"
"""What a reading names as the version."""


class LearnedTable:
    """A `VectorProvider` of one learned table in Redis.

    Args:
        url: where.
        plan: of the items' records, by `item_plan`.
        learned: what is learned.
        memory_bytes: how much to hold of it.
        refresh_s: how long an item's vector is taken for fresh.
        timeout_s: how long a reading may wait for items.
    """

    def __init__(
        self, url: str, plan: Plan, learned: LearnedItems, *, memory_bytes: int, refresh_s: float, timeout_s: float
    ) -> None:
        self._url, self._plan, self._learned = url, plan, learned
        self._recent = RecentVectors(self._fetch, plan.vectors[0].dimensions, memory_bytes, refresh_s)
        self._redis: Any = connect(url, timeout_s)
        self._sums = SumsReader(plan, PackedRecords(plan, self))

    def start(self) -> None:
        """There is nothing to load: items are read when they are asked for."""

    def keys(self, now_s: float) -> list[str]:
        """Return none: there is no pointer to look at."""
        return []

    def vectors(self, ids: Sequence[str], values: Sequence[bytes | None]) -> LearnedVectors:
        """See `VectorProvider.vectors`."""
        return LearnedVectors(self._recent.holding(ids))

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that a pipeline registered for the items' records, or None."""
        return Registry(self._redis, self._url, self._plan.keyspace).layout(fingerprint)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _fetch(self, items: Sequence[str]) -> list[F32 | None]:
        spread, forget_us = self._learned.spread, self._learned.forget_us
        blobs = fetch(
            self._redis, self._url, [record_key(self._plan.keyspace, part) for part in part_names(items, spread)]
        )
        # Most items have few of their parts.
        there = [at for at, blob in enumerate(blobs) if blob is not None]
        sums, broken = self._sums.read([blobs[at] for at in there])
        if broken:
            raise CodecError(next(iter(broken.values())))
        # The time of reading plays no part in a direction.
        unit, _ = learned_vectors(sums, np.array(there, np.int64) // spread, len(items), 0, forget_us)
        return [vector if vector.any() else None for vector in unit]


@dataclass(frozen=True)
class LearnedVectors:
    """Some items of a learned table; an `ItemVectors`."""

    held: ItemTable
    version: str = LEARNED

    @property
    def dimensions(self) -> int:
        """Numbers a vector."""
        return self.held.dimensions

    def lookup(self, ids: Sequence[str]) -> tuple[F32, Bool]:
        """See `ItemVectors.lookup`."""
        return self.held.lookup(ids)

    def gram(self) -> F64:
        """Return zeros: nobody holds all of a learned table, which is why a spec may not fold in over one."""
        return np.zeros((self.dimensions, self.dimensions))
