"""The vectors of items asked for lately, bounded in number: shared by readers of tables that they do not hold whole."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from user_state.embeddings.item_vectors import F32
from user_state.embeddings.table import ItemTable

ITEM_OVERHEAD = 200
"""Bytes an item costs beside its vector, roughly."""


def bytes_of(items: int, dimensions: int) -> int:
    """Return the memory that so many items take."""
    return items * (4 * dimensions + ITEM_OVERHEAD)


class RecentVectors:
    """A cache of one table; safe to share between threads.

    Args:
        fetch: reads the vectors of items in one round trip, None for an item without one.
        dimensions: numbers a vector.
        memory_bytes: how much to hold.
        fresh_s: how long a vector may be given before it is read again.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[str]], Sequence[F32 | None]],
        dimensions: int,
        memory_bytes: int,
        fresh_s: float = float("inf"),
    ) -> None:
        self._fetch, self._dimensions, self._fresh_s = fetch, dimensions, fresh_s
        self._most = max(memory_bytes // bytes_of(1, dimensions), 1)
        self._entries: OrderedDict[str, tuple[F32 | None, float]] = OrderedDict()
        self._lock = threading.Lock()

    def holding(self, ids: Sequence[str]) -> ItemTable:
        """Return those of the items that have a vector, fetching what is not held, or no longer fresh.

        Raises:
            StoreUnavailable, StoreError: as `fetch`.
        """
        now_s = time.monotonic()
        found: dict[str, F32 | None] = {}
        absent: list[str] = []
        with self._lock:
            for item in dict.fromkeys(ids):
                vector, since_s = self._entries.get(item, (None, float("-inf")))
                if now_s - since_s < self._fresh_s:
                    self._entries.move_to_end(item)
                    found[item] = vector
                else:
                    absent.append(item)
        if absent:
            fetched = dict(zip(absent, self._fetch(absent), strict=True))
            found.update(fetched)
            with self._lock:
                self._entries.update((item, (vector, now_s)) for item, vector in fetched.items())
                while len(self._entries) > self._most:
                    self._entries.popitem(last=False)
        there = {item: vector for item, vector in found.items() if vector is not None}
        matrix = np.array(list(there.values()), np.float32).reshape(len(there), self._dimensions)
        return ItemTable(list(there), matrix)
