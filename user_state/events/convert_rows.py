"""Files of rows (Parquet, CSV, JSON lines, or Avro) -> one Avro file of a spec's events, in order of time.

Every row is held to the spec as the pipeline will: what it would refuse goes to a file of its own, a JSON object a
line:

    file, row     where it stands, the first row being 1
    reason        undecodable, or invalid
    detail        which column, what was expected, what was there
    data          the row as text

With publish times the file has messages (`message.avsc`), else plain events. Rows are sorted by the clock that the
pipeline goes by, the publish time, else the event time; in memory, about 300 bytes a row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from user_state.errors import EventError, InputError
from user_state.events.avro_blocks import each_message
from user_state.events.avro_files import write_events, write_messages
from user_state.events.decode import SINGLE_OBJECT, EventDecoder
from user_state.events.event_files import event_file
from user_state.events.message import Message
from user_state.events.row_files import SEGMENT_BYTES, SEGMENT_ROWS, RowFile
from user_state.events.segments import Segment, Why, open_named
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec

_READ_BYTES = 1 << 20


class Converted(NamedTuple):
    """What became of the rows.

    Attributes:
        events: how many are events now.
        bad: how many are not.
        why: the detail of the commonest reason among those, without the number of its row; empty if there are none.
        unused: columns that no field of the schema asks for.
    """

    events: int
    bad: int
    why: str
    unused: list[str]


class _Event(NamedTuple):
    """Sorts by time, then by place."""

    clock_us: int
    number: int
    body: bytes
    publish_us: int | None


def convert_rows(
    paths: Sequence[str],
    spec: LoadedSpec,
    path_out: Path,
    bad_rows: Path,
    *,
    publish_column: str | None = None,
    watch: Callable[[Iterable[Segment], int | None], Iterable[Segment]] = lambda segments, _: segments,
) -> Converted:
    """Convert files and return what became of their rows.

    Args:
        paths: the files.
        spec: whose events they are.
        path_out: the Avro file to write.
        bad_rows: the file for the rows that are no events; written only if there are any.
        publish_column: the column with the publish times; None is `publish_time`, if there is one.
        watch: passes on the segments as they are read, for progress, and is told how many rows there are, if that is
            known.

    Raises:
        InputError: a file that cannot be read or written, a column that is missing, or no row that is an event.
    """
    reading = _Reading(spec, bad_rows)
    with ExitStack() as files:
        opened = [(path, event_file(path, spec, publish_column=publish_column)) for path in paths]
        for _, file in opened:
            files.callback(file.close)
        files.callback(reading.close)
        unused = sorted({column for _, file in opened if isinstance(file, RowFile) for column in file.unused})
        totals = [_total(path, file) for path, file in opened]
        total = None if None in totals else sum(number for number in totals if number is not None)

        def segments() -> Iterator[Segment]:
            for path, file in opened:
                first = 0
                for segment in file.segments(0, SEGMENT_ROWS, SEGMENT_BYTES):
                    yield segment
                    reading.take(segment, path, first)
                    first += len(segment.messages)

        for _ in watch(segments(), total):
            pass
    if not reading.events:
        raise InputError(
            f"no row of {', '.join(paths[:3])} is an event: {reading.bad:,} are not; {reading.why or 'none at all'}"
        )
    _write(path_out, spec, sorted(reading.events))
    return Converted(len(reading.events), reading.bad, reading.why, unused)


class _Reading:
    """Gathers the events of segments; writes down the rows that are none."""

    def __init__(self, spec: LoadedSpec, bad_rows: Path) -> None:
        self._decoder = EventDecoder(compile_plan(spec), spec.schema)
        self._bad_rows = bad_rows
        self._file: IO[str] | None = None
        self._details: Counter[str] = Counter()
        self.events: list[_Event] = []
        self.bad = 0

    @property
    def why(self) -> str:
        """The commonest reason."""
        return self._details.most_common(1)[0][0] if self._details else ""

    def take(self, segment: Segment, path: str, first: int) -> None:
        messages = list(each_message(segment.messages))
        decoded = self._decoder.batch(segment.messages)
        wrong = {
            at: Why(error.reason, f"row {first + at + 1}: {error.detail}")
            for at, (_, error) in zip(decoded.refused_at, decoded.refused, strict=True)
        } | dict(segment.refused)
        clocks_us = iter(decoded.batch.published_us.tolist())
        refused = set(decoded.refused_at)
        for at, message in enumerate(messages):
            clock_us = None if at in refused else next(clocks_us)
            if at in wrong:
                self._write_down(path, first + at + 1, wrong[at], message)
            elif clock_us is not None:
                self.events.append(_Event(clock_us, len(self.events), message.data, message.publish_us))

    def _write_down(self, path: str, row: int, why: Why, message: Message) -> None:
        detail = why.detail.removeprefix(f"row {row}: ")
        self.bad += 1
        if len(self._details) < 1000 or detail in self._details:
            self._details[detail] += 1
        written: dict[str, Any] = {"file": path, "row": row, "reason": why.reason, "detail": detail}
        written["data"] = self._text(message.data)
        try:
            if self._file is None:
                self._file = self._bad_rows.open("w", encoding="utf-8")
            self._file.write(json.dumps(written, ensure_ascii=False) + "\n")
        except OSError as exc:
            raise InputError(f"cannot write {self._bad_rows}: {exc.strerror or exc}") from exc

    def _text(self, data: bytes) -> str:
        """Return a row as text: of one that is an event in form, and refused for what it says, the event as JSON."""
        if not data.startswith(SINGLE_OBJECT):
            return data.decode(errors="replace")
        try:
            return json.dumps(self._decoder.decode(data), default=_bytes_as_text, ensure_ascii=False)
        except EventError:
            return data.decode(errors="replace")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _bytes_as_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _total(path: str, file: Any) -> int | None:
    """Return how many rows a file has at most, None if counting them takes as long as reading them."""
    if not isinstance(file, RowFile) or path.endswith(".gz"):
        return None
    if file.total is not None:
        return file.total
    with open_named(path) as lines:
        return sum(part.count(b"\n") for part in iter(lambda: lines.read(_READ_BYTES), b""))


def _write(path: Path, spec: LoadedSpec, events: Sequence[_Event]) -> None:
    if any(event.publish_us is not None for event in events):
        messages = (Message(event.body, {}, event.publish_us, None, "") for event in events)
        write_messages(path, messages, spec.schema.original)
        return
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    write_events(path, (decoder.decode(event.body) for event in events), spec.schema.original)
