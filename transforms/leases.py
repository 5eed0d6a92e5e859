"""Keeping the leases of messages that are being worked on, should that take longer than expected.

A lease is set when a message is pulled. Where a bundle is long, or waits for an unavailable Redis, it would end, and
the message would come again: harmless, but work for nothing, and worst when things are slow already. So whoever works
on messages holds their leases meanwhile; one thread a process extends those that are held for long. In normal running
nothing is: a lease of 60 s is first extended after 15 s.

What a runner still has between two steps is held by nobody; its leases may end, and it is folded once all the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from transforms.acknowledge import set_ack_deadline
from user_state.state.event_batch import AckIds, AckIdsSoFar

FIRST_SHARE = 0.25
"""A lease is first extended after this share of it, since it began when the message was pulled, not when it came."""

SHARE = 0.5
LOOK_S = 0.5


class Leases:
    """The leases that a step of this process holds.

    Args:
        ack_deadline_s: what a lease is extended by, seconds; 0 extends none.
        ids_of: opens a packet for its acknowledgement ids.
    """

    def __init__(self, ack_deadline_s: int, ids_of: Callable[[bytes], AckIds]) -> None:
        self._ack_deadline_s = ack_deadline_s
        self._ids_of = ids_of
        self._packets: list[bytes] = []
        self._ids = AckIdsSoFar()
        self._due_s = 0.0

    def hold(self, packet: bytes) -> None:
        """Hold the messages of a packet of events until `release`; it is opened only if their leases get old."""
        if not self._ack_deadline_s:
            return
        with _LOCK:
            self._packets.append(packet)
            if self not in _HELD:
                self._due_s = time.monotonic() + FIRST_SHARE * self._ack_deadline_s
                _HELD.add(self)
                _start_thread()

    def release(self) -> None:
        """Let go of all that is held: it is acknowledged, or given up."""
        with _LOCK:
            _HELD.discard(self)
            self._packets = []
            self._ids = AckIdsSoFar()

    def due(self, now_s: float) -> list[tuple[str, list[str], int]]:
        """Return (subscription, ack ids, seconds) to extend now; `_LOCK` is held."""
        if now_s < self._due_s:
            return []
        self._due_s = now_s + SHARE * self._ack_deadline_s
        for packet in self._packets:
            self._ids.add(self._ids_of(packet))
        self._packets = []
        return [(origin, list(ids), self._ack_deadline_s) for origin, ids in self._ids.so_far.items()]


_LOCK = threading.Lock()
_HELD: set[Leases] = set()
_THREADS: list[threading.Thread] = []


def _start_thread() -> None:
    """Start the thread that extends, once; `_LOCK` is held."""
    if not _THREADS:
        _THREADS.append(threading.Thread(target=_extend, name="leases", daemon=True))
        _THREADS[0].start()


def _extend() -> None:
    while True:
        time.sleep(LOOK_S)
        with _LOCK:
            now_s = time.monotonic()
            due = [one for held in _HELD for one in held.due(now_s)]
        for subscription, ack_ids, seconds in due:
            set_ack_deadline(subscription, ack_ids, seconds)
