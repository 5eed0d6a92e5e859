"""An event's bytes, written with one schema, as an event of another; and an event as bytes.

Bytes are read by the compiled core, by the same program that columns are taken with; fastavro writes. JSON is
`json_written`'s to write.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import fastavro

from user_state.events.limits import FIRST_TIME_US, Limits
from user_state.events.writers import Place, json_writer_of, writer_of
from user_state.spec.event_schema import EventSchema
from user_state.state.event_batch import BodyDecoder

ReadEvent = Callable[[bytes], dict[str, Any]]
_NO_PLACES = [Place("", check) for check in ("user", "id", "time", "published")]
_NO_LIMITS = Limits(0, 0, FIRST_TIME_US, FIRST_TIME_US, 1, 1)


def event_reader(writer: EventSchema, reader: EventSchema) -> ReadEvent:
    """Return a function that reads exactly one event of `writer`, as one of `reader`, which must resolve.

    The function raises ValueError.
    """
    how = writer_of(writer, reader, _NO_PLACES)
    return _reader(BodyDecoder(_NO_PLACES, [how], _NO_LIMITS, ""), how.head)


def json_reader(schema: EventSchema) -> ReadEvent:
    """Return a function that reads exactly one event of `schema` in JSON.

    The function raises ValueError.
    """
    writers = [writer_of(schema, schema, _NO_PLACES), json_writer_of(schema, _NO_PLACES)]
    return _reader(BodyDecoder(_NO_PLACES, writers, _NO_LIMITS, "", "json"), b"")


def _reader(decoder: BodyDecoder, head: bytes) -> ReadEvent:
    def read(data: bytes) -> dict[str, Any]:
        event = decoder.event(head + data)
        if isinstance(event, dict):
            return event
        raise ValueError(event[1])

    return read


def write_event(schema: EventSchema, event: Mapping[str, Any]) -> bytes:
    """Return the event's bytes; raises whatever Python raises where an event that does not fit trips fastavro."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema.parsed, event)
    return buffer.getvalue()
