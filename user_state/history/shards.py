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

from user_state.events.arrow_events import hashes_of
from user_state.history.event_source import Found
from user_state.history.label_source import LabelBatches, LabelColumns, judged
from user_state.history.memory import give_back
from user_state.history.user_share import below
from user_state.plan.plan import Plan
from user_state.state.events import I64, NULL_INT, U64, Column, Events, ListColumn
from user_state.state.relevant import relevant
from user_state.state.string_dictionary import NULL_CODE, StringPool

if TYPE_CHECKING:
    import pyarrow as pa

MOST_SHARDS = 500
"""A file of each is open while they are written."""
ROWS_BETWEEN = 500_000
"""So many rows of events are read before freed memory is given back, so that it does not grow with the input."""
SHARD_BYTES = 64 << 20
"""Of input files, for each shard, where nobody says how many there are to be."""
_USER, _ID, _TIME, _PUBLISHED = "user", "id", "time", "published"


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
        with _Writers(self._folder, "labels", self._count) as writers:
            for batch in labels.batches:
                table, found = judged(batch, columns, row)
                row += len(batch)
                hashes = hashes_of(pa.array(found.users, pa.large_string()))[found.user]
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
        import pyarrow as pa

        left_out: Counter[str] = Counter()
        since = 0
        with _Writers(self._folder, "events", self._count) as writers:
            writers.schema = self._schema()
            for one in found:
                events = one.events
                left_out.update(one.refused)
                of_users = hashes_of(pa.array(events.users, pa.large_string()))
                hashes = of_users[events.user]
                has_labels = _in(of_users, users)[events.user]
                is_relevant = relevant(self._plan, events)
                left_out["ignored"] += int((~is_relevant).sum())
                left_out["without_labels"] += int((is_relevant & ~has_labels).sum())
                chosen = is_relevant & has_labels
                if end_us is not None:
                    left_out["after_labels"] += int((chosen & (events.published_us >= end_us)).sum())
                    chosen &= events.published_us < end_us
                self._write(writers, self._table(events.take(chosen)), hashes[chosen])
                advance(len(one))
                since += len(one)
                if since >= ROWS_BETWEEN:
                    give_back()
                    since = 0
        return left_out

    def events(self, shard: int) -> Events:
        """Return the events of a shard, in the order in which they were read."""
        import pyarrow as pa

        table = _read(self._folder, "events", shard)
        coded = _coded(table.column(_USER))
        users, user = (coded[0].to_pylist(), coded[1]) if len(table) else ([], np.zeros(0, np.int64))
        code_of: dict[str, int] = {}
        columns: list[Column] = []
        for at, kind in enumerate(self._plan.kinds):
            column = table.column(f"field{at}")
            if kind.isupper():
                lists = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
                ends = np.asarray(lists.offsets, np.int64) - (lists.offsets[0].as_py() if len(lists) else 0)
                ends = ends if len(ends) else np.zeros(1, np.int64)
                columns.append(ListColumn(ends, _values(pa.chunked_array([lists.flatten()]), kind.lower(), code_of)))
            else:
                columns.append(_values(column, kind, code_of))
        ids, time_us, published_us = (table.column(name).to_numpy() for name in (_ID, _TIME, _PUBLISHED))
        return Events(users, user, ids, time_us, published_us, tuple(columns), StringPool.of_codes(code_of))

    def labels(self, shard: int) -> pa.Table:
        """Return the labels of a shard, as `label_source.judged` made them, in order of their rows."""
        return _read(self._folder, "labels", shard)

    def sizes(self) -> dict[str, int]:
        """Return the size of each file in bytes, by name."""
        return {path.name: path.stat().st_size for path in sorted(self._folder.glob("*-[0-9]*"))}

    def _of_share(self, hashes: U64) -> Any:
        return (hashes >> np.uint64(32)) < np.uint64(self._below)

    def _write(self, writers: _Writers, table: pa.Table, hashes: U64) -> None:
        """Write the rows of a table, whose users have these hashes, each to its shard."""
        import pyarrow as pa

        shard = (hashes % np.uint64(self._count)).astype(np.uint16)
        order = np.argsort(shard, kind="stable")
        ends = np.searchsorted(shard[order], np.arange(self._count + 1))
        sorted_ = table.take(pa.array(order))
        for number in range(self._count):
            if ends[number + 1] > ends[number]:
                writers.write(number, sorted_.slice(ends[number], ends[number + 1] - ends[number]))
        writers.schema = table.schema

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        types = {"s": pa.string(), "f": pa.float64(), "i": pa.int64(), "b": pa.int64()}
        fields = [(_USER, pa.string()), (_ID, pa.uint64()), (_TIME, pa.int64()), (_PUBLISHED, pa.int64())]
        for at, kind in enumerate(self._plan.kinds):
            kept = types[kind.lower()]
            fields.append((f"field{at}", pa.large_list(kept) if kind.isupper() else kept))
        return pa.schema(fields)

    def _table(self, events: Events) -> pa.Table:
        import pyarrow as pa

        arrays = [_texts(pa.array(events.users, pa.string()), events.user)]
        arrays += [pa.array(column) for column in (events.id_hash, events.time_us, events.published_us)]
        texts = pa.array(events.pool.texts, pa.string())
        for column, kind in zip(events.columns, self._plan.kinds, strict=True):
            values = column.values if isinstance(column, ListColumn) else column
            made = _texts(texts, values) if kind in "sS" else pa.array(values)
            if isinstance(column, ListColumn):
                made = pa.LargeListArray.from_arrays(pa.array(column.ends), made)
            arrays.append(made)
        return pa.Table.from_arrays(arrays, schema=self._schema())


def _in(hashes: U64, users: U64) -> Any:
    """Return which of the hashes are among those of `users`, ascending."""
    if not len(users):
        return np.zeros(len(hashes), np.bool_)
    return users[np.minimum(np.searchsorted(users, hashes), len(users) - 1)] == hashes


def _texts(texts: pa.Array, codes: I64) -> pa.Array:
    """Return the texts of codes, null for NULL_CODE."""
    import pyarrow as pa

    is_null = codes == NULL_CODE
    return texts.take(pa.array(np.where(is_null, 0, codes), mask=is_null))


def _coded(column: pa.ChunkedArray) -> tuple[Any, I64]:
    """Return (different texts in order of their coming, (n,) which of them each is, NULL_CODE for null)."""
    coded = column.dictionary_encode()
    if not coded.num_chunks:
        return coded.type.value_type, np.zeros(0, np.int64)
    indices = [chunk.indices.fill_null(NULL_CODE).to_numpy().astype(np.int64) for chunk in coded.chunks]
    return coded.chunk(coded.num_chunks - 1).dictionary, np.concatenate(indices)


def _values(column: pa.ChunkedArray, kind: str, code_of: dict[str, int]) -> Any:
    """Return values as `Events` has them; texts get codes."""
    if kind == "f":
        return column.fill_null(np.nan).to_numpy().astype(np.float64)
    if kind != "s":
        return column.fill_null(NULL_INT).to_numpy().astype(np.int64)
    if not len(column):
        return np.zeros(0, np.int64)
    texts, indices = _coded(column)
    codes = [code_of.setdefault(text, len(code_of)) for text in texts.to_pylist()]
    return np.array([*codes, NULL_CODE], np.int64)[indices]


class _Writers:
    """A stream a shard; those that nothing was written to get a schema at the end."""

    def __init__(self, folder: Path, name: str, count: int) -> None:
        self._paths = [_path(folder, name, shard) for shard in range(count)]
        self._open: dict[int, Any] = {}
        self.schema: Any = None

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        import pyarrow as pa

        if kind is None:
            for shard in range(len(self._paths)):
                if shard not in self._open and self.schema is not None:
                    self.write(shard, pa.Table.from_batches([], self.schema))
        for stream in self._open.values():
            stream.close()

    def write(self, shard: int, table: pa.Table) -> None:
        """Append rows."""
        import pyarrow as pa

        if shard not in self._open:
            self._open[shard] = pa.ipc.new_stream(str(self._paths[shard]), table.schema)
        self._open[shard].write_table(table)


def _path(folder: Path, name: str, shard: int) -> Path:
    return folder / f"{name}-{shard:05}"


def _read(folder: Path, name: str, shard: int) -> pa.Table:
    import pyarrow as pa

    with pa.memory_map(str(_path(folder, name, shard))) as source:
        return pa.ipc.open_stream(source).read_all()
