"""Events -> records in the runner's keyed state; Redis is a view of them, written at the end of each bundle.

For teams whose Redis is not durable: what is acknowledged is in a checkpoint, and Redis may lose everything. One cell a
user holds record and remembered ids (`user_state.state.runner_state`). The answers are those of `FoldIntoRedis`, the
price is an element, a read unless Beam still holds the cell, and a write to the runner for each user and bundle. Cells
are asked for as elements come, and read, with timers set, when all of the bundle's are folded.

One timer a user, which follows the watermark and so the wall time of the source's pulls:

    fires, and the retention is over        the cell is cleared; the view expires by itself
    fires, and it is not                    the view is written again, should Redis have lost it; set anew
    fires long before its time              nothing: a runner that drains fires every timer, and deletes nobody

The clock of this process decides which, never the firing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from transforms import counters
from transforms.backoff import Backoff
from transforms.bundle_buffer import BundleBuffer
from transforms.bundle_cells import BundleCells, CellSpec
from transforms.decode_events import DEAD
from transforms.fold_metrics import FoldMetrics
from transforms.outcomes import settled
from transforms.packet import DeadLetter, pack_dead
from transforms.remote_run import RemoteRun, bundle_ended, join
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.store.redis_store import RedisStateStore
from user_state.store.store import Replacement
from user_state.store.view import RedisView

DIRECT_WRITER = "direct"
"""What a run whose workers are threads of its command signs the view with."""
SIGN_EVERY_S = 10.0
"""How often a process says that it writes the view, and registers its layouts again, should Redis have lost them
without its noticing."""
_NEVER_S = float("-inf")
SHORTEST_LOOK_MS = 1000
TOLERANCE_MS = 300_000
"""Timers follow the clock of the source's machine; what fires no earlier than this before its time is on time."""

_CELL = CellSpec("cell", BytesCoder())
_LOOK = TimerSpec("look", TimeDomain.WATERMARK)
# How Beam is told what to pass to `process`: by default values of these types.
_KEY = beam.DoFn.KeyParam
_TIME = beam.DoFn.TimestampParam
_CELL_STATE = beam.DoFn.StateParam(_CELL)
_LOOK_TIMER = beam.DoFn.TimerParam(_LOOK)


class FoldIntoState(beam.PTransform):
    """(user, packet of events) -> packets of dead letters; the rest is in state, and in the view.

    Args:
        spec: what is computed.
        redis: URL of the view.
        timeout_s: longest a call to Redis takes.
        refresh_s: how often the view of a user who does nothing is written again, seconds.
        run: the run this is part of, if its command is another process.
        epoch: of the spec, microseconds UTC: a newer one has a greater (`user_state.store.registry`).
    """

    def __init__(
        self,
        spec: LoadedSpec,
        redis: str,
        *,
        timeout_s: float,
        refresh_s: float,
        run: RemoteRun | None = None,
        epoch: int | None = None,
    ) -> None:
        super().__init__()
        self._fold = _FoldFn(spec, redis, timeout_s, refresh_s, run, epoch)

    def expand(self, packets: Any) -> Any:
        """Fold each bundle's packets."""
        dead = (packets | "Fold" >> beam.ParDo(self._fold).with_outputs(DEAD))[DEAD]
        dead.element_type = bytes
        return dead


class _FoldFn(beam.DoFn):
    CELL = _CELL
    LOOK = _LOOK

    def __init__(
        self,
        spec: LoadedSpec,
        redis: str,
        timeout_s: float,
        refresh_s: float,
        run: RemoteRun | None,
        epoch: int | None,
    ) -> None:
        self._epoch = epoch
        self._spec = spec
        self._redis = redis
        self._timeout_s = timeout_s
        self._refresh_ms = max(SHORTEST_LOOK_MS, round(refresh_s * 1000))
        self._run = run

    def setup(self) -> None:
        join(self._run)
        name = self._spec.keyspace
        plan = self._plan = compile_plan(self._spec)
        # A cluster is connected to at once, and may be away just now.
        self._store = Backoff().to_get(lambda: RedisStateStore(self._redis, name, timeout_s=self._timeout_s))
        registry = self._store.registry
        self._view = Backoff().to_get(
            lambda: RedisView(self._redis, name, timeout_s=self._timeout_s, registry=registry)
        )
        self._cells = BundleCells(self._store)
        self._folder = Folder(
            plan,
            self._cells,
            epoch=self._epoch,
            cache_bytes=0,
            counts_events=True,
        )
        self._look_after_ms = min(self._refresh_ms, plan.retention_us // 1000)
        self._signed_s = _NEVER_S
        self._measures = FoldMetrics()

    def start_bundle(self) -> None:
        self._cells.start_bundle()
        self._buffer = BundleBuffer(self._plan)

    def process(
        self,
        packet: tuple[str, bytes],
        cell: Any = _CELL_STATE,
        look: Any = _LOOK_TIMER,
        timestamp: Any = _TIME,
    ) -> Iterator[TaggedOutput]:
        self._cells.hold(packet[0], cell, look)
        self._buffer.add(packet[1], timestamp)
        if self._buffer.is_full:
            dead = self._fold()
            if dead:
                yield TaggedOutput(DEAD, pack_dead(dead))

    @on_timer(_LOOK)
    def look(self, user: Any = _KEY, cell: Any = _CELL_STATE, look: Any = _LOOK_TIMER) -> None:
        held = self._cells.cell(user, cell)
        now_ms = _now_ms()
        if held is None or held.look_at_ms - now_ms > min(TOLERANCE_MS, self._look_after_ms // 2):
            return
        if held.expire_at_ms <= now_ms:
            self._cells.clear(user)
            counters.count(counters.USERS_EXPIRED)
            return
        self._set_timer(user, look, min(now_ms + self._look_after_ms, held.expire_at_ms))
        self._cells.refresh(user)

    def finish_bundle(self) -> Iterator[TaggedOutput]:
        dead = self._fold() if self._buffer else []
        self._write_view()
        bundle_ended()
        yield from self._buffer.at_the_end(dead)

    def _set_timer(self, user: str, look: Any, at_ms: int) -> None:
        at_ms = max(at_ms, _now_ms() + SHORTEST_LOOK_MS)
        look.set(Timestamp(micros=at_ms * 1000))
        self._cells.will_look(user, at_ms)

    def _fold(self) -> list[DeadLetter]:
        now_ms = _now_ms()
        for user, look, look_at_ms in self._cells.take_unread():
            if look_at_ms <= now_ms:
                self._set_timer(user, look, now_ms + self._look_after_ms)
        batch = self._buffer.take()
        report = self._folder.fold_events(batch, Backoff())
        self._write_view()
        self._measures.observe(batch, report)
        return settled(batch, report).dead

    def _write_view(self) -> None:
        """Show what was written, waiting for Redis; it holds nothing that could be lost, but readers wait for it."""
        written = self._cells.take_written()
        Backoff().for_store(lambda: self._show(written))

    def _show(self, written: list[Replacement]) -> None:
        """Write records, and say now and then whose they are and how to read them: at once if Redis may have lost it.

        Raises:
            StoreUnavailable: some or all may have been written.
        """
        signed_s, restarts = self._signed_s, self._view.restarts
        self._signed_s = _NEVER_S  # should Redis be away now, it may come back with nothing
        if time.monotonic() - signed_s > SIGN_EVERY_S:
            self._sign()
            signed_s = time.monotonic()
        counters.count(counters.STALE, self._view.write(written) if written else 0)
        if self._view.restarts != restarts:
            self._sign()
        self._signed_s = signed_s

    def _sign(self) -> None:
        self._folder.start()
        self._store.registry.restore()
        self._view.sign(DIRECT_WRITER if self._run is None else self._run.run)

    def teardown(self) -> None:
        self._store.close()
        self._view.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
