"""Which shards of a backfill are in Redis, as Redis itself says.

    {name}:backfill    hash: {job}:{shard} -> what became of the shard's events, as JSON

A mark is written after the records of its shard: whatever Redis loses of these, by a restart from an older snapshot or
a replica that lagged, it has lost the mark too. On a cluster that holds of the node alone that has the mark.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from user_state.store.connection import connect, translated
from user_state.store.keys import backfill_key


class BackfillMarks:
    """The marks of one backfill; every method raises StoreUnavailable or StoreError as `translated`.

    Args:
        url: of the server.
        name: of the records, with their generation.
        job: which backfill.
        timeout_s: longest a call takes.
    """

    def __init__(self, url: str, name: str, job: str, *, timeout_s: float = 10.0) -> None:
        self._url, self._job = url, job
        self._key = backfill_key(name)
        self._redis: Any = connect(url, timeout_s)

    def __enter__(self) -> BackfillMarks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def finished(self) -> dict[int, dict[str, int]]:
        """Return the shards that are in Redis whole, and what became of their events."""
        with translated(self._url):
            held: Mapping[bytes, bytes] = self._redis.hgetall(self._key)
        found = {}
        for field, value in held.items():
            job, _, shard = field.decode().rpartition(":")
            if job == self._job:
                found[int(shard)] = {str(name): int(number) for name, number in json.loads(value).items()}
        return found

    def finish(self, shard: int, counts: Mapping[str, int]) -> None:
        """Note that a shard is there whole."""
        with translated(self._url):
            self._redis.hset(self._key, f"{self._job}:{shard}", json.dumps(dict(counts)))

    def clear(self) -> None:
        """Forget all marks."""
        with translated(self._url):
            self._redis.delete(self._key)
