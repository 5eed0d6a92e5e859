"""Events and labels on disk, split by user: a shard has all of its users, and is what is in memory at a time.

    shard of a user    xxh64(user) % shards
    a share of users   those whose xxh64 has upper 32 bits below that share of 2^32

A shard is two streams of Arrow, `events-00007` and `labels-00007`, written in the order in which they were read. Labels
come first: events of users without labels are in no row, and are not written. The files are of use to the process that
wrote them, or to one that goes on with its work after it was killed; not after a restart of the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from user_state.events.arrow_events import hashes_of_users
from user_state.history.event_source import Found
from user_state.history.event_tables import PUBLISHED, EventTables
from user_state.history.label_source import LabelBatches, LabelColumns, judged
from user_state.history.memory import give_back
from user_state.history.user_share import below
from user_state.plan.plan import Plan
from user_state.state.events import I64, U64, Events
from user_state.state.relevant import relevant

if TYPE_CHECKING:
    import pyarrow as pa

MOST_SHARDS = 500
"""A file of each is open while they are written."""
ROWS_BETWEEN = 500_000
"""So many rows of events are read before freed memory is given back, so that it does not grow with the input."""
SHARD_BYTES = 64 << 20
"""Of input files, for each shard, where nobody says how many there are to be."""
TIMES_OF = 16
"""Of so many events one says how publish times are spread."""
Choose = Callable[[Found, U64, U64], tuple[Any, Counter[str]]]
"""Called with events, the hashes of their users and of all users; returns (which are written, others by reason)."""


def by_shard(hashes: U64, count: int) -> tuple[I64, I64]:
    """Return (the order in which rows with these hashes are by shard, (count + 1,) where each begins there)."""
    shard = (hashes % np.uint64(count)).astype(np.uint16)
    order = np.argsort(shard, kind="stable")
    return order, np.searchsorted(shard[order], np.arange(count + 1))


def shards_for(input_bytes: int) -> int:
    """Return how many shards an input of this size takes."""
    return min(MOST_SHARDS, 1 + input_bytes // SHARD_BYTES)


class Shards:
    """Shards in a folder.

    Args:
        folder: where they are; it exists.
        plan: what events have.
        count: how many there are.
        user_share: the share of users that are of interest, from 0 to 1.
    """

    def __init__(self, folder: Path, plan: Plan, count: int, user_share: float = 1.0) -> None:
        self._folder = folder
        self._plan = plan
        self._count = count
        self._below = below(user_share)
        self._tables = EventTables(plan.kinds)

    def split_labels(
        self, labels: LabelBatches, columns: LabelColumns, since_us: int | None, until_us: int | None
    ) -> tuple[U64, Counter[str], int]:
        """Write labels; return (hashes of their users, ascending; labels left out, by reason; the latest time).

        Raises:
            InputError: a label has no user, or its time cannot be told.
        """
        import pyarrow as pa

        row, latest_us = 0, 0
        users = np.zeros(0, np.uint64)
        left_out: Counter[str] = Counter()
        with Writers(self._folder, "labels", self._count) as writers:
            for batch in labels.batches:
                table, found = judged(batch, columns, row)
                row += len(batch)
                hashes = hashes_of_users(found.users)[found.user]
                in_time = np.ones(len(found), np.bool_)
                in_time &= found.at_us >= since_us if since_us is not None else True
                in_time &= found.at_us < until_us if until_us is not None else True
                of_share = self._of_share(hashes)
                left_out["other_times"] += int((~in_time).sum())
                left_out["other_users"] += int((in_time & ~of_share).sum())
                chosen = np.flatnonzero(in_time & of_share)
                if len(chosen):
                    latest_us = max(latest_us, int(found.at_us[chosen].max()))
                users = np.union1d(users, hashes[chosen])
                self._write(writers, table.take(pa.array(chosen)), hashes[chosen])
            if not row:
                writers.schema = judged(pa.RecordBatch.from_pylist([], schema=labels.schema), columns, 0)[0].schema
        return users, left_out, latest_us

    def split_events(
        self, found: Iterator[Found], users: U64, end_us: int | None, advance: Callable[[int], object]
    ) -> Counter[str]:
        """Write the events of users with labels; return how many others there were, by reason.

        Args:
            found: what was read.
            users: hashes of the users who have labels, ascending.
            end_us: events that are published from then on are in no row; None keeps all.
            advance: is told how many rows have been read.
        """

        def chosen(one: Found, hashes: U64, of_users: U64) -> tuple[Any, Counter[str]]:
            events, left_out = one.events, Counter[str]()
            has_labels = _in(of_users, users)[events.user]
            is_relevant = relevant(self._plan, events)
            left_out["ignored"] = int((~is_relevant).sum())
            left_out["without_labels"] = int((is_relevant & ~has_labels).sum())
            kept = is_relevant & has_labels
            if end_us is not None:
                left_out["after_labels"] = int((kept & (events.published_us >= end_us)).sum())
                kept &= events.published_us < end_us
            return kept, left_out

        return self.split_chosen(found, chosen, advance)

    def split_chosen(self, found: Iterator[Found], choose: Choose, advance: Callable[[int], object]) -> Counter[str]:
        """Write the events that are chosen; return how many others there were, by reason.

        Args:
            found: what was read.
            choose: says which of some events are written.
            advance: is told how many rows have been read.
        """
        left_out: Counter[str] = Counter()
        since = 0
        with Writers(self._folder, "events", self._count) as writers:
            writers.schema = self._tables.schema
            for one in found:
                left_out.update(one.refused)
                of_users = hashes_of_users(one.events.users)
                hashes = of_users[one.events.user]
                chosen, others = choose(one, hashes, of_users)
                left_out.update(others)
                events = one.events if chosen.all() else one.events.take(chosen)
                self._write_events(writers, events, hashes[chosen])
                advance(len(one))
                since += len(one)
                if since >= ROWS_BETWEEN:
                    give_back()
                    since = 0
        return left_out

    def events(self, shard: int) -> Events:
        """Return the events of a shard, in the order in which they were read."""
        return self._tables.events(read_shard(self._folder, "events", shard))

    def event_batches(self, shard: int) -> Iterator[Events]:
        """Yield the events of a shard in pieces, in the order in which they were read."""
        import pyarrow as pa

        for batch in self._batches(shard):
            yield self._tables.events(pa.Table.from_batches([batch]))

    def publish_times_us(self, shard: int) -> I64:
        """Return publish times of a shard's events, one of TIMES_OF in each piece, microseconds UTC."""
        times = [batch.column(PUBLISHED).to_numpy()[::TIMES_OF].copy() for batch in self._batches(shard)]
        return np.concatenate([np.zeros(0, np.int64), *times])

    def _batches(self, shard: int) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        # Read and not mapped: what is mapped stays in memory until the last of it is let go.
        with pa.OSFile(str(_path(self._folder, "events", shard))) as source:
            yield from pa.ipc.open_stream(source)

    def event_bytes(self, shard: int) -> int:
        """Return the size of a shard's events on disk."""
        return _path(self._folder, "events", shard).stat().st_size

    def labels(self, shard: int) -> pa.Table:
        """Return the labels of a shard, as `label_source.judged` made them, in order of their rows."""
        return read_shard(self._folder, "labels", shard)

    def sizes(self) -> dict[str, int]:
        """Return the size of each file in bytes, by name."""
        return {path.name: path.stat().st_size for path in sorted(self._folder.glob("*-[0-9]*"))}

    def _of_share(self, hashes: U64) -> Any:
        return (hashes >> np.uint64(32)) < np.uint64(self._below)

    def _write(self, writers: Writers, table: pa.Table, hashes: U64) -> None:
        """Write the rows of a table, whose users have these hashes, each to its shard."""
        import pyarrow as pa

        order, ends = by_shard(hashes, self._count)
        self._write_parts(writers, table.take(pa.array(order)), ends)
        writers.schema = table.schema

    def _write_events(self, writers: Writers, events: Events, hashes: U64) -> None:
        order, ends = by_shard(hashes, self._count)
        self._write_parts(writers, self._tables.table(events.take(order)), ends)

    def _write_parts(self, writers: Writers, sorted_: pa.Table, ends: I64) -> None:
        for number in range(self._count):
            if ends[number + 1] > ends[number]:
                writers.write(number, sorted_.slice(ends[number], ends[number + 1] - ends[number]))


def _in(hashes: U64, users: U64) -> Any:
    """Return which of the hashes are among those of `users`, ascending."""
    if not len(users):
        return np.zeros(len(hashes), np.bool_)
    return users[np.minimum(np.searchsorted(users, hashes), len(users) - 1)] == hashes


class Writers:
    """A stream a shard; those that nothing was written to get a schema at the end."""

    def __init__(self, folder: Path, name: str, count: int) -> None:
        self._paths = [_path(folder, name, shard) for shard in range(count)]
        self._open: dict[int, Any] = {}
        self.schema: Any = None

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        import pyarrow as pa

        if kind is None:
            for shard in range(len(self._paths)):
                if shard not in self._open and self.schema is not None:
                    self.write(shard, pa.Table.from_batches([], self.schema))
        for stream in self._open.values():
            stream.close()

    def path(self, shard: int) -> Path:
        """Return the file of a shard."""
        return self._paths[shard]

    def write(self, shard: int, table: pa.Table) -> None:
        """Append rows."""
        import pyarrow as pa

        if shard not in self._open:
            self._open[shard] = pa.ipc.new_stream(str(self._paths[shard]), table.schema)
        self._open[shard].write_table(table)


def _path(folder: Path, name: str, shard: int) -> Path:
    return folder / f"{name}-{shard:05}"


def read_shard(folder: Path, name: str, shard: int) -> pa.Table:
    """Return a shard's table of this name."""
    import pyarrow as pa

    with pa.memory_map(str(_path(folder, name, shard))) as source:
        return pa.ipc.open_stream(source).read_all()
