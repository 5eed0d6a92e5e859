"""Files of history -> (shard, events as a stream of Arrow), judged by their own clocks; and dead letters.

One worker reads a file; files are spread over workers. What events are folded is `user_state.backfill.judge`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from transforms import counters
from transforms.file_systems import open_path
from transforms.history_counts import count_fates
from transforms.packet import KEYED_PACKETS, DeadLetter, pack_dead
from user_state.backfill.judge import Judge
from user_state.events.arrow_events import hashes_of_users
from user_state.history.event_source import EventSource
from user_state.history.event_tables import EventTables
from user_state.history.shards import by_shard
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec

SPLIT, DEAD = "split", "dead"


class ReadHistory(beam.PTransform):
    """Paths -> SPLIT: (shard, events), and DEAD: packets of dead letters.

    Args:
        spec: of the events.
        shards: how many.
        publish_column: the column of tables with the publish times.
        now_us: the wall clock as the backfill began, microseconds UTC.
        until_us: events published from then on are left out; None: all are read.
        user_share: the share of users that is asked for.
    """

    def __init__(
        self,
        spec: LoadedSpec,
        shards: int,
        publish_column: str | None,
        now_us: int,
        until_us: int | None,
        user_share: float,
    ) -> None:
        super().__init__()
        self._read = _ReadFn(spec, shards, publish_column, now_us, until_us, user_share)

    def expand(self, paths: Any) -> Any:
        """Read each file."""
        spread = paths | "SpreadFiles" >> beam.Reshuffle()
        outputs = spread | "Read" >> beam.ParDo(self._read).with_outputs(DEAD, main=SPLIT)
        outputs[SPLIT].element_type = KEYED_PACKETS
        outputs[DEAD].element_type = bytes
        return outputs


class _ReadFn(beam.DoFn):
    def __init__(
        self,
        spec: LoadedSpec,
        shards: int,
        publish_column: str | None,
        now_us: int,
        until_us: int | None,
        user_share: float,
    ) -> None:
        self._spec = spec
        self._shards = shards
        self._publish_column = publish_column
        self._judging = now_us, until_us, user_share

    def setup(self) -> None:
        plan = compile_plan(self._spec)
        self._source = EventSource(plan, self._spec, self._publish_column, keeps_refused=True, open_file=open_path)
        self._judge = Judge(plan, *self._judging)
        self._tables = EventTables(plan.kinds)

    def process(self, path: str) -> Iterator[Any]:
        for found in self._source.of_files([path]):
            counters.count(counters.READ, len(found))
            of_users = hashes_of_users(found.events.users)
            hashes = of_users[found.events.user]
            judged = self._judge.judge(found, hashes)
            count_fates(judged.counts, judged.latest_us)
            if judged.refused:
                yield TaggedOutput(DEAD, pack_dead(DeadLetter(*one) for one in judged.refused))
            events = found.events if judged.kept.all() else found.events.take(judged.kept)
            order, ends = by_shard(hashes[judged.kept], self._shards)
            table = self._tables.table(events.take(order))
            for shard in range(self._shards):
                if ends[shard + 1] > ends[shard]:
                    yield shard, as_stream(table.slice(ends[shard], ends[shard + 1] - ends[shard]))


def as_stream(table: pa.Table) -> bytes:
    """Return a table as bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def of_stream(packed: bytes) -> pa.Table:
    """Return what `as_stream` made bytes of."""
    return pa.ipc.open_stream(packed).read_all()
