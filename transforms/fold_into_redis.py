"""Events -> records in Redis: gather a bundle's events, fold them, acknowledge what is stored.

Nothing depends on the runner's checkpoints: what is acknowledged is stored, what is not stored comes again. While
Redis is unavailable the bundle waits, acknowledging nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from transforms.acknowledge import acknowledge_ids
from transforms.backoff import Backoff
from transforms.bundle_buffer import BundleBuffer
from transforms.decode_events import DEAD
from transforms.fold_metrics import FoldMetrics
from transforms.leases import Leases
from transforms.outcomes import count_learned, give_back, settled
from transforms.packet import DeadLetter, pack_dead
from transforms.remote_run import RemoteRun, bundle_ended, join
from transforms.timed_store import TimedStore
from user_state.errors import InputError
from user_state.fold import Folder
from user_state.item_stage import ItemStage, OpenItems
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.state.event_batch import EventBatch, all_ack_ids
from user_state.store.store import StateStore

_OWNER = ReadModifyWriteStateSpec("owner", BytesCoder())
# How Beam is told what to pass to `process`: by default values of these types.
_OWNER_STATE = beam.DoFn.StateParam(_OWNER)
_TIME = beam.DoFn.TimestampParam

OpenStore = Callable[[], StateStore]


class FoldIntoRedis(beam.PTransform):
    """(shard, packet of events) -> packets of dead letters; the rest is stored and acknowledged.

    Args:
        spec: what is computed.
        open_store: opens the store in the worker; must pickle.
        cache_bytes: how much of the last read and written bytes each worker keeps.
        ack_deadline_s: what the leases of messages are extended by while they wait to be stored; 0 extends none.
        run: the run this is part of, if its command is another process.
        open_items: opens the store of items' records in the worker, if the spec has tables that are learned.
        epoch: of the spec, microseconds UTC: a newer one has a greater (`user_state.store.registry`).
    """

    def __init__(
        self,
        spec: LoadedSpec,
        open_store: OpenStore,
        *,
        cache_bytes: int = 64 << 20,
        ack_deadline_s: int = 0,
        run: RemoteRun | None = None,
        open_items: OpenItems | None = None,
        epoch: int | None = None,
    ) -> None:
        super().__init__()
        if open_items is None and any(items.learned is not None for items in spec.spec.items.values()):
            raise InputError("expected a store for the learned items that the spec declares, got none")
        self._fold = _FoldFn(spec, open_store, cache_bytes, ack_deadline_s, run, open_items, epoch)

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
        open_items: OpenItems | None,
        epoch: int | None,
    ) -> None:
        self._epoch = epoch
        self._open_items = open_items
        self._spec = spec
        self._open_store = open_store
        self._cache_bytes = cache_bytes
        self._ack_deadline_s = ack_deadline_s
        self._run = run

    def setup(self) -> None:
        join(self._run)
        plan = self._plan = compile_plan(self._spec)
        # A cluster is connected to at once, and may be away just now.
        self._store = Backoff().to_get(self._open_store)
        self._stage = None
        if (open_items := self._open_items) is not None and plan.learned:
            self._stage = Backoff().to_get(
                lambda: ItemStage(plan, open_items, epoch=self._epoch, cache_bytes=self._cache_bytes)
            )
        self._folder = Folder(
            plan,
            TimedStore(self._store),
            epoch=self._epoch,
            cache_bytes=self._cache_bytes,
            before_write=None if self._stage is None else self._stage.learn,
        )
        self._leases = Leases(self._ack_deadline_s, lambda packet: all_ack_ids(plan, packet))
        self._measures = FoldMetrics()

    def start_bundle(self) -> None:
        self._leases.release()  # of a bundle that failed
        self._buffer = BundleBuffer(self._plan)

    def process(
        self, packet: tuple[int, bytes], owner: Any = _OWNER_STATE, timestamp: Any = _TIME
    ) -> Iterator[TaggedOutput]:
        self._buffer.add(packet[1], timestamp)
        self._leases.hold(packet[1])
        if self._buffer.is_full:
            dead = self._fold()
            if dead:
                yield TaggedOutput(DEAD, pack_dead(dead))

    def finish_bundle(self) -> Iterator[TaggedOutput]:
        dead = self._fold() if self._buffer else []
        bundle_ended()
        yield from self._buffer.at_the_end(dead)

    def _fold(self) -> list[DeadLetter]:
        batch = self._buffer.take()
        waiting = Backoff()
        dead: list[DeadLetter] = []
        while len(batch):
            if self._stage is not None:
                waiting.for_store(self._stage.start)
            report = self._folder.fold_events(batch, waiting)
            self._measures.observe(batch, report)
            bundle = settled(batch, report)
            if self._stage is not None:
                count_learned(self._stage.take_report())
            acknowledge_ids(bundle.stored)
            dead += bundle.dead
            batch = EventBatch.join(self._plan, [batch.pack(give_back(batch, bundle.contended))])
        self._leases.release()
        return dead

    def teardown(self) -> None:
        if self._stage is not None:
            self._stage.close()
        close = getattr(self._store, "close", None)
        if close is not None:
            close()
