"""Item vectors that the pipeline learns, as a reader has them: read from the items' records, kept for some seconds.

A learned table has no versions: every item's vector changes by itself, whenever a pair of it is folded. A reading
fetches, in one further round trip, the items that it lacks or has held for longer than `refresh_s`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.core.item_vectors import F32, F64, Bool
from user_state.core.layout import Layout
from user_state.core.learned_vectors import learned_vectors
from user_state.core.plan import Plan
from user_state.items.table import ItemTable
from user_state.store.connection import connect, translated
from user_state.store.keys import layouts_key, record_key
from user_state.store.layouts import RecordReader
from user_state.store.served_table import ITEM_OVERHEAD

LEARNED = "learned"
"""What a reading names as the version."""


class LearnedTable:
    """A `VectorProvider` of one learned table in Redis.

    Args:
        url: where.
        plan: of the items' records, by `item_plan`.
        memory_bytes: how much to hold of it.
        refresh_s: how long an item's vector is taken for fresh.
        timeout_s: how long a reading may wait for items.
    """

    def __init__(self, url: str, plan: Plan, *, memory_bytes: int, refresh_s: float, timeout_s: float) -> None:
        self._url, self._plan, self._refresh_s = url, plan, refresh_s
        self._dimensions = plan.vectors[0].dimensions
        self._most = max(memory_bytes // (4 * self._dimensions + ITEM_OVERHEAD), 1)
        self._entries: OrderedDict[str, tuple[F32 | None, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._redis: Any = connect(url, timeout_s)
        self._reader = RecordReader(plan, self)

    def keys(self, now_s: float) -> list[str]:
        """Return none: there is no pointer to look at."""
        return []

    def vectors(self, ids: Sequence[str], told: Sequence[bytes | None]) -> LearnedVectors:
        """See `VectorProvider.vectors`."""
        now_s = time.monotonic()
        found: dict[str, F32 | None] = {}
        with self._lock:
            for item in dict.fromkeys(ids):
                entry = self._entries.get(item)
                if entry is not None and now_s - entry[1] < self._refresh_s:
                    self._entries.move_to_end(item)
                    found[item] = entry[0]
        absent = [item for item in dict.fromkeys(ids) if item not in found]
        if absent:
            fetched = self._fetch(absent)
            found.update(fetched)
            with self._lock:
                self._entries.update((item, (vector, now_s)) for item, vector in fetched.items())
                while len(self._entries) > self._most:
                    self._entries.popitem(last=False)
        there = {item: vector for item, vector in found.items() if vector is not None}
        matrix = np.array(list(there.values()), np.float32).reshape(len(there), self._dimensions)
        return LearnedVectors(ItemTable(list(there), matrix))

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that a pipeline registered for the items' records, or None."""
        with translated(self._url):
            text = self._redis.hget(layouts_key(self._plan.name), fingerprint.hex())
        return None if text is None else Layout.from_json(text)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _fetch(self, items: list[str]) -> dict[str, F32 | None]:
        keys = [record_key(self._plan.name, item) for item in items]
        with translated(self._url):
            blobs = getattr(self._redis, "mget_nonatomic", self._redis.mget)(keys)
        # The time of reading plays no part in a direction.
        unit, _ = learned_vectors(self._reader.decode(blobs), 0, 1)
        return {item: vector if vector.any() else None for item, vector in zip(items, unit, strict=True)}


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
