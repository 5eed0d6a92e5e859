"""(shard, its events) -> records in Redis, made from nothing, each written once; marks say which shards are there.

Whatever a runner does twice writes the same bytes, so that it may retry as it likes. A shard above PART_BYTES is sorted
in parts on the worker's disk.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from transforms.history_counts import count_shard
from transforms.read_history import of_stream
from user_state.backfill.fold import Made, ShardFold, folded_shard
from user_state.backfill.write import GenerationWriter
from user_state.history.event_tables import EventTables
from user_state.history.memory import give_back
from user_state.history.shards import Shards, Writers
from user_state.history.time_parts import PART_BYTES
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.store.backfill_marks import BackfillMarks
from user_state.store.redis_store import RedisStateStore
from user_state.store.store import StateStore


class FoldHistory(beam.PTransform):
    """(shard, packets of its events) -> nothing: its records are in Redis.

    Args:
        spec: of the generation.
        redis: where it is.
        job: names the backfill, 16 hexadecimal digits.
        epoch: of the spec, microseconds UTC.
        part_bytes: of a shard that is sorted in memory.
        open_store: opens the store of the records instead of that in Redis; must pickle.
    """

    def __init__(
        self,
        spec: LoadedSpec,
        redis: str,
        job: str,
        epoch: int,
        part_bytes: int = PART_BYTES,
        open_store: Callable[[], StateStore] | None = None,
    ) -> None:
        super().__init__()
        self._fold = _FoldFn(spec, redis, job, epoch, part_bytes, open_store)

    def expand(self, packets: Any) -> Any:
        """Gather each shard, and fold it."""
        return packets | "ByShard" >> beam.GroupByKey() | "Fold" >> beam.ParDo(self._fold)


class _FoldFn(beam.DoFn):
    def __init__(
        self,
        spec: LoadedSpec,
        redis: str,
        job: str,
        epoch: int,
        part_bytes: int,
        open_store: Callable[[], StateStore] | None,
    ) -> None:
        self._spec = spec
        self._redis = redis
        self._job = job
        self._epoch = epoch
        self._part_bytes = part_bytes
        self._open_store = open_store

    def setup(self) -> None:
        self._plan = compile_plan(self._spec)
        self._shards_fold = ShardFold(self._plan, int(self._job, 16))
        self._tables = EventTables(self._plan.kinds)
        keyspace = self._spec.keyspace
        self._store: Any = RedisStateStore(self._redis, keyspace) if self._open_store is None else self._open_store()
        self._marks = BackfillMarks(self._redis, keyspace, self._job)
        self._writer = GenerationWriter(self._plan, self._store, self._epoch, str(self._spec.generation))

    def process(self, packets: tuple[int, Iterable[bytes]]) -> None:
        shard, packed = packets
        count_shard()
        if shard in self._writer.waiting(self._marks.finished):
            return
        total: Counter[str] = Counter()
        for made in self._made(packed):
            total.update(self._writer.write(made))
        self._writer.waiting(lambda: self._marks.finish(shard, total))
        give_back()

    def _made(self, packed: Iterable[bytes]) -> Iterator[Made]:
        """Yield the records of a shard, which is in memory only as far as it fits."""
        tables: list[pa.Table] = []
        size = 0
        packets = iter(packed)
        for one in packets:
            size += len(one)
            tables.append(of_stream(one))
            if size > self._part_bytes:
                break
        else:
            yield from self._shards_fold.fold(self._tables.events(pa.concat_tables(tables)))
            return
        with tempfile.TemporaryDirectory(prefix="user-state-shard-") as made:
            folder = Path(made)
            with Writers(folder, "events", 1) as writers:
                for table in tables:
                    writers.write(0, table)
                tables.clear()
                for one in packets:
                    writers.write(0, of_stream(one))
            shards = Shards(folder, self._plan, 1)
            yield from folded_shard(self._shards_fold, shards, 0, folder, self._part_bytes)

    def teardown(self) -> None:
        self._store.close()
        self._marks.close()
