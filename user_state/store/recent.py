"""A bounded cache of the bytes last read or written, by user: it saves the read, never the compare-and-set.

Stale entries are harmless: the server refuses a replacement of a version it no longer has.
"""

from __future__ import annotations

from collections import OrderedDict

from user_state.store.store import Stored

ENTRY_OVERHEAD = 200
"""Bytes an entry costs beside its contents, roughly."""


class RecentBytes:
    """The least recently used entries go first once `limit_bytes` are held."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._entries: OrderedDict[str, Stored] = OrderedDict()

    def get(self, user: str) -> Stored | None:
        """Return what is cached of the user."""
        found = self._entries.get(user)
        if found is not None:
            self._entries.move_to_end(user)
        return found

    def put(self, user: str, stored: Stored) -> None:
        """Cache what the server now holds of the user."""
        self.drop(user)
        self._entries[user] = stored
        self._held += _size(stored)
        while self._held > self._limit and self._entries:
            self._held -= _size(self._entries.popitem(last=False)[1])

    def drop(self, user: str) -> None:
        """Forget the user."""
        found = self._entries.pop(user, None)
        if found is not None:
            self._held -= _size(found)

    def clear(self) -> None:
        """Forget everybody."""
        self._entries.clear()
        self._held = 0


def _size(stored: Stored) -> int:
    return ENTRY_OVERHEAD + len(stored.record or b"") + len(stored.seen or b"")
