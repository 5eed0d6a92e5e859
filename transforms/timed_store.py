"""A store whose calls are timed: what Redis takes, told apart from what folding takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from transforms.metrics import Histogram
from user_state.plan.layout import Layout
from user_state.store.registry import Writer
from user_state.store.store import Replaced, Replacement, StateStore, Stored


class TimedStore:
    """Passes every call on; see `StateStore`. Calls that fail are timed as well. Only for use in a DoFn.

    Args:
        store: the store.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._read_ms = Histogram("redis_read_ms")
        self._replace_ms = Histogram("redis_replace_ms")

    def read(self, users: Sequence[str]) -> list[Stored]:
        """See `StateStore.read`."""
        with _timed(self._read_ms):
            return self._store.read(users)

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """See `StateStore.replace`."""
        with _timed(self._replace_ms):
            return self._store.replace(replacements)

    def layout(self, fingerprint: bytes) -> Layout | None:
        """See `StateStore.layout`."""
        return self._store.layout(fingerprint)

    def claim(self, writer: Writer) -> None:
        """See `StateStore.claim`."""
        self._store.claim(writer)


@contextmanager
def _timed(histogram: Histogram) -> Iterator[None]:
    began_ns = time.monotonic_ns()
    try:
        yield
    finally:
        # Rounded up: a call takes time.
        histogram.observe([-(-(time.monotonic_ns() - began_ns) // 1_000_000)])
