"""One puller per subscription and process: background threads pull ahead, any DoFn instance takes.

Runners make many DoFn instances in a process and may leave most of them idle, so messages must never belong to one of
them. Threads do unary pulls into a queue bounded by messages and bytes; when it is full they stop pulling, and Pub/Sub
keeps the rest. What must not happen here:

- **A pull is never cancelled midway.** The service has handed out the messages by then, and they would be stranded
  until their ack deadline (tried on the emulator: 10 s without a message for each cancelled pull). A pull has a
  timeout of PULL_TIMEOUT_S instead; the service knows it and answers empty before it ends (the emulator: one second
  before).
- **Nothing is acknowledged here**: that is for the step that stored what became of the message.
- **Ordering keys keep their order**, where the subscription has message ordering enabled: one pull at a time, and one
  reader of the process takes everything, so that no two bundles hold messages of one key side by side. Across
  processes it is Pub/Sub that gives a key to one subscriber at a time.
- **Nothing waits in the queue for nobody.** On drain, or when no reader came for ABANDONED_S (or half a lease), it is
  given back (ack deadline 0), so that the messages go to another process at once.

    take() --starts--> threads --pull--> queue --take()--> reader
    draining(), no reader, failure, exit: the run is halted, its queue given back; the next take() starts a new run
"""

from __future__ import annotations

import atexit
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from transforms.acknowledge import LEASE_TIMEOUT_S, is_transient, set_ack_deadline, subscriber_client
from transforms.drain import draining
from transforms.health import goes_on, hindered
from user_state.errors import InputError

PULL_MESSAGES = 1000
"""Most messages of one pull; Pub/Sub gives no more."""

PULL_TIMEOUT_S = 2.5
QUEUE_MESSAGES = 5000
QUEUE_BYTES = 32 << 20
"""No pull is begun while so much waits; those under way may bring some more."""

ELEMENT_BYTES = 8 << 20
"""Of no more does one element consist, unless one pull brings more: large elements stay long, and need memory twice."""

THREADS = 2
ABANDONED_S = 10.0
FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 5.0

_LOG = logging.getLogger(__name__)


class SubscriptionPuller:
    """Pulls ahead from one subscription while readers come to take.

    Args:
        subscription: full path, `projects/P/subscriptions/S`.
        ack_deadline_s: lease set on every message when it is pulled, seconds; 0 leaves the subscription's own.
        queue_messages: most messages that wait here.
    """

    def __init__(self, subscription: str, ack_deadline_s: int, queue_messages: int = QUEUE_MESSAGES) -> None:
        self.subscription = subscription
        self._ack_deadline_s = ack_deadline_s
        self._lease_needed = ack_deadline_s > 0
        # In time before the leases of what waits here end.
        self._abandoned_s = min(ABANDONED_S, ack_deadline_s / 2) if ack_deadline_s else ABANDONED_S
        self._capacity = max(queue_messages, PULL_MESSAGES)
        self._changed = threading.Condition()
        # All below are read and written with `_changed` held.
        self._queue: deque[list[Any]] = deque()
        self._queued = 0
        self._queued_bytes = 0
        self._asked = 0  # messages that pulls under way may still bring
        self._halt: threading.Event | None = None  # of the present run; None while nothing runs
        self._threads: list[threading.Thread] = []
        self._last_reader_s = 0.0
        self._failure: Exception | None = None
        self._reachable = True
        self._ordered = False
        self._owner = ("", float("-inf"))  # who takes of an ordered subscription, and when it last asked
        self._pulling = threading.Lock()  # held while one pulls from an ordered subscription

    @property
    def waiting(self) -> int:
        """How many messages wait here."""
        with self._changed:
            return self._queued

    def take(self, max_messages: int, budget_s: float, first_wait_s: float, reader: str = "") -> list[Any]:
        """Return up to `max_messages` received messages (raw protobuf), waiting at most `budget_s` for them.

        Comes back empty after `first_wait_s` if nothing is there, and at once when a drain was requested. `reader` says
        who asks: of an ordered subscription one reader takes everything for as long as it keeps asking.

        Raises:
            InputError: the subscription cannot be pulled from, for good.
        """
        started_s = time.monotonic()
        taken: list[Any] = []
        taken_bytes = 0
        with self._changed:
            if not draining():
                self._run()
            while not draining():
                self._last_reader_s = time.monotonic()
                if self._ordered and not self._is_owner(reader):
                    self._changed.wait(first_wait_s)
                    return []
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise InputError(f"cannot pull from {self.subscription}: {failure}") from failure
                while self._queue and len(taken) < max_messages and taken_bytes < ELEMENT_BYTES:
                    part = self._pop(max_messages - len(taken))
                    taken_bytes += _bytes_of(part)
                    taken += part
                left_s = started_s + (budget_s if taken else min(first_wait_s, budget_s)) - time.monotonic()
                if left_s <= 0 or len(taken) >= max_messages or taken_bytes >= ELEMENT_BYTES:
                    break
                self._changed.wait(left_s)
        if draining():
            self.halt()
        return taken

    def halt(self) -> None:
        """Stop pulling and give back what is queued; the next `take` starts again."""
        with self._changed:
            halt, self._halt = self._halt, None
            waiting = [message for batch in self._queue for message in batch]
            self._queue.clear()
            self._queued = self._queued_bytes = 0
            if halt is not None:
                halt.set()
            self._changed.notify_all()
        self._lease(waiting, 0)

    def _is_owner(self, reader: str) -> bool:
        """Return whether this reader is the one that takes; it becomes so if there is none. `_changed` is held."""
        now_s = time.monotonic()
        owner, asked_s = self._owner
        if reader != owner and now_s - asked_s < ABANDONED_S:
            return False
        self._owner = (reader, now_s)
        return True

    def join(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` seconds for halted threads to end; return whether all did."""
        until = time.monotonic() + timeout_s
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        """Start the threads if none run; `_changed` is held."""
        if self._halt is not None:
            return
        self._halt = threading.Event()
        self._last_reader_s = time.monotonic()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(THREADS):
            thread = threading.Thread(target=self._pull_until, args=(self._halt,), name="pubsub-pull", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pull_until(self, halt: threading.Event) -> None:
        """Pull until the run is halted, or should be."""
        own_deadline_s, ordered = self._own_settings()
        self._lease_needed = self._ack_deadline_s > 0 and own_deadline_s < self._ack_deadline_s
        with self._changed:
            self._ordered = self._ordered or ordered
        one_at_a_time = self._pulling if ordered else nullcontext()
        backoff_s = FIRST_BACKOFF_S
        while not halt.is_set():
            if draining() or time.monotonic() - self._last_reader_s > self._abandoned_s:
                self._halt_run(halt)
                return
            asked = self._ask()
            if not asked:
                continue
            try:
                with one_at_a_time:
                    messages = self._pull(asked)
                    self._keep(messages, halt)
            except Exception as exc:  # a thread has nobody to raise to: the reader gets it
                if not is_transient(exc):
                    self._fail(halt, exc)
                    return
                if halt.is_set():
                    return
                self._note_reachable(exc)
                halt.wait(backoff_s * random.uniform(0.5, 1.0))
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
                continue
            finally:
                with self._changed:
                    self._asked -= asked
            self._note_reachable(None)
            backoff_s = FIRST_BACKOFF_S

    def _own_settings(self) -> tuple[int, bool]:
        """Return the subscription's own ack deadline in seconds, and whether it orders messages; 0 if we may not know.

        Where the deadline is long enough, no lease need be set: half the requests (on the emulator, twice the speed).
        """
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError

        try:
            found = subscriber_client().get_subscription(
                subscription=self.subscription, timeout=LEASE_TIMEOUT_S, retry=None
            )
        except (GoogleAPICallError, GoogleAuthError):
            return 0, False
        return int(found.ack_deadline_seconds), bool(found.enable_message_ordering)

    def _ask(self) -> int:
        """Wait a moment for room for one pull; return how many messages it may bring, 0 if there is no room."""
        with self._changed:
            if self._capacity - self._queued - self._asked < PULL_MESSAGES or self._queued_bytes >= QUEUE_BYTES:
                self._changed.wait(0.5)
                return 0
            self._asked += PULL_MESSAGES
            return PULL_MESSAGES

    def _pull(self, max_messages: int) -> list[Any]:
        from google.api_core.exceptions import DeadlineExceeded
        from google.pubsub_v1 import PullResponse

        try:
            response = subscriber_client().pull(
                subscription=self.subscription, max_messages=max_messages, timeout=PULL_TIMEOUT_S, retry=None
            )
        except DeadlineExceeded:
            return []  # nothing came: this is how an idle subscription may look
        # The raw protobuf: reading fields through proto-plus costs several times as much.
        messages = list(PullResponse.pb(response).received_messages)
        if messages and self._lease_needed:
            self._lease(messages, self._ack_deadline_s)
        return messages

    def _keep(self, messages: list[Any], halt: threading.Event) -> None:
        """Queue a pull's messages, or give them back if the run was halted meanwhile."""
        if not messages:
            return
        with self._changed:
            if not halt.is_set():
                self._queue.append(messages)
                self._queued += len(messages)
                self._queued_bytes += _bytes_of(messages)
                self._changed.notify_all()
                return
        self._lease(messages, 0)

    def _pop(self, room: int) -> list[Any]:
        """Take the oldest pull, or as much of it as there is room for; `_changed` is held."""
        batch = self._queue.popleft()
        if len(batch) > room:
            self._queue.appendleft(batch[room:])
            batch = batch[:room]
        self._queued -= len(batch)
        self._queued_bytes -= _bytes_of(batch)
        self._changed.notify_all()
        return batch

    def _halt_run(self, halt: threading.Event) -> None:
        """Halt the run of this thread, unless it is over and another has begun."""
        with self._changed:
            present = self._halt is halt
        if present:
            self.halt()

    def _fail(self, halt: threading.Event, error: Exception) -> None:
        with self._changed:
            if not halt.is_set():
                self._failure = error
        self._halt_run(halt)

    def _lease(self, messages: Sequence[Any], ack_deadline_s: int) -> None:
        set_ack_deadline(self.subscription, [message.ack_id for message in messages], ack_deadline_s)

    def _note_reachable(self, error: Exception | None) -> None:
        """Note that pulling fails; log when it starts to and when it works again, not every try."""
        if error is not None:
            hindered(self.subscription, f"cannot pull from {self.subscription}: {error}")
        with self._changed:
            changed = self._reachable != (error is None)
            self._reachable = error is None
        if changed and error is not None:
            _LOG.warning("cannot pull from %s, trying again: %s", self.subscription, error)
        elif changed:
            goes_on(self.subscription)
            _LOG.info("pulling from %s again", self.subscription)


def _bytes_of(messages: Sequence[Any]) -> int:
    """Return the size of the messages' bodies."""
    return sum(len(message.message.data) for message in messages)


_PULLERS: dict[tuple[str, int], SubscriptionPuller] = {}
_PULLERS_LOCK = threading.Lock()


def puller_of(subscription: str, ack_deadline_s: int) -> SubscriptionPuller:
    """Return this process's puller of `subscription` with leases of `ack_deadline_s` seconds."""
    with _PULLERS_LOCK:
        key = (subscription, ack_deadline_s)
        if key not in _PULLERS:
            _PULLERS[key] = SubscriptionPuller(subscription, ack_deadline_s)
        return _PULLERS[key]


def halt_all(timeout_s: float = PULL_TIMEOUT_S) -> bool:
    """Halt every puller of this process and wait up to `timeout_s` seconds; return whether all threads ended."""
    with _PULLERS_LOCK:
        pullers = list(_PULLERS.values())
    for puller in pullers:
        puller.halt()
    until = time.monotonic() + timeout_s
    return all(puller.join(max(0.0, until - time.monotonic())) for puller in pullers)


# A pull under way when the interpreter is torn down would lose what it brings, and may print from a dying thread.
atexit.register(halt_all)
