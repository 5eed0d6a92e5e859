"""What a bundle has brought so far, until it is folded: event rows, their messages, and how much that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.decode_events import DEAD
from transforms.packet import DeadLetter, pack_dead, unpack_decoded
from user_state.core.events import EventRow
from user_state.events.message import Message

FOLD_AT = 20_000
"""Rows gathered before a bundle folds without waiting for its end: bounds memory."""
FOLD_AT_BYTES = 32 << 20
"""Bytes of packets, likewise."""


class Gathered:
    """Make one in a DoFn's `start_bundle`."""

    def __init__(self) -> None:
        self._rows: list[EventRow] = []
        self._messages: list[Message] = []
        self._bytes = 0
        self._latest: Any = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_full(self) -> bool:
        """Whether to fold at once."""
        return len(self._rows) >= FOLD_AT or self._bytes >= FOLD_AT_BYTES

    def add(self, packet: bytes, timestamp: Any) -> list[Message]:
        """Take in a packet of rows and messages; return its messages."""
        rows, messages = unpack_decoded(packet)
        self._rows += rows
        self._messages += messages
        self._bytes += len(packet)
        if self._latest is None or timestamp > self._latest:
            self._latest = timestamp
        return messages

    def take(self) -> tuple[list[EventRow], list[Message]]:
        """Return all that was gathered since the last time, row by row."""
        taken = self._rows, self._messages
        self._rows, self._messages, self._bytes = [], [], 0
        return taken

    def at_the_end(self, dead: list[DeadLetter]) -> Iterator[TaggedOutput]:
        """Yield what a bundle's end puts out, as of the latest packet."""
        if dead:
            yield TaggedOutput(DEAD, WindowedValue(pack_dead(dead), self._latest, [GlobalWindow()]))
