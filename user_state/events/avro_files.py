"""Avro files of events, and of messages as they stood on the wire: written for tests and tools, read for the oracle.

    write_events     plain Avro, one event a record, for traffic in which every event is whole
    write_messages   `message.avsc` envelopes, for traffic with corrupt messages, which must keep their bytes
    read_arrivals    either of them, as what the oracle judges

A message body that is written here is Avro's single-object encoding:

    byte 0-1   C3 01
    byte 2-9   CRC-64-AVRO fingerprint of the schema, little-endian
    byte 10-   the event

One that is read may also be as the spec's `encoding` says; `user_state.oracle.framing` takes it apart. An event of
another schema is what fastavro resolves it to.

Logical types are left out as events are read: a UUID is text, a date a number, as in a record. A time in milliseconds
becomes microseconds, the unit of every time from there on.

The reading side must not use the pipeline's decoder: it is half of what the pipeline is checked against. It is
fastavro, where an event fits its schema and encodes back into the very bytes it came from; that tells a whole event
from bytes that fastavro makes something of (trailing bytes, negative lengths, union branch -1, ints of more than 32
bits). Where it does not, and of schemas of which a few bytes could keep fastavro busy, `user_state.oracle.body` says
what the bytes are.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import IO, Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form
from fastavro.validation import validate

from user_state.errors import EventError, InputError, SpecError
from user_state.events.message import Message
from user_state.events.segments import open_named
from user_state.oracle import Arrival, View, microseconds, used_fields
from user_state.oracle.body import read_body, read_records
from user_state.oracle.framing import JSON, opened
from user_state.oracle.json_body import read_json
from user_state.schema_registry.schemas import JsonSchema, schemas_of
from user_state.spec.bodies import Bodies
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.model import Spec
from user_state.spec.schema_bounds import check_bounds_of_fastavro, fastavro_can_read
from user_state.spec.version_checks import check_resolves, unread

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
        bodies: how bodies that are read are encoded.
    """

    def __init__(self, schema: Schema, versions: Iterable[Schema] = (), bodies: Bodies | None = None) -> None:
        self.schema = schema
        self._bodies = bodies or Bodies()
        self._revisions = {name: one.original for name, one in self._bodies.by_revision.items()}
        self._met: dict[str, _Reading | _Resolving | None] = {}
        # fastavro spells the fingerprint as little-endian hex already
        self.header = MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
        self._reading = _Reading(parse_event_schema(schema))
        others = [SingleObject(version) for version in (*versions, *self._revisions.values())]
        self._others = {other.header: _Resolving(other.schema, schema) for other in others}

    def encode(self, event: Mapping[str, Any]) -> bytes:
        """Return the body that holds `event`; what does not fit the schema raises fastavro's ValueError."""
        buffer = io.BytesIO()
        buffer.write(self.header)
        fastavro.schemaless_writer(buffer, self.schema, event)
        return buffer.getvalue()

    def decode(self, data: bytes, attributes: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the event in `data`, its times in the units of their fields.

        Raises:
            EventError: `undecodable`.
            RegistryUnavailable: its schema is in a registry, which does not answer.
        """
        known = {header[len(MARKER) :] for header in (self.header, *self._others)}
        try:
            framed = opened(data, attributes or {}, self._bodies.encoding, known, self._schema_of, self._revisions)
        except ValueError as exc:
            raise EventError("undecodable", f"expected a body of {self._bodies.encoding}: {exc}") from exc
        if framed.schema == JSON:
            return self._of_json(framed.event)
        if framed.schema is not None:
            return self._reader_of(framed.schema).read(framed.event)
        if self._bodies.encoding == "json" and framed.fingerprint is None:
            return self._of_json(framed.event)
        header = MARKER + framed.fingerprint if framed.fingerprint is not None else self.header
        return self._others.get(header, self._reading).read(framed.event)

    def _of_json(self, body: bytes) -> dict[str, Any]:
        try:
            return read_json(self._reading.whole, body)
        except ValueError as exc:
            raise EventError("undecodable", f"expected one event in JSON, got {len(body)} bytes that are none") from exc

    def _schema_of(self, number: int) -> Any:
        """Return the schema of an id, None if there is none."""
        if self._bodies.registry is None:
            found: EventSchema | JsonSchema | str | None = self._bodies.by_id.get(number)
        else:
            found = schemas_of(self._bodies.registry).schema(number)
        if isinstance(found, JsonSchema):
            return JSON
        return found.original if isinstance(found, EventSchema) else None

    def _reader_of(self, written: Any) -> _Reading | _Resolving:
        """Return how events of a schema are read that their body names.

        Raises:
            EventError: they cannot be.
        """
        text = json.dumps(written)
        if text not in self._met:
            self._met[text] = self._new_reader_of(written)
        reader = self._met[text]
        if reader is None:
            raise EventError("undecodable", "expected a schema that resolves")
        return reader

    def _new_reader_of(self, written: Any) -> _Reading | _Resolving | None:
        try:
            writer = parse_event_schema(written)
        except SpecError:
            return None
        if MARKER + writer.fingerprint == self.header:
            return self._reading
        return None if unread(writer, parse_event_schema(self.schema)) else _Resolving(written, self.schema)


class _Reading:
    """Events of one schema, read without logical types."""

    def __init__(self, schema: EventSchema) -> None:
        self.whole = schema.whole
        self._schema = schema.parsed
        self._is_quick = fastavro_can_read(schema.whole)

    def read(self, body: bytes) -> dict[str, Any]:
        """Return the event that `body` holds.

        Raises:
            EventError: `undecodable`.
        """
        if self._is_quick:
            # fastavro promises no type of error for bytes that are no event.
            with suppress(Exception):
                again, named = io.BytesIO(), _with_names(body, self._schema)
                fastavro.schemaless_writer(again, self._schema, named)
                # It writes an int of more than 32 bits as it does a long.
                if again.getvalue() == body and validate(named, self._schema, raise_errors=False):
                    event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), self._schema, None)
                    return event
        try:
            event = read_body(self._schema, body)
        except ValueError as exc:
            raise EventError("undecodable", f"expected one event, got {len(body)} bytes that are none: {exc}") from exc
        return event


class _Resolving:
    """Events of the schema `writer` as events of `reader`."""

    def __init__(self, writer: Schema, reader: Schema) -> None:
        written = parse_event_schema(writer)
        self._reading = _Reading(written)
        self._writer = written.parsed
        read = _with_aliases(parse_event_schema(reader).parsed, _names_of_nobody(self._writer))
        self._reader = _without_idle_aliases(read, self._writer)

    def read(self, body: bytes) -> dict[str, Any]:
        """Return the event that `body` holds.

        Raises:
            EventError: `undecodable`.
        """
        self._reading.read(body)
        try:
            event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), self._writer, self._reader)
        except Exception as exc:  # as above
            raise EventError("undecodable", f"expected one event, got {len(body)} bytes that are none: {exc}") from exc
        return event


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
    path: str | os.PathLike[str],
    spec: Spec,
    schema: Schema | None = None,
    versions: Iterable[Schema] = (),
    bodies: Bodies | None = None,
) -> Iterator[Arrival]:
    """Yield what the oracle judges, in file order, from a file of events or of messages.

    An arrival's publish time is the envelope's; without one, the oracle looks for the spec's `published` field.

    Args:
        path: the Avro file.
        spec: names the fields that the events must have.
        schema: what events are read as, whatever schema a plain file brings; if not given, the file's own, and
            `interaction.avsc` inside envelopes.
        versions: other schemas that events inside envelopes may have been written with.
        bodies: how the bodies inside envelopes are encoded.

    Raises:
        InputError: no such file, no Avro file, events without the fields that the spec names, or of a schema that
            does not resolve to `schema`.
    """
    try:
        with open_named(os.fspath(path)) as file:
            written = _written_schema(path, file)
            if parse_event_schema(written).name != MESSAGE_NAME:
                yield from _plain_arrivals(path, file, written, spec, schema)
                return
            body_schema = interaction_schema() if schema is None else schema
            view = view_of(path, spec, body_schema)
            decoder = SingleObject(body_schema, versions, bodies)
            for envelope in fastavro.reader(file):
                yield _arrival(envelope, decoder, view)
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
        schema = parse_event_schema(written)
        if schema.name == MESSAGE_NAME:
            check_bounds_of_fastavro(schema.whole)
        file.seek(0)
    except Exception as exc:  # fastavro promises no type of error for bytes that are no Avro file
        raise InputError(f"expected an Avro file, got {path}: {exc}") from exc
    return written


def _plain_arrivals(
    path: str | os.PathLike[str], file: IO[bytes], written: Schema, spec: Spec, schema: Schema | None
) -> Iterator[Arrival]:
    view = view_of(path, spec, written if schema is None else schema)
    if schema is None or SingleObject(written).header == SingleObject(schema).header:
        yield from (view.arrival(event) for _, event in _records(file, written))
        return
    check_resolves(str(path), parse_event_schema(written), parse_event_schema(schema))
    resolving = _Resolving(written, schema)
    for body, _ in _records(file, written):
        try:
            yield view.arrival(resolving.read(body))
        except EventError as exc:
            yield Arrival(None, None, exc.reason)


def _records(file: IO[bytes], written: Schema) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the bytes of each of the file's records, and the record without logical types."""
    schema = parse_event_schema(written)
    for block in fastavro.block_reader(file):
        data = block.bytes_.read()
        if not fastavro_can_read(schema.whole):
            yield from read_records(schema.parsed, data, block.num_records)
            continue
        stream = io.BytesIO(data)
        for _ in range(block.num_records):
            begin = stream.tell()
            event: Any = fastavro.schemaless_reader(stream, schema.parsed, None)
            yield data[begin : stream.tell()], event


def view_of(path: str | os.PathLike[str], spec: Spec, schema: Schema) -> View:
    """Return how the spec sees events of a schema.

    Raises:
        InputError: they lack a field that the spec names.
    """
    _check_fields(path, spec, schema)
    return View(spec, parse_event_schema(schema).whole, used_fields(spec))


def _with_names(body: bytes, schema: Schema) -> dict[str, Any]:
    """Return the event in `body` with the names of the records in its unions, else fastavro guesses as it writes."""
    event: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), schema, None, return_record_name=True)
    return event


def _arrival(envelope: Mapping[str, Any], bodies: SingleObject, view: View) -> Arrival:
    published = envelope["publish_time"]
    published_us = None if published is None else microseconds(published)
    if not envelope["data"]:
        return Arrival(None, published_us, "no body")
    try:
        return view.arrival(bodies.decode(envelope["data"], envelope.get("attributes")), published_us)
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


def _names_of_nobody(schema: Any) -> list[str]:
    """Return the names of records that are none in Avro's sense: Beam's rows have random UUIDs."""
    if isinstance(schema, list):
        return [name for one in schema for name in _names_of_nobody(one)]
    if not isinstance(schema, Mapping):
        return []
    own = schema.get("name", "_") if schema.get("type") == "record" else "_"
    inside = [field["type"] for field in schema.get("fields", ())] + [
        schema[key] for key in ("type", "items", "values") if key in schema
    ]
    return [*([] if own.rpartition(".")[2].isidentifier() else [own]), *_names_of_nobody(inside)]


def _with_aliases(schema: Any, names: Sequence[str]) -> Any:
    """Return `schema` with these names as aliases of every record, since fastavro compares names."""
    if not names or isinstance(schema, str):
        return schema
    if isinstance(schema, list):
        return [_with_aliases(one, names) for one in schema]
    made = {
        key: _with_aliases(value, names) if key in ("type", "items", "values") else value
        for key, value in schema.items()
    }
    if schema.get("type") == "record":
        made["aliases"] = [*schema.get("aliases", ()), *names]
        made["fields"] = [{**field, "type": _with_aliases(field["type"], names)} for field in schema["fields"]]
    return made


def _check_fields(path: str | os.PathLike[str], spec: Spec, schema: Schema) -> None:
    found = parse_event_schema(schema).fields
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
