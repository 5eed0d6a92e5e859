"""A message body that is a whole Avro file: the schema in it, and the one event.

    "Obj" 01                        then a map of metadata: avro.schema, avro.codec; 16 bytes of a sync marker
    blocks                          records (long), bytes (long), the records, compressed; the sync marker

A message is one event: its acknowledgement, its dead letter and its place in the accounts are those of one. So a file
of several events, or of none, is refused, and stays a dead letter as it came.

Source: Apache Avro 1.12 specification, "Object container files".
"""

from __future__ import annotations

import io
import os
from typing import Any, NamedTuple

import fastavro

from user_state.errors import EventError
from user_state.events.unpacking import Limited
from user_state.spec.event_schema import EventSchema

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
MOST_METADATA = 1_000
CODECS = ("null", "deflate")


class Contained(NamedTuple):
    """What a file in a body says of itself.

    Attributes:
        schema: JSON text.
        codec: how its block is compressed.
        blocks: where they begin.
        sync: what each ends with.
    """

    schema: bytes
    codec: str
    blocks: int
    sync: bytes


class _Bytes:
    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def long(self) -> int:
        shift = number = 0
        while True:
            if self.at >= len(self.data) or shift > 63:
                raise EventError("undecodable", "an Avro file that is cut short or damaged")
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)
            shift += 7

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise EventError("undecodable", "an Avro file that is cut short or damaged")
        self.at += size
        return self.data[self.at - size : self.at]


def read_head(body: bytes) -> Contained:
    """Return what a file says of itself.

    Raises:
        EventError: `undecodable`.
    """
    if not body.startswith(MAGIC):
        raise EventError("undecodable", "expected a whole Avro file, which begins with `Obj` (`encoding: container`)")
    data = _Bytes(body, len(MAGIC))
    metadata: dict[bytes, bytes] = {}
    while count := data.long():
        if count < 0:
            data.long()  # bytes of the block
        for _ in range(abs(count)):
            if len(metadata) >= MOST_METADATA:
                raise EventError("undecodable", f"an Avro file with more than {MOST_METADATA} entries of metadata")
            key = data.take(data.long())
            metadata[key] = data.take(data.long())
    codec = metadata.get(b"avro.codec", b"null").decode(errors="replace")
    if codec not in CODECS:
        raise EventError(
            "undecodable", f"expected an Avro file of codec {' or '.join(CODECS)} in a body, got {codec[:40]!r}"
        )
    sync = data.take(SYNC_BYTES)
    return Contained(metadata.get(b"avro.schema", b""), codec, data.at, sync)


def only_record(body: bytes, head: Contained) -> bytes:
    """Return the bytes of the one event of a file.

    Raises:
        EventError: `undecodable`: it has none, or several, or is damaged.
    """
    data = _Bytes(body, head.blocks)
    records, found = 0, b""
    while data.at < len(body):
        count = data.long()
        block = data.take(data.long())
        if data.take(SYNC_BYTES) != head.sync or count < 0:
            raise EventError("undecodable", "an Avro file that is damaged: a block without its sync marker")
        records += count
        found = block if count else found
    if records != 1:
        raise EventError(
            "undecodable", f"expected a file of one event in a body, got {records:,}: publish one a message"
        )
    return found if head.codec == "null" else Limited("deflate").unpacked(found)


class ContainerWriter:
    """Events of one schema as files of one event each."""

    def __init__(self, schema: EventSchema) -> None:
        file = io.BytesIO()
        empty: list[Any] = []
        self._sync = os.urandom(SYNC_BYTES)
        fastavro.writer(file, schema.original, empty, codec="null", sync_marker=self._sync)
        self._head = file.getvalue()

    def body(self, event: bytes) -> bytes:
        """Return the file that holds an event's bytes."""
        return self._head + b"\x02" + _long(len(event)) + event + self._sync


def _long(number: int) -> bytes:
    """Return a number of at least 0 as Avro's long."""
    number <<= 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
