"""An event's bytes, written with one schema, as an event of another: compiled if both are flat, else fastavro's.

fastavro takes more for an event than is one: it ignores trailing bytes, takes a union's branch -1 for its last, and
reads a negative length to the end. So what it read must encode back into the same bytes.
For that it is asked for the names of the records it met in unions. Left to itself it holds a value against each branch,
and all that lies in the value against each branch there: with every level of unions the time doubles, and a body of a
hundred bytes could take years (`spec/schema_bounds.py` has the case that names do not help with).

Then it is read again, resolved. Two things are done for it: defaults become the values that they stand for (fastavro
hands out the JSON), and of a field's name and aliases only the one that counts is left.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import fastavro

from user_state.events.limits import FIRST_TIME_US, Limits
from user_state.events.writers import Place, Writer, writer_of
from user_state.spec.avro_types import NamedTypes, default_value, named_types
from user_state.spec.event_schema import EventSchema
from user_state.spec.resolution import field_sources
from user_state.state.event_batch import BodyDecoder

ReadEvent = Callable[[bytes], dict[str, Any]]
_NO_PLACES = [Place("", check) for check in ("user", "id", "time", "published")]
_NO_LIMITS = Limits(0, 0, FIRST_TIME_US, FIRST_TIME_US, 1, 1)


def event_reader(writer: EventSchema, reader: EventSchema) -> ReadEvent:
    """Return a function that reads exactly one event of `writer`, as one of `reader`, which must resolve.

    The function raises ValueError, or whatever else Python raises where bytes that are no event trip fastavro.
    """
    how = writer_of(writer, reader, _NO_PLACES)
    return _flat_reader(how) if how.is_flat else nested_reader(writer, reader)


def nested_reader(writer: EventSchema, reader: EventSchema) -> ReadEvent:
    """Return the same, read by fastavro whether or not the events are flat."""
    same = writer.fingerprint == reader.fingerprint
    return _any_reader(writer.parsed, None if same else _as_read(writer.parsed, reader.parsed))


def _flat_reader(how: Writer) -> ReadEvent:
    decoder = BodyDecoder(_NO_PLACES, [how], _NO_LIMITS, "")

    def read(data: bytes) -> dict[str, Any]:
        event = decoder.event(how.head + data)
        if isinstance(event, dict):
            return event
        raise ValueError(event[1])

    return read


def write_event(schema: EventSchema, event: Mapping[str, Any]) -> bytes:
    """Return the event's bytes; raises whatever Python raises where an event that does not fit trips fastavro."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema.parsed, event)
    return buffer.getvalue()


def _any_reader(writer: Any, reader: Any) -> ReadEvent:
    def read(data: bytes) -> dict[str, Any]:
        named = fastavro.schemaless_reader(io.BytesIO(data), writer, None, return_record_name=True)
        again = io.BytesIO()
        fastavro.schemaless_writer(again, writer, named)
        if again.getvalue() != data:
            raise ValueError("bytes that no writer writes")
        event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(data), writer, reader)
        return event

    return read


def _as_read(writer: Any, reader: Any) -> Any:
    """Return `reader` as fastavro should have it to read events of `writer`; see the module."""
    sources = field_sources(writer, reader)
    named = named_types(reader)
    whole = _with_default_values(reader, named)
    for field in whole["fields"]:
        source = sources[field["name"]]
        field["aliases"] = [] if source in (None, field["name"]) else [source]
    # Where fastavro looks up a type that is mentioned again by its name.
    whole["__named_schemas"] = named_types(whole)
    return whole


def _with_default_values(declared: Any, named: NamedTypes) -> Any:
    """Return a copy of the parsed schema `declared` in which defaults are the values that they stand for."""
    if isinstance(declared, list):
        return [_with_default_values(branch, named) for branch in declared]
    if not isinstance(declared, Mapping):
        return declared
    copied = dict(declared)
    for key in ("items", "values"):
        if key in copied:
            copied[key] = _with_default_values(copied[key], named)
    if "fields" in copied:
        copied["fields"] = [_field_with_default_value(field, named) for field in copied["fields"]]
    return copied


def _field_with_default_value(field: Mapping[str, Any], named: NamedTypes) -> dict[str, Any]:
    copied = {**field, "type": _with_default_values(field["type"], named)}
    if "default" in copied:
        with suppress(ValueError):  # one that does not fit is never used: the schemas would not have resolved
            copied["default"] = default_value(field["type"], field["default"], named)
    return copied
