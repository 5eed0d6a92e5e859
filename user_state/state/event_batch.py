"""Decoded events as columns, with the messages they came from; what crosses the shuffle, as bytes.

`native/events/event_batch.hpp` has the layout of the bytes. The messages stay bytes: a message is opened only if it
becomes a dead letter, and of those that are acknowledged only the id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from user_state import native
from user_state.errors import CodecError
from user_state.native import EventDecoder as BodyDecoder
from user_state.native import FileLayout, MessageList
from user_state.plan.plan import Plan
from user_state.state.events import Bool, Events
from user_state.state.string_dictionary import StringPool

__all__ = [
    "AckIds",
    "AckIdsSoFar",
    "BodyDecoder",
    "EventBatch",
    "FileLayout",
    "MessageList",
    "all_ack_ids",
    "batch_size",
]

AckIds = Mapping[str, Sequence[str]]
"""Acknowledgement ids by subscription."""
MessageParts = tuple[bytes, dict[str, str], int | None, str | None, str]
"""Body, attributes, publish time in microseconds UTC, acknowledgement id, origin."""
Rows = npt.NDArray[np.int64]
_COUNT = slice(2, 6)
"""Where the bytes of a batch say how many events it has."""


class EventBatch:
    """m events in order of arrival. Made by a decoder, or of packed batches with `join`.

    Args:
        held: what holds them.
    """

    def __init__(self, held: native.EventBatch) -> None:
        self._native = held

    @classmethod
    def join(cls, plan: Plan, packed: Iterable[bytes]) -> EventBatch:
        """Return the events of packed batches, one batch after the other.

        Raises:
            CodecError: bytes that are no batch of the plan's events.
        """
        try:
            return cls(native.EventBatch.join(plan.kinds, packed))
        except ValueError as exc:
            raise CodecError(str(exc)) from None

    def __len__(self) -> int:
        return len(self._native)

    @cached_property
    def events(self) -> Events:
        """The columns; the arrays are views of this batch."""
        users, user, id_hash, time_us, published_us, columns, code_of = self._native.columns()
        return Events(users, user, id_hash, time_us, published_us, columns, StringPool.of_codes(code_of))

    @property
    def has_ack_id(self) -> Bool:
        """(m,) whether each message has to be acknowledged."""
        return self._native.has_ack_id()

    def pack(self, rows: Rows | None = None) -> bytes:
        """Return the bytes of the chosen events, in the order given; of all of them, if not given."""
        return self._native.pack(np.arange(len(self)) if rows is None else rows)

    def pack_by_shard(self, rows: Rows, shards: int) -> list[tuple[int, bytes]]:
        """Return (shard, its packed events) of each shard that has any; a user's is `xxh64(user) % shards`."""
        return self._native.pack_by_shard(rows, shards)

    def pack_by_user(self, rows: Rows | None = None) -> list[tuple[str, bytes]]:
        """Return (user, their packed events) of each user who has any."""
        return self._native.pack_by_user(np.arange(len(self)) if rows is None else rows)

    def ack_ids(self, rows: Rows) -> AckIds:
        """Return the acknowledgement ids of the chosen events, of those that have one."""
        return self._native.ack_ids(rows)

    def message(self, row: int) -> MessageParts:
        """Return the message that an event came from.

        Raises:
            CodecError: its attributes are damaged.
        """
        try:
            return self._native.message(row)
        except ValueError as exc:
            raise CodecError(str(exc)) from None


def batch_size(packed: bytes) -> int:
    """Return how many events a packed batch has, without opening it."""
    return int.from_bytes(packed[_COUNT], "little")


def all_ack_ids(plan: Plan, packed: bytes) -> AckIds:
    """Return the acknowledgement ids of a packed batch."""
    batch = EventBatch.join(plan, [packed])
    return batch.ack_ids(np.arange(len(batch)))


class AckIdsSoFar:
    """Acknowledgement ids gathered from several batches."""

    def __init__(self) -> None:
        self._ids: dict[str, list[str]] = {}

    @property
    def so_far(self) -> AckIds:
        """All that were added since they were last taken."""
        return self._ids

    def add(self, ids: AckIds) -> None:
        """Add some."""
        for origin, more in ids.items():
            self._ids.setdefault(origin, []).extend(more)

    def take(self) -> AckIds:
        """Return all since the last time."""
        taken, self._ids = self._ids, {}
        return taken


def messages_of(listed: MessageList) -> Iterator[MessageParts]:
    """Yield the messages of a list one by one."""
    return map(listed.message, range(len(listed)))
