"""Parquet, CSV and JSON lines as files of events: each row becomes a message in the spec's schema.

What a value may be is in `row_values.py`. The publish time of a row is in the column that is named for it, or in
`publish_time`, as Pub/Sub's exports call it, unless that is a field of the schema; without one the event time stands in
for it, as in files of Avro. A row that is no event is refused: `undecodable` if it cannot be told apart, `invalid` if a
value does not fit.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from user_state.errors import EventError, InputError, shorten
from user_state.events.avro_blocks import each_message
from user_state.events.avro_files import Schema, SingleObject, read_arrivals, view_of
from user_state.events.event_reader import write_event
from user_state.events.message import Message
from user_state.events.publish_times import EXPECTED, publish_time_us
from user_state.events.row_values import RowConverter
from user_state.events.segments import OpenFile, Segment, Why, open_named, opened
from user_state.events.table_rows import Row, TableRows, csv_rows, json_rows, parquet_rows
from user_state.events.writers import head_of
from user_state.oracle import Arrival
from user_state.spec import LoadedSpec
from user_state.spec.event_field import UNITS
from user_state.state.event_batch import MessageList

PUBLISH_COLUMN = "publish_time"
SEGMENT_ROWS = 5_000
SEGMENT_BYTES = 8 << 20
PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
JSON_LINES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def is_row_file(path: str) -> bool:
    """Return whether a file is one of these, by its name."""
    return path.lower().endswith((*PARQUET, *CSV, *JSON_LINES))


class RowMessages:
    """Rows -> messages in the spec's schema.

    Args:
        spec: what events are.
        origin: where the rows are from, for dead letters.
        publish_column: the column with the publish times; None if there is none.
        texts: whether values are texts, as in a CSV.
    """

    def __init__(self, spec: LoadedSpec, origin: str, publish_column: str | None, *, texts: bool = False) -> None:
        self._schema = spec.schema
        self._head = head_of(spec.schema)
        self._origin = origin
        self._publish_column = publish_column
        self.convert = RowConverter(spec.schema, texts=texts, units_ns=stated_units_ns(spec))

    def message(self, row: Row) -> tuple[Message, Why | None]:
        """Return a row's message, and why it is refused if it is."""
        if row.values is None:
            return self._refused(row), Why("undecodable", row.wrong)
        try:
            published_us = self._published_us(row.values)
            body = self._head + write_event(self._schema, self.convert.event(row.values))
        except ValueError as exc:
            return self._refused(row), Why("invalid", str(exc))
        return Message(body, {}, published_us, None, self._origin), None

    def _refused(self, row: Row) -> Message:
        return Message(row.raw or _as_json(row.values), {}, None, None, self._origin)

    def _published_us(self, values: Mapping[str, Any]) -> int | None:
        column = self._publish_column
        value = None if column is None else values.get(column)
        if value is None or value == "":
            return None
        if isinstance(value, datetime.datetime):
            aware = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
            return (aware - _EPOCH) // datetime.timedelta(microseconds=1)
        published_us = publish_time_us(str(value))
        if published_us is None:
            raise ValueError(f"column {column}: expected {EXPECTED}, got {shorten(value)}")
        return published_us


def stated_units_ns(spec: LoadedSpec) -> dict[str, int]:
    """Return the fields of integers that the spec says are times, and how many nanoseconds their unit has."""
    roles = spec.spec.events
    stated = {roles.time: roles.time_unit, roles.published: roles.published_unit}
    return {name: UNITS[unit] for name, unit in stated.items() if name is not None and unit is not None}


def publish_column_of(spec: LoadedSpec, named: str | None) -> str | None:
    """Return the column with the publish times: the one that is named, else `publish_time`, if it is no field."""
    return named or (PUBLISH_COLUMN if PUBLISH_COLUMN not in spec.schema.fields else None)


class RowFile:
    """Reads one file; a place is the number of a row.

    Args:
        path: the file.
        spec: what events are.
        open_file: opens it.
        publish_column: the column with the publish times; None is `publish_time`, if there is one.

    Raises:
        InputError: it cannot be read, or has no column for a field that every event has.
    """

    def __init__(
        self, path: str, spec: LoadedSpec, open_file: OpenFile = open_named, publish_column: str | None = None
    ) -> None:
        self._path = path
        self._publish_column = publish_column_of(spec, publish_column)
        self._messages = RowMessages(spec, path, self._publish_column, texts=path.lower().endswith(CSV))
        self._convert = self._messages.convert
        self._file = opened(path, open_file)
        try:
            self._table = self._opened()
            self._check_columns(self._table.columns, publish_column)
        except Exception:
            self._file.close()
            raise

    @property
    def total(self) -> int | None:
        """How many rows there are; None if that is not known."""
        return self._table.total

    @property
    def unused(self) -> list[str]:
        """Columns that no field asks for, where the file names its columns."""
        return [one for one in self._convert.unused(self._table.columns or []) if one != self._publish_column]

    def _opened(self) -> TableRows:
        name = self._path.lower()
        if name.endswith(PARQUET):
            return parquet_rows(self._path, self._file, self._wanted)
        return (csv_rows if name.endswith(CSV) else json_rows)(self._path, self._file)

    def _wanted(self, columns: list[str]) -> list[str]:
        unused = set(self._convert.unused(columns)) - {self._publish_column}
        return [column for column in columns if column not in unused]

    def _check_columns(self, columns: list[str] | None, publish_column: str | None) -> None:
        if columns is None:
            return
        missing = self._convert.missing(columns)
        if publish_column is not None and publish_column not in columns:
            missing.append(publish_column)
        if missing:
            raise InputError(
                f"expected columns {', '.join(missing)} in {self._path}, which has {shorten(', '.join(columns), 300)}"
            )

    def segments(self, place: int, most_messages: int, most_bytes: int) -> Iterator[Segment]:
        """Yield segments; as `EventFile`."""
        messages: list[Message] = []
        refused: dict[int, Why] = {}
        size, number = 0, place
        for row in self._rows(place):
            message, why = self._messages.message(row)
            if why is not None:
                refused[len(messages)] = why._replace(detail=f"row {number + 1}: {why.detail}")
            messages.append(message)
            size += len(message.data)
            number += 1
            if len(messages) >= most_messages or size >= most_bytes:
                yield Segment(MessageList.of_messages(messages), size, number, refused)
                messages, refused, size = [], {}, 0
        if messages:
            yield Segment(MessageList.of_messages(messages), size, number, refused)

    def _rows(self, place: int) -> Iterator[Row]:
        try:
            yield from self._table.rows(place)
        except (OSError, EOFError) as exc:  # such as a .gz that is cut
            raise InputError(f"{self._path}: damaged: {exc}") from exc

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def arrivals_of(
    path: str,
    spec: LoadedSpec,
    schema: Schema | None = None,
    versions: Iterable[Schema] = (),
    publish_column: str | None = None,
) -> Iterator[Arrival]:
    """Yield what the oracle judges, of a file of any kind; as `read_arrivals`.

    `publish_column` is as for `RowFile`, and of no other file.
    """
    if not is_row_file(path):
        yield from read_arrivals(path, spec.spec, schema, versions, spec.schema.bodies)
        return
    bodies = SingleObject(spec.schema.original)
    view = view_of(path, spec.spec, spec.schema.original)
    file = RowFile(path, spec, publish_column=publish_column)
    try:
        for segment in file.segments(0, SEGMENT_ROWS, SEGMENT_BYTES):
            for at, message in enumerate(each_message(segment.messages)):
                if at in segment.refused:
                    yield Arrival(None, None, segment.refused[at].reason)
                    continue
                try:
                    yield view.arrival(bodies.decode(message.data), message.publish_us)
                except EventError as exc:
                    yield Arrival(None, message.publish_us, exc.reason)
    finally:
        file.close()


def _as_json(values: Mapping[str, Any] | None) -> bytes:
    return json.dumps(values, default=str, ensure_ascii=False).encode(errors="surrogateescape")
