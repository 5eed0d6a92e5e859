"""Event rows -> records in Redis: gather a bundle's rows, fold them, acknowledge what is stored.

Nothing depends on the runner's checkpoints: what is acknowledged is stored, what is not stored comes again. While
Redis is unavailable the bundle waits, acknowledging nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms import tally
from transforms.acknowledge import acknowledge_messages
from transforms.decode_events import DEAD
from transforms.drain import draining, wait
from transforms.leases import Leases
from transforms.packet import DeadLetter, pack_dead, unpack_decoded
from transforms.remote_run import RemoteRun, bundle_ended, join
from user_state.core.admission import Outcome
from user_state.core.compile import compile_plan
from user_state.core.events import EventRow
from user_state.errors import StoreUnavailable
from user_state.events.message import Message
from user_state.fold import Folder
from user_state.spec import LoadedSpec
from user_state.store.store import StateStore

_LOG = logging.getLogger(__name__)
FOLD_AT = 20_000
"""Rows gathered before a bundle folds without waiting for its end: bounds memory."""
FOLD_AT_BYTES = 32 << 20
"""Bytes of packets, likewise."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
GIVE_UP_S = 20.0
"""How long a draining pipeline still waits for an unavailable store."""
DETAIL = {
    Outcome.TOO_LATE: ("too_late", "the event time is more than allowed_lateness before the publish time or the clock"),
    Outcome.FROM_FUTURE: ("from_future", "the event time is more than max_clock_skew after its publish time"),
}
_OWNER = ReadModifyWriteStateSpec("owner", BytesCoder())
# How Beam is told what to pass to `process`: by default values of these types.
_OWNER_STATE = beam.DoFn.StateParam(_OWNER)
_TIME = beam.DoFn.TimestampParam

OpenStore = Callable[[], StateStore]


class FoldIntoRedis(beam.PTransform):
    """(shard, packet of rows and messages) -> packets of dead letters; the rest is stored and acknowledged.

    Args:
        spec: what is computed.
        open_store: opens the store in the worker; must pickle.
        cache_bytes: how much of the last read and written bytes each worker keeps.
        ack_deadline_s: what the leases of messages are extended by while they wait to be stored; 0 extends none.
        run: the run this is part of, if its command is another process.
    """

    def __init__(
        self,
        spec: LoadedSpec,
        open_store: OpenStore,
        *,
        cache_bytes: int = 64 << 20,
        ack_deadline_s: int = 0,
        run: RemoteRun | None = None,
    ) -> None:
        super().__init__()
        self._fold = _FoldFn(spec, open_store, cache_bytes, ack_deadline_s, run)

    def expand(self, packets: Any) -> Any:
        """Fold each bundle's packets."""
        dead = (packets | "Fold" >> beam.ParDo(self._fold).with_outputs(DEAD))[DEAD]
        dead.element_type = bytes
        return dead


class _FoldFn(beam.DoFn):
    """The state cell is never used: declaring it makes every runner give a shard to one worker at a time."""

    OWNER = _OWNER

    def __init__(
        self,
        spec: LoadedSpec,
        open_store: OpenStore,
        cache_bytes: int,
        ack_deadline_s: int,
        run: RemoteRun | None,
    ) -> None:
        self._spec = spec
        self._open_store = open_store
        self._cache_bytes = cache_bytes
        self._ack_deadline_s = ack_deadline_s
        self._run = run

    def setup(self) -> None:
        join(self._run)
        plan = compile_plan(self._spec)
        self._store = self._open_store()
        self._folder = Folder(plan, self._store, cache_bytes=self._cache_bytes)
        self._leases = Leases(self._ack_deadline_s)
        self._started = False
        self._lag = Metrics.distribution(tally.NAMESPACE, "publish_to_stored_ms")
        self._size = Metrics.distribution(tally.NAMESPACE, "rows_per_fold")

    def start_bundle(self) -> None:
        self._leases.release()  # of a bundle that failed
        self._rows: list[EventRow] = []
        self._messages: list[Message] = []
        self._bytes = 0
        self._latest: Any = None

    def process(
        self, packet: tuple[int, bytes], owner: Any = _OWNER_STATE, timestamp: Any = _TIME
    ) -> Iterator[TaggedOutput]:
        rows, messages = unpack_decoded(packet[1])
        self._rows += rows
        self._messages += messages
        self._bytes += len(packet[1])
        self._leases.hold(messages)
        if self._latest is None or timestamp > self._latest:
            self._latest = timestamp
        if len(self._rows) >= FOLD_AT or self._bytes >= FOLD_AT_BYTES:
            dead = self._fold()
            if dead:
                yield TaggedOutput(DEAD, pack_dead(dead))

    def finish_bundle(self) -> Iterator[TaggedOutput]:
        dead = self._fold() if self._rows else []
        bundle_ended()
        if dead:
            window = GlobalWindow()
            yield TaggedOutput(DEAD, WindowedValue(pack_dead(dead), self._latest, [window]))

    def _fold(self) -> list[DeadLetter]:
        rows, messages = self._rows, self._messages
        self._rows, self._messages, self._bytes = [], [], 0
        waiting = _Patience()
        if not self._started:
            waiting.for_store(self._folder.start)
            self._started = True
        report = self._folder.fold(rows, waiting)
        stored: list[Message] = []
        dead: list[DeadLetter] = []
        for row, message, outcome in zip(rows, messages, report.outcome.tolist(), strict=True):
            if outcome in (Outcome.APPLIED, Outcome.DUPLICATE):
                stored.append(message)
            elif outcome == Outcome.BAD_RECORD:
                dead.append(DeadLetter(message, "bad_record", report.bad_records[row[0]]))
            else:
                dead.append(DeadLetter(message, *DETAIL[Outcome(outcome)]))
        acknowledge_messages(stored)
        self._leases.release()
        applied = int((report.outcome == Outcome.APPLIED).sum())
        tally.count(tally.APPLIED, applied)
        tally.count(tally.DUPLICATE, len(stored) - applied)
        tally.count(tally.WRITES, report.writes)
        tally.count(tally.CONFLICTS, report.conflicts)
        tally.count(tally.BYTES_WRITTEN, report.bytes_written)
        tally.count(tally.HORIZON_SHORTENED, report.shortened)
        self._size.update(len(rows))
        published = [message.publish_us for message in stored if message.ack_id is not None and message.publish_us]
        if published:
            # One observation a fold, the oldest: observing every event would cost more than folding it.
            self._lag.update(max(0, time.time_ns() // 1_000_000 - min(published) // 1000))
        return dead

    def teardown(self) -> None:
        close = getattr(self._store, "close", None)
        if close is not None:
            close()


class _Patience:
    """Waits while the store is unavailable; gives up once the pipeline drains and the store stays away."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        self._draining_since: float | None = None

    def __call__(self, problem: StoreUnavailable) -> None:
        tally.count(tally.UNAVAILABLE)
        if self._pause_s == FIRST_PAUSE_S:
            _LOG.warning("waiting, nothing is lost: %s", problem)
        if draining():
            now = time.monotonic()
            self._draining_since = self._draining_since or now
            if now - self._draining_since > GIVE_UP_S:
                raise problem
            time.sleep(self._pause_s)
        else:
            wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def for_store(self, action: Callable[[], None]) -> None:
        """Do something that needs the store, waiting as long as it takes."""
        while True:
            try:
                return action()
            except StoreUnavailable as problem:
                self(problem)
