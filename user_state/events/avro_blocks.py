"""Avro files as a source reads them: block by block, from any block on, as messages.

A file holds events or messages (`avro/message.avsc`: generated traffic, dead letters). Events are read without logical
types, so that a timestamp is the integer it is, and keep their bytes, so that a dead letter can be published again.

Events of another schema than the spec's are resolved to it, if the file's own schema can be, whether or not the spec
names it among the versions. If it does not, nobody could read the bytes once they are out of their file, so they
become those of the event as it was resolved.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import fastavro

from user_state.errors import InputError
from user_state.events.decode import SINGLE_OBJECT
from user_state.events.event_reader import ReadEvent, event_reader, write_event
from user_state.events.message import Message
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.version_checks import check_resolves, check_written_anew

MESSAGE_NAME = "user_state.Message"


class Block(NamedTuple):
    """One block's messages, and the offset in the file where the next block begins."""

    messages: list[Message]
    next_offset: int


class BlockReader:
    """Reads one file.

    Args:
        path: the file.
        schema: what events are read as; a file of events may have any that resolves to it.

    Raises:
        InputError: there is no such file, it is no Avro file, or its events do not resolve to `schema`.
    """

    def __init__(self, path: str, schema: EventSchema) -> None:
        self._path = path
        self._schema = schema
        try:
            self._file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - open as long as the reader is
        except OSError as exc:
            raise InputError(f"expected an Avro file, got {path}: {exc.strerror}") from exc
        try:
            head = fastavro.block_reader(self._file)
            self._of_messages = head.writer_schema.get("name") == MESSAGE_NAME
            writer: EventSchema = parse_event_schema(json.loads(head.metadata["avro.schema"]))
            if not self._of_messages:
                check_resolves(path, writer, schema)
                check_written_anew(path, writer, schema)
        except InputError:
            self._file.close()
            raise
        except Exception as exc:  # fastavro raises whatever Python raises where it stumbles; a SpecError is one of ours
            self._file.close()
            raise InputError(f"expected an Avro file, got {path}: {exc}") from exc
        self._writer_schema = writer.parsed
        self._head = SINGLE_OBJECT + writer.fingerprint
        self._resolve: ReadEvent | None = None
        self.first_offset = self._file.tell()
        if not self._of_messages and writer.fingerprint != schema.fingerprint:
            self._resolve = event_reader(writer, schema)
        self._known = schema.knows(writer)

    def blocks(self, offset: int) -> Iterator[Block]:
        """Yield the blocks from `offset` on, which must be `first_offset` or a block's `next_offset`.

        Raises:
            InputError: the file is damaged; says where.
        """
        try:
            # Anew, since fastavro's iterator, once it has met the end, gives nothing more after any seek.
            self._file.seek(0)
            blocks = fastavro.block_reader(self._file)
            self._file.seek(offset)
            for block in blocks:
                data = block.bytes_.read()
                at = block.offset + block.size
                yield Block(list(self._messages(data, block.num_records)), at)
        except InputError:
            raise
        except Exception as exc:  # fastavro raises whatever Python raises where it stumbles
            where = self._file.tell()
            raise InputError(f"{self._path}: damaged near byte {where}: {type(exc).__name__} {exc}") from exc

    def _messages(self, data: bytes, count: int) -> Iterator[Message]:
        buffer = io.BytesIO(data)
        for _ in range(count):
            begin = buffer.tell()
            value: dict[str, Any] = fastavro.schemaless_reader(buffer, self._writer_schema, None)
            if self._of_messages:
                yield Message(value["data"], value["attributes"], value["publish_time"], None, self._path)
            elif self._resolve is None:
                yield Message(self._head + data[begin : buffer.tell()], {}, None, None, self._path, value)
            else:
                yield self._resolved(self._resolve, data[begin : buffer.tell()])

    def _resolved(self, resolve: ReadEvent, body: bytes) -> Message:
        try:
            event = resolve(body)
        except Exception:  # null where the schema takes none: the decoder will say so, and the event is a dead letter
            return Message(self._head + body, {}, None, None, self._path)
        if self._known:
            return Message(self._head + body, {}, None, None, self._path, event)
        rewritten = SINGLE_OBJECT + self._schema.fingerprint + write_event(self._schema, event)
        return Message(rewritten, {}, None, None, self._path, event)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
