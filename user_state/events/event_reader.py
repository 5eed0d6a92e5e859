"""An event's bytes, written with one schema, as an event of another: the quick way if both are flat, else fastavro's.

fastavro takes more for an event than is one (see `flat_reader`), so what it read must encode back into the same bytes;
then it is read again, resolved. Two things are done for it: defaults become the values that they stand for (fastavro
hands out the JSON), and of a field's name and aliases only the one that counts is left.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import fastavro

from user_state.events.flat_reader import flat_reader
from user_state.spec.avro_types import default_value, named_types
from user_state.spec.event_schema import EventSchema
from user_state.spec.resolution import field_sources

ReadEvent = Callable[[bytes], dict[str, Any]]


def event_reader(writer: EventSchema, reader: EventSchema) -> ReadEvent:
    """Return a function that reads exactly one event of `writer`, as one of `reader`, which must resolve.

    The function raises whatever Python raises where bytes that are no event trip it.
    """
    same = writer.fingerprint == reader.fingerprint
    flat = flat_reader(writer.parsed) if same else flat_reader(writer.parsed, reader.parsed)
    return flat or _any_reader(writer.parsed, None if same else _as_read(writer.parsed, reader.parsed))


def write_event(schema: EventSchema, event: Mapping[str, Any]) -> bytes:
    """Return the event's bytes; raises whatever Python raises where an event that does not fit trips fastavro."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema.parsed, event)
    return buffer.getvalue()


def _any_reader(writer: Any, reader: Any) -> ReadEvent:
    def read(data: bytes) -> dict[str, Any]:
        event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(data), writer, None)
        again = io.BytesIO()
        fastavro.schemaless_writer(again, writer, event)
        if again.getvalue() != data:
            raise ValueError("bytes that no writer writes")
        if reader is None:
            return event
        resolved: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(data), writer, reader)
        return resolved

    return read


def _as_read(writer: Any, reader: Any) -> Any:
    """Return `reader` as fastavro should have it to read events of `writer`; see the module."""
    sources = field_sources(writer, reader)
    named = named_types(reader)
    fields = []
    for field in reader["fields"]:
        source = sources[field["name"]]
        resolving = {**field, "aliases": [] if source in (None, field["name"]) else [source]}
        if source is None:
            resolving["default"] = default_value(field["type"], field["default"], named)
        fields.append(resolving)
    return {**reader, "fields": fields}
