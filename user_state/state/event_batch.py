"""Decoded events as columns, with the messages they came from; what crosses the shuffle, as bytes.

`native/events/event_batch.hpp` has the layout of the bytes. The messages stay bytes: a message is opened only if it
becomes a dead letter, and of those that are acknowledged only the id. `EventBatch` is the core's own; arrays of its
columns are `user_state.state.events.Events.of_batch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from user_state.native import EventBatch, FileLayout, MessageList
from user_state.native import EventDecoder as BodyDecoder
from user_state.plan.plan import Plan

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
