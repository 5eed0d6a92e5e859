"""Messages that were passed on and wait for the runner to say that they are safe: the finalizer-based mode.

For pipelines that end in the runner's own state, where no step can tell when a message is stored. Beam's bundle
finalizer alone is not enough on Flink: when any checkpoint completes, the runner finalizes *all* finished bundles, also
those that ended after that checkpoint's barrier and are not in it. Hence

    what a finalizer names is acknowledged CONFIRMATIONS finalizers later, each of a bundle that began after the last

A bundle that began after a finalizer was called is finalized by another checkpoint. That one's barrier came after what
was named, if checkpoints do not overlap; there is a pause between them, but a savepoint may overlap one, hence not
one finalizer later but two. The order is that of one shard of the source, since the runner tells one task of a
completed checkpoint after another; a shard stays in its task.

The store is the process's: a runner makes many DoFn instances, and may never call again the one that holds something.
Meanwhile one thread extends the leases. What is pending is given up, and comes again,

- when a shard does not go on where this process left it: the job was restored from a checkpoint, here or in another
  process that has had the shard meanwhile, and what was passed on after that checkpoint is in none;
- when nobody has called for a shard for ABANDONED_S: it has moved to another process.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from transforms.acknowledge import acknowledge, set_ack_deadline

EVERY_S = 1.0
"""A finalizer is left with the runner this often at most: each keeps a whole chain of DoFns alive until then."""

PROCESS = secrets.token_hex(4)
"""What this process is called where a shard says who has read it."""

CONFIRMATIONS = 2
ABANDONED_S = 120.0
SHARE = 0.4
"""A lease is extended after this share of it."""
DEFAULT_LEASE_S = 60
LOOK_S = 0.5

_LOG = logging.getLogger(__name__)
_TICKETS = itertools.count(1)


class _Named(NamedTuple):
    """Messages that a finalizer has named.

    Attributes:
        ticket: of the last finalizer that says so.
        confirmations: how many have said so since the first.
        ack_ids: of the messages.
    """

    ticket: int
    confirmations: int
    ack_ids: list[str]


class PendingShard:
    """What one shard of a subscription's readers has passed on in this process, in the order of its calls.

    Args:
        subscription: `projects/P/subscriptions/S`.
        lease_s: what leases are extended by, seconds; 0 for DEFAULT_LEASE_S.
    """

    def __init__(self, subscription: str, lease_s: int) -> None:
        self._subscription = subscription
        self._lease_s = lease_s or DEFAULT_LEASE_S
        self._lock = threading.Lock()
        # With the lock held:
        self._position = -1
        self._passed_on: list[str] = []  # not named yet
        self._before = 0  # how many were passed on before those
        self._named: list[_Named] = []
        self._called_s = self._extended_s = time.monotonic()
        self._left_s = float("-inf")

    def __len__(self) -> int:
        with self._lock:
            return len(self._passed_on) + sum(len(named.ack_ids) for named in self._named)

    def began(self, position: int, process: str = PROCESS) -> int:
        """Note that a call of the source began at this position of the shard; return its ticket.

        Args:
            position: one more than where the call before it began.
            process: the PROCESS of the call before it.
        """
        with self._lock:
            goes_on = (position, process) == (self._position + 1, PROCESS)
            self._position = position
            self._called_s = time.monotonic()
        if not goes_on:
            self.give_up(0)
        return next(_TICKETS)

    def passed_on(self, ack_ids: Iterable[str]) -> None:
        """Note what the present call passes on."""
        with self._lock:
            self._passed_on += ack_ids

    def finalizer(self, ticket: int) -> Callable[[], None] | None:
        """Return what is to be called when the bundle of the call with this ticket is finalized; None for nothing."""
        with self._lock:
            now_s = time.monotonic()
            if now_s - self._left_s < EVERY_S or not (self._passed_on or self._named):
                return None
            self._left_s = now_s
            up_to = self._before + len(self._passed_on)
        return lambda: self._finalized(ticket, up_to)

    def give_up(self, lease_s: int | None = None) -> None:
        """Forget what is pending: it comes again, at once if `lease_s` is 0."""
        ack_ids = self._forget()
        if ack_ids:
            _LOG.info("%d messages of %s come again", len(ack_ids), self._subscription)
            if lease_s is not None:
                set_ack_deadline(self._subscription, ack_ids, lease_s)

    def acknowledge_all(self) -> None:
        """Acknowledge what is pending: the pipeline has ended well."""
        acknowledge(self._subscription, self._forget())

    def extend(self, now_s: float) -> None:
        """Extend the leases if it is time, or give up if nobody calls any more."""
        with self._lock:
            if now_s - self._extended_s < SHARE * self._lease_s:
                return
            self._extended_s = now_s
            abandoned = now_s - self._called_s > ABANDONED_S
            ack_ids = self._pending()
        if abandoned:
            self.give_up()
        else:
            set_ack_deadline(self._subscription, ack_ids, self._lease_s)

    def _finalized(self, ticket: int, up_to: int) -> None:
        ready: list[str] = []
        with self._lock:
            still: list[_Named] = []
            for named in self._named:
                if named.ticket >= ticket:
                    still.append(named)
                elif named.confirmations + 1 < CONFIRMATIONS:
                    still.append(_Named(next(_TICKETS), named.confirmations + 1, named.ack_ids))
                else:
                    ready += named.ack_ids
            fresh = max(0, up_to - self._before)
            if fresh:
                still.append(_Named(next(_TICKETS), 0, self._passed_on[:fresh]))
                self._passed_on = self._passed_on[fresh:]
                self._before = up_to
            self._named = still
        acknowledge(self._subscription, ready)

    def _pending(self) -> list[str]:
        """Return the ack ids of all that is pending; the lock is held."""
        return [*self._passed_on, *(ack_id for named in self._named for ack_id in named.ack_ids)]

    def _forget(self) -> list[str]:
        with self._lock:
            ack_ids = self._pending()
            self._before += len(self._passed_on)
            self._passed_on, self._named = [], []
        return ack_ids


_SHARDS: dict[tuple[str, str], PendingShard] = {}
_SHARDS_LOCK = threading.Lock()
_THREADS: list[threading.Thread] = []


def pending_of(subscription: str, shard: str, lease_s: int) -> PendingShard:
    """Return what this process has passed on of a shard."""
    with _SHARDS_LOCK:
        key = (subscription, shard)
        if key not in _SHARDS:
            _SHARDS[key] = PendingShard(subscription, lease_s)
        if not _THREADS:
            _THREADS.append(threading.Thread(target=_extend, name="pubsub-pending", daemon=True))
            _THREADS[0].start()
        return _SHARDS[key]


def acknowledge_pending() -> None:
    """Acknowledge all that this process has passed on: its pipeline has ended well, on a runner within this process."""
    for shard in _all():
        shard.acknowledge_all()


def give_up_pending(lease_s: int = 0) -> None:
    """Have all that is pending come again: this process ends, or its pipeline failed."""
    for shard in _all():
        shard.give_up(lease_s)


def _all() -> list[PendingShard]:
    with _SHARDS_LOCK:
        return list(_SHARDS.values())


def _extend() -> None:
    while True:
        time.sleep(LOOK_S)
        now_s = time.monotonic()
        for shard in _all():
            shard.extend(now_s)
