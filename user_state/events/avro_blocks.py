"""Avro files as a source reads them: block by block, from any block on, as messages.

A file holds events (any record schema) or messages (`avro/message.avsc`: generated traffic, dead letters). Events are
read without logical types, so that a timestamp is the integer it is, and keep their bytes, so that a dead letter can
be published again.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import fastavro

from user_state.errors import InputError, SpecError
from user_state.events.decode import SINGLE_OBJECT
from user_state.events.message import Message
from user_state.spec.event_schema import EventSchema, parse_event_schema

MESSAGE_NAME = "user_state.Message"


class Block(NamedTuple):
    """One block's messages, and the offset in the file where the next block begins."""

    messages: list[Message]
    next_offset: int


class BlockReader:
    """Reads one file.

    Args:
        path: the file.
        schema: what events are read as; a file of events may have another, resolvable one.

    Raises:
        InputError: there is no such file, it is no Avro file, or its events do not resolve to `schema`.
    """

    def __init__(self, path: str, schema: EventSchema) -> None:
        self._path = path
        self._reader_schema = schema.parsed
        try:
            self._file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - open as long as the reader is
        except OSError as exc:
            raise InputError(f"expected an Avro file, got {path}: {exc.strerror}") from exc
        try:
            self._blocks = fastavro.block_reader(self._file)
            self._of_messages = self._blocks.writer_schema.get("name") == MESSAGE_NAME
            writer: EventSchema = parse_event_schema(json.loads(self._blocks.metadata["avro.schema"]))
        except (ValueError, EOFError, KeyError, AttributeError, SpecError) as exc:
            self._file.close()
            raise InputError(f"expected an Avro file, got {path}: {exc}") from exc
        self._writer_schema = writer.parsed
        self._head = SINGLE_OBJECT + writer.fingerprint
        self._same_schema = writer.fingerprint == schema.fingerprint
        self.first_offset = self._file.tell()
        if not self._of_messages:
            _check_resolves(path, writer, schema)

    def blocks(self, offset: int) -> Iterator[Block]:
        """Yield the blocks from `offset` on, which must be `first_offset` or a block's `next_offset`.

        Raises:
            InputError: the file is damaged; says where.
        """
        self._file.seek(offset)
        try:
            for block in self._blocks:
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
        resolve = None if self._same_schema or self._of_messages else self._reader_schema
        for _ in range(count):
            begin = buffer.tell()
            value: dict[str, Any] = fastavro.schemaless_reader(buffer, self._writer_schema, resolve)
            if self._of_messages:
                yield Message(value["data"], value["attributes"], value["publish_time"], None, self._path)
            else:
                yield Message(self._head + data[begin : buffer.tell()], {}, None, None, self._path, value)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _check_resolves(path: str, writer: EventSchema, reader: EventSchema) -> None:
    missing = [
        field["name"]
        for field in reader.parsed["fields"]
        if field["name"] not in writer.fields and "default" not in field and not _aliased(field, writer)
    ]
    if missing:
        raise InputError(
            f"expected events of {reader.name} in {path}, got {writer.name} without {', '.join(missing)};"
            f" it has {', '.join(writer.fields)}"
        )


def _aliased(field: dict[str, Any], writer: EventSchema) -> bool:
    return any(alias in writer.fields for alias in field.get("aliases", ()))
