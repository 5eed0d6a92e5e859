"""What stands around events: schema ids, files, attributes and compression, and change events; written by fastavro."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.plan.compile import compile_plan
from user_state.spec import parse_spec

CONFLUENT_ID = 7
HEADER = 10
"""Bytes in front of an event in single-object encoding."""
T0 = 1_700_000_000_000_000
ROW: dict[str, Any] = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "user_id", "type": "string"},
        {"name": "created_at", "type": "long"},
        {"name": "price", "type": ["null", "double"]},
    ],
}
ENVELOPE: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", ROW]},
        {"name": "after", "type": ["null", "Row"]},
        {"name": "op", "type": "string"},
    ],
}
CHANGES = """
name: changes
events:
  {schema: changes.avsc, user: after.user_id, id: after.id, time: after.created_at, time_unit: us, deletes: ignore}
allowed_lateness: 1h
max_clock_skew: 1m
retention: 90d
features:
  bought: {aggregate: [sum, count], of: after.price, where: {op: [c, r]}, windows: 7d}
"""


def schema_id(number: int) -> bytes:
    """Return what stands before an event in Confluent's format."""
    return b"\0" + number.to_bytes(4, "big")


def container(schema: Any, event: dict[str, Any], codec: str) -> bytes:
    """Return an Avro file of one event."""
    written = io.BytesIO()
    fastavro.writer(written, fastavro.parse_schema(schema), [event], codec=codec, sync_marker=bytes(16))
    return written.getvalue()


def attributed(body: bytes, compressed: bool) -> bytes:
    """Return an attribute and a body as bytes, which `message_of` takes apart."""
    if compressed:
        return b"Content-Encoding\0gzip\0" + gzip.compress(body, mtime=0)
    return b"googclient_schemaencoding\0BINARY\0" + body


def message_of(blob: bytes) -> Message:
    """Return the message that bytes say, whatever they are."""
    name, _, rest = blob.partition(b"\0")
    value, _, body = rest.partition(b"\0")
    return Message(body, {name.decode(errors="replace"): value.decode(errors="replace")}, None, None, "fuzz")


def changes(count: int) -> list[bytes]:
    """Return so many change events, the first an inserted row; every third is a deleted one."""
    made = []
    schema = fastavro.parse_schema(ENVELOPE)
    for number in range(count):
        row = {"id": number, "user_id": f"u{number % 5}", "created_at": T0 + number, "price": number / 4}
        deleted = number % 3 == 2
        change = {"before": row if deleted else None, "after": None if deleted else row, "op": "d" if deleted else "c"}
        written = io.BytesIO()
        fastavro.schemaless_writer(written, schema, change)
        made.append(written.getvalue())
    return made


@cache
def decoder_of_changes() -> EventDecoder:
    """Return what decodes them."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "changes.avsc").write_text(json.dumps(ENVELOPE))
        spec = parse_spec(CHANGES, beside=Path(folder))
    return EventDecoder(compile_plan(spec), spec.schema)
