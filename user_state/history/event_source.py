"""Where history's events come from: files of every kind that `run` reads, or anything that Arrow can read.

Parquet and Arrow are taken over by columns where that can be done (`user_state/events/arrow_events.py`); everything
else becomes messages, and is decoded as in the stream. What is no event is counted by its reason, and read no further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from user_state.errors import InputError
from user_state.events.arrow_events import ArrowEvents
from user_state.events.decode import IGNORED, EventDecoder
from user_state.events.event_files import event_file
from user_state.events.message import Message
from user_state.events.row_files import PARQUET, RowFile, RowMessages, publish_column_of, stated_units_ns
from user_state.events.segments import OpenFile, Segment, Why, open_named, opened
from user_state.events.table_rows import Row, rows_of_batch
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.event_batch import MessageList
from user_state.state.events import I64, Events

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 100_000
"""How many rows of columns are taken over at once."""
_MESSAGES, _BYTES = 20_000, 8 << 20
_ROWS_ONE_BY_ONE = 5_000
_READ_BYTES = 1 << 20


class Refused(NamedTuple):
    """A message that is no event, or no event to be folded, and why."""

    message: Message
    reason: str
    detail: str


@dataclass(frozen=True)
class Found:
    """Events, and how many others there were beside them, by reason.

    Attributes:
        events: those that there are.
        refused: the others.
        letters: the others themselves, where they are asked for.
        message: returns the message of an event.
    """

    events: Events
    refused: Mapping[str, int] = field(default_factory=dict)
    letters: Sequence[Refused] = ()
    message: Callable[[int], Message] | None = None

    def __len__(self) -> int:
        return len(self.events) + sum(self.refused.values())


class EventSource:
    """Reads events of one spec.

    Args:
        plan: what a batch of events has.
        spec: the events' schema, and its versions.
        publish_column: the column of tables with the publish times; None is `publish_time`, if there is one.
        rows_at_once: about how many rows are in memory.
        keeps_refused: whether messages that are no events are kept.
        open_file: opens a file.
    """

    def __init__(
        self,
        plan: Plan,
        spec: LoadedSpec,
        publish_column: str | None = None,
        rows_at_once: int | None = None,
        *,
        keeps_refused: bool = False,
        open_file: OpenFile = open_named,
    ) -> None:
        self._plan = plan
        self._spec = spec
        self._publish_column = publish_column
        self._rows_at_once = rows_at_once or ROWS_AT_ONCE
        self._decoder = EventDecoder(plan, spec.schema)
        self._keeps_refused = keeps_refused
        self._open = open_file

    def of_files(self, paths: Sequence[str]) -> Iterator[Found]:
        """Yield the events of files, one after the other.

        Raises:
            InputError: one cannot be read, is damaged, or does not hold what it should.
        """
        for path in paths:
            if path.lower().endswith(PARQUET):
                yield from self._of_parquet(path)
            else:
                yield from self._of_messages(path)

    def of_batches(self, columns: list[str], batches: Iterable[pa.RecordBatch], origin: str) -> Iterator[Found]:
        """Yield the events of record batches that have these columns."""
        publish_column = publish_column_of(self._spec, self._publish_column)
        taken = ArrowEvents(self._plan, self._spec.schema, columns, publish_column, stated_units_ns(self._spec))
        by_row = RowMessages(self._spec, origin, publish_column)
        number = 0
        for whole in batches:
            for begin in range(0, len(whole), self._rows_at_once):
                batch = whole.slice(begin, self._rows_at_once)
                events = taken.events(batch)
                if events is not None:
                    yield Found(events, message=partial(_message_of_row, by_row, batch))
                else:
                    yield from self._one_by_one(taken, by_row, batch, number)
                number += len(batch)

    def _of_parquet(self, path: str) -> Iterator[Found]:
        import pyarrow.parquet as pq

        RowFile(path, self._spec, self._open, self._publish_column).close()  # says what is wrong with its columns
        with opened(path, self._open) as file:
            table = pq.ParquetFile(file, coerce_int96_timestamp_unit="us", buffer_size=_READ_BYTES, pre_buffer=False)
            columns = list(table.schema_arrow.names)
            known = [field["name"] for field in self._spec.schema.whole["fields"]]
            wanted = [*known, publish_column_of(self._spec, self._publish_column)]
            heads = {alias for one in self._spec.schema.whole["fields"] for alias in one.get("aliases", ())}
            chosen = [name for name in columns if name in wanted or name.partition(".")[0] in {*known, *heads}]
            batches = table.iter_batches(self._rows_at_once, columns=chosen)
            yield from self.of_batches(chosen, _undamaged(path, batches), path)

    def _one_by_one(
        self, taken: ArrowEvents, by_row: RowMessages, batch: pa.RecordBatch, number: int
    ) -> Iterator[Found]:
        """Yield a batch's events, of the parts with something odd in them row by row."""
        for begin in range(0, len(batch), _ROWS_ONE_BY_ONE):
            part = batch.slice(begin, _ROWS_ONE_BY_ONE)
            events = taken.events(part)
            yield (
                Found(events, message=partial(_message_of_row, by_row, part))
                if events is not None
                else self._decoded(_segment(by_row, rows_of_batch(part), number + begin))
            )

    def _of_messages(self, path: str) -> Iterator[Found]:
        file = event_file(path, self._spec, self._open, self._publish_column)
        try:
            for segment in file.segments(0, _MESSAGES, _BYTES):
                yield self._decoded(segment)
        finally:
            file.close()

    def _decoded(self, segment: Segment) -> Found:
        decoded = self._decoder.batch(segment.messages)
        events = Events.of_batch(decoded.batch)
        reasons = dict(zip(decoded.refused_at, (error.reason for _, error in decoded.refused), strict=True))
        is_event = np.ones(len(segment.messages), np.bool_)
        is_event[list(reasons)] = False
        wrong = np.array([at in segment.refused for at in np.flatnonzero(is_event).tolist()], np.bool_)
        if segment.refused and wrong.any():
            events = events.take(~wrong)
        reasons |= {at: why.reason for at, why in segment.refused.items()}
        counts = dict(Counter(reasons.values()))
        if not self._keeps_refused:
            return Found(events, counts)
        details = dict(zip(decoded.refused_at, (error.detail for _, error in decoded.refused), strict=True))
        details |= {at: why.detail for at, why in segment.refused.items()}
        places = np.flatnonzero(is_event)[~wrong]
        message = partial(_message_at, segment, places)
        letters = [
            Refused(_message(segment, at), reason, details[at])
            for at, reason in sorted(reasons.items())
            if reason != IGNORED
        ]
        return Found(events, counts, letters, message)


def _message(segment: Segment, at: int) -> Message:
    held = segment.messages
    return Message(*held.message(at)) if isinstance(held, MessageList) else held[at]


def _message_at(segment: Segment, places: I64, event: int) -> Message:
    return _message(segment, int(places[event]))


def _message_of_row(by_row: RowMessages, batch: pa.RecordBatch, row: int) -> Message:
    return by_row.message(next(rows_of_batch(batch.slice(row, 1))))[0]


def _undamaged(path: str, batches: Iterator[Any]) -> Iterator[Any]:
    while True:
        try:
            batch = next(batches, None)
        except (OSError, ValueError) as exc:  # pyarrow's are of these kinds
            raise InputError(f"{path}: damaged: {exc}") from exc
        if batch is None:
            return
        yield batch


def _segment(by_row: RowMessages, rows: Iterator[Row], number: int) -> Segment:
    messages: list[Message] = []
    refused: dict[int, Why] = {}
    for row in rows:
        message, why = by_row.message(row)
        if why is not None:
            refused[len(messages)] = why
        messages.append(message)
    return Segment(MessageList.of_messages(messages), 0, number + len(messages), refused)
