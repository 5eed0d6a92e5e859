"""Avro files of events, and of messages as they stood on the wire: written for tests and tools, read for the oracle.

    write_events     plain Avro, one event a record, for traffic in which every event is whole
    write_messages   `message.avsc` envelopes, for traffic with corrupt messages, which must keep their bytes
    read_arrivals    either of them, as what the oracle judges

A message body is Avro's single-object encoding:

    byte 0-1   C3 01
    byte 2-9   CRC-64-AVRO fingerprint of the schema, little-endian
    byte 10-   the event

or, from senders that leave the first ten bytes out, the event alone. The fingerprint may be that of another version of
the schema; the event is then what fastavro resolves it to.

Logical types are left out as events are read: a UUID is text, a date a number, as in a record. A time in milliseconds
becomes microseconds, the unit of every time from there on.

The reading side must not use the pipeline's decoder: it is half of what the pipeline is checked against. It is
fastavro with the one rule that an event must encode back into the very bytes it came from, which tells a whole event
from bytes that fastavro makes something of (trailing bytes, negative lengths, union branch -1).
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import IO, Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from user_state.errors import EventError, InputError
from user_state.events.message import Message
from user_state.oracle import Arrival, microseconds
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.model import Spec
from user_state.spec.version_checks import check_resolves

MARKER = b"\xc3\x01"
MESSAGE_NAME = "user_state.Message"
BLOCK_BYTES = 16_000

Schema = Mapping[str, Any]


@lru_cache
def interaction_schema() -> Schema:
    """Return `interaction.avsc`, parsed; not to be changed."""
    return _packaged("interaction.avsc")


@lru_cache
def message_schema() -> Schema:
    """Return `message.avsc`, parsed; not to be changed."""
    return _packaged("message.avsc")


class SingleObject:
    """Events of one schema <-> message bodies.

    Args:
        schema: what events are read as, and written with.
        versions: other schemas that bodies may have been written with.
    """

    def __init__(self, schema: Schema, versions: Iterable[Schema] = ()) -> None:
        self.schema = schema
        # fastavro spells the fingerprint as little-endian hex already
        self.header = MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
        self._read_as = parse_event_schema(schema).parsed
        self._millis = _millis_fields(schema)
        others = [SingleObject(version) for version in versions]
        self._others = {other.header: _Resolving(other.schema, schema) for other in others}

    def encode(self, event: Mapping[str, Any]) -> bytes:
        """Return the body that holds `event`; what does not fit the schema raises fastavro's ValueError."""
        buffer = io.BytesIO()
        buffer.write(self.header)
        fastavro.schemaless_writer(buffer, self.schema, event)
        return buffer.getvalue()

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the event in `data`, its times in microseconds.

        Raises:
            EventError: `undecodable`.
        """
        header = data[: len(self.header)] if data.startswith(MARKER) else b""
        body = data[len(header) :]
        if header in self._others:
            return self._others[header].read(body)
        if header not in (self.header, b""):
            raise EventError("undecodable", f"expected a body that begins with {self.header.hex()}, got {header.hex()}")
        try:
            event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), self._read_as, None)
            buffer = io.BytesIO()
            fastavro.schemaless_writer(buffer, self._read_as, _with_names(body, self._read_as))
            again = buffer.getvalue()
        except Exception as exc:  # fastavro promises no type of error for bytes that are no event
            raise EventError("undecodable", f"expected one event, got {len(body)} bytes that are none: {exc}") from exc
        if again != body:
            raise EventError("undecodable", f"expected one event of {len(again)} bytes, got other {len(body)} bytes")
        return _in_microseconds(event, self._millis)


class _Resolving:
    """Events of the schema `writer` as events of `reader`."""

    def __init__(self, writer: Schema, reader: Schema) -> None:
        self._millis = _millis_fields(reader)
        self._writer = parse_event_schema(writer).parsed
        self._reader = _without_idle_aliases(parse_event_schema(reader).parsed, self._writer)

    def read(self, body: bytes) -> dict[str, Any]:
        """Return the event that `body` holds.

        Raises:
            EventError: `undecodable`.
        """
        try:
            again = io.BytesIO()
            fastavro.schemaless_writer(again, self._writer, _with_names(body, self._writer))
            event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), self._writer, self._reader)
        except Exception as exc:  # as above
            raise EventError("undecodable", f"expected one event, got {len(body)} bytes that are none: {exc}") from exc
        if again.getvalue() != body:
            raise EventError("undecodable", f"expected one event, got {len(body)} bytes that no writer writes")
        return _in_microseconds(event, self._millis)

    def resolve(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the event `written`, read without logical types, is for the reader; raises as `read`."""
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self._writer, written)
        return self.read(body.getvalue())


def write_events(
    path: str | os.PathLike[str],
    events: Iterable[Mapping[str, Any]],
    schema: Schema,
    codec: str = "deflate",
    block_bytes: int = BLOCK_BYTES,
) -> None:
    """Write events as a plain Avro file, replacing `path` only when all are written.

    A block ends once it has `block_bytes`: a paced replay reads a block at a time, so small ones pace it evenly.

    Raises:
        InputError: the file cannot be written, or an event does not fit the schema.
    """
    _write(Path(path), events, schema, codec, block_bytes)


def write_messages(
    path: str | os.PathLike[str], messages: Iterable[Message], schema: Schema, codec: str = "deflate"
) -> None:
    """Write messages as a file of envelopes, replacing `path` only when all are written.

    A message that carries an event instead of a body gets the event's single-object encoding as its body.

    Raises:
        InputError: the file cannot be written, or an event does not fit `schema`.
    """
    bodies = SingleObject(schema)
    envelopes = (
        {
            "data": message.data if message.event is None else bodies.encode(message.event),
            "attributes": message.attributes,
            "publish_time": message.publish_us,
        }
        for message in messages
    )
    _write(Path(path), envelopes, message_schema(), codec)


def read_arrivals(
    path: str | os.PathLike[str], spec: Spec, schema: Schema | None = None, versions: Iterable[Schema] = ()
) -> Iterator[Arrival]:
    """Yield what the oracle judges, in file order, from a file of events or of messages.

    An arrival's publish time is the envelope's; without one, the oracle looks for the spec's `published` field.

    Args:
        path: the Avro file.
        spec: names the fields that the events must have.
        schema: what events are read as, whatever schema a plain file brings; if not given, the file's own, and
            `interaction.avsc` inside envelopes.
        versions: other schemas that events inside envelopes may have been written with.

    Raises:
        InputError: no such file, no Avro file, events without the fields that the spec names, or of a schema that
            does not resolve to `schema`.
    """
    try:
        with Path(path).open("rb") as file:
            written = _written_schema(path, file)
            if parse_event_schema(written).name != MESSAGE_NAME:
                yield from _plain_arrivals(path, file, written, spec, schema)
                return
            body_schema = interaction_schema() if schema is None else schema
            _check_fields(path, spec, body_schema)
            bodies = SingleObject(body_schema, versions)
            for envelope in fastavro.reader(file):
                yield _arrival(envelope, bodies)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (ValueError, EOFError, OverflowError) as exc:
        raise InputError(f"expected an Avro file, got {path}: {exc}") from exc


def _written_schema(path: str | os.PathLike[str], file: IO[bytes]) -> Schema:
    """Return the schema that the file says its records were written with, and go back to its beginning.

    Raises:
        InputError: it is no Avro file, or one of which a few bytes might take long to read.
    """
    try:
        written: Schema = json.loads(fastavro.block_reader(file).metadata["avro.schema"])
        parse_event_schema(written)
        file.seek(0)
    except Exception as exc:  # fastavro promises no type of error for bytes that are no Avro file
        raise InputError(f"expected an Avro file, got {path}: {exc}") from exc
    return written


def _plain_arrivals(
    path: str | os.PathLike[str], file: IO[bytes], written: Schema, spec: Spec, schema: Schema | None
) -> Iterator[Arrival]:
    _check_fields(path, spec, written if schema is None else schema)
    if schema is None or SingleObject(written).header == SingleObject(schema).header:
        millis = _millis_fields(written if schema is None else schema)
        yield from (Arrival(_in_microseconds(event, millis)) for event in _records(file, written))
        return
    check_resolves(str(path), parse_event_schema(written), parse_event_schema(schema))
    resolving = _Resolving(written, schema)
    for event in _records(file, written, with_names=True):
        try:
            yield Arrival(resolving.resolve(event))
        except EventError as exc:
            yield Arrival(None, None, exc.reason)


def _records(file: IO[bytes], written: Schema, *, with_names: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the file's records without logical types, as `SingleObject` reads a body."""
    read_as = parse_event_schema(written).parsed
    for block in fastavro.block_reader(file):
        for _ in range(block.num_records):
            yield fastavro.schemaless_reader(block.bytes_, read_as, None, return_record_name=with_names)


def _millis_fields(schema: Schema) -> list[str]:
    """Return the names of the fields that hold times in milliseconds."""
    return [name for name, field in parse_event_schema(schema).fields.items() if field.unit == "ms"]


def _in_microseconds(event: dict[str, Any], millis: Iterable[str]) -> dict[str, Any]:
    """Return the event with its times in milliseconds made microseconds, in place."""
    for name in millis:
        if event[name] is not None:
            event[name] *= 1000
    return event


def _with_names(body: bytes, schema: Schema) -> dict[str, Any]:
    """Return the event in `body` with the names of the records in its unions, else fastavro guesses as it writes."""
    event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), schema, None, return_record_name=True)
    return event


def _arrival(envelope: Mapping[str, Any], bodies: SingleObject) -> Arrival:
    published = envelope["publish_time"]
    published_us = None if published is None else microseconds(published)
    try:
        return Arrival(bodies.decode(envelope["data"]), published_us)
    except EventError as exc:
        return Arrival(None, published_us, exc.reason)


def _without_idle_aliases(reader: Schema, writer: Schema) -> Schema:
    """Return `reader` with one alias at most a field, and none where the writer has the field under its own name.

    fastavro would go by whichever comes last in the writer.
    """
    written = [field["name"] for field in writer["fields"]]
    own = {field["name"] for field in reader["fields"]}
    fields = []
    for field in reader["fields"]:
        claimed = {*own, *(() if field["name"] not in written else written)}
        aliases = [name for name in field.get("aliases", []) if name in written and name not in claimed]
        fields.append({**field, "aliases": aliases[:1]})
    return {**reader, "fields": fields}


def _check_fields(path: str | os.PathLike[str], spec: Spec, schema: Schema) -> None:
    found = [field["name"] for field in schema["fields"]]
    for role, name in (("user", spec.events.user), ("id", spec.events.id), ("time", spec.events.time)):
        if name not in found:
            raise InputError(
                f"expected the events in {path} to have the field {name!r}, which the spec names as their {role}; "
                f"they have {', '.join(found)}"
            )


def _write(
    path: Path, records: Iterable[Mapping[str, Any]], schema: Schema, codec: str, block_bytes: int = BLOCK_BYTES
) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            fastavro.writer(file, schema, records, codec=codec, sync_interval=block_bytes)
        partial.replace(path)
    except OSError as exc:
        raise InputError(f"cannot write {path}: {exc.strerror or exc}") from exc
    except (ValueError, TypeError) as exc:
        raise InputError(f"cannot write {path}: a record does not fit the schema {schema.get('name')}: {exc}") from exc
    finally:
        partial.unlink(missing_ok=True)


def _packaged(name: str) -> Schema:
    text = (resources.files("user_state") / "schemas" / name).read_text("utf-8")
    parsed: Schema = fastavro.parse_schema(json.loads(text))
    return parsed
