"""What a bundle has brought so far, until it is folded: packets of events, and how much that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.decode_events import DEAD
from transforms.packet import DeadLetter, pack_dead
from user_state.plan.plan import Plan
from user_state.state.event_batch import EventBatch, batch_size

FOLD_AT = 20_000
"""Events gathered before a bundle folds without waiting for its end: bounds memory."""
FOLD_AT_BYTES = 32 << 20
"""Bytes of packets, likewise."""


class BundleBuffer:
    """Make one in a DoFn's `start_bundle`.

    Args:
        plan: of the events.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._packets: list[bytes] = []
        self._events = 0
        self._bytes = 0
        self._latest: Any = None

    def __len__(self) -> int:
        return self._events

    @property
    def is_full(self) -> bool:
        """Whether to fold at once."""
        return self._events >= FOLD_AT or self._bytes >= FOLD_AT_BYTES

    def add(self, packet: bytes, timestamp: Any) -> None:
        """Take in a packet of events."""
        self._packets.append(packet)
        self._events += batch_size(packet)
        self._bytes += len(packet)
        if self._latest is None or timestamp > self._latest:
            self._latest = timestamp

    def take(self) -> EventBatch:
        """Return all that was gathered since the last time, in order of arrival."""
        taken = EventBatch.join(self._plan, self._packets)
        self._packets, self._events, self._bytes = [], 0, 0
        return taken

    def at_the_end(self, dead: list[DeadLetter]) -> Iterator[TaggedOutput]:
        """Yield what a bundle's end puts out, as of the latest packet."""
        if dead:
            yield TaggedOutput(DEAD, WindowedValue(pack_dead(dead), self._latest, [GlobalWindow()]))
