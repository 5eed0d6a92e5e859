"""Where a reader's item vectors come from: the one interface between tables, however they are made, and readers.

A reader of records asks each table's provider twice a call, and never mixes two versions of a table in one answer:

    keys(now_s)           which Redis keys to read in the same round trip as the records, to learn of a new version
    vectors(ids, values)  the vectors of these items, all of one version; `values` is what those keys held

Tables that somebody loads (`store/served_table.py`) and tables that the pipeline learns are providers both. A provider
may make one further round trip inside `vectors`, for items that it does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from user_state.embeddings.item_vectors import ItemVectors


class VectorProvider(Protocol):
    """The vectors of one table, for a reader. Safe to share between threads."""

    def start(self) -> None:
        """Load what has to be there before anybody asks.

        Raises:
            InputError, StoreUnavailable, StoreError: it cannot be had.
        """
        ...

    def keys(self, now_s: float) -> list[str]:
        """Return the Redis keys whose values `vectors` takes; `now_s` is a monotonic clock."""
        ...

    def vectors(self, ids: Sequence[str], values: Sequence[bytes | None]) -> ItemVectors:
        """Return vectors of one version that hold at least these items, as far as the table has them.

        Raises:
            StoreUnavailable, StoreError: they cannot be fetched, and none are held.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...
