"""Avro files as a source reads them: block by block, from any block on, as messages.

A file holds events or messages (`avro/message.avsc`: generated traffic, dead letters). fastavro finds the blocks,
checks their sync markers and decompresses them; compiled code takes them apart (`native/events/file_block.hpp`), and
fastavro those of nested records. Events keep their bytes, so that a dead letter can be published again.

Events of another schema than the spec's are resolved to it, if the file's own schema can be, whether or not the spec
names it among the versions. If it does not, nobody could read the bytes once they are out of their file, so they
become those of the event as it was resolved.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import fastavro

from user_state.errors import InputError
from user_state.events.avro_codecs import check_codec
from user_state.events.event_reader import ReadEvent, event_reader, write_event
from user_state.events.flat_types import FlatType, flat_fields
from user_state.events.message import Message
from user_state.events.segments import OpenFile, Segment, open_local
from user_state.events.writers import head_of
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.version_checks import check_resolves, check_written_anew
from user_state.state.event_batch import FileLayout, MessageList, messages_of

MESSAGE_NAME = "user_state.Message"
_ROLES = {"data": "body", "attributes": "attributes", "publish_time": "publish_time"}
_BODY = FlatType("bytes")
_TIMES = (FlatType("long"), FlatType("union", branches=(FlatType("null"), FlatType("long"))))
_ATTRIBUTES = {"type": "map", "values": "string"}


class Block(NamedTuple):
    """One block's records, decompressed, how many they are, and the offset in the file where the next block begins."""

    data: bytes
    records: int
    next_offset: int


class BlockReader:
    """Reads one file.

    Args:
        path: the file.
        schema: what events are read as; a file of events may have any that resolves to it.
        open_file: opens it.

    Raises:
        InputError: there is no such file, it is no Avro file, its codec cannot be read, or its events do not resolve to
            `schema`.
    """

    def __init__(self, path: str, schema: EventSchema, open_file: OpenFile = open_local) -> None:
        self._path = path
        self._schema = schema
        try:
            self._file: BinaryIO = open_file(path)
        except OSError as exc:
            raise InputError(f"expected an Avro file, got {path}: {exc.strerror or exc}") from exc
        try:
            head = fastavro.block_reader(self._file)
            check_codec(path, head.codec)
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
        self._head = head_of(writer)
        self._resolve: ReadEvent | None = None
        self.first_offset = self._file.tell()
        if not self._of_messages and not schema.knows(writer):
            self._resolve = event_reader(writer, schema)
        self._layout = _layout(writer.parsed, of_messages=self._of_messages)

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
                if block.num_records < 0:
                    raise ValueError("a count of records below 0")
                yield Block(block.bytes_.read(), block.num_records, block.offset + block.size)
        except Exception as exc:  # fastavro raises whatever Python raises where it stumbles
            raise self._damaged(self._file.tell(), exc) from exc

    def segments(self, place: int, most_messages: int, most_bytes: int) -> Iterator[Segment]:
        """Yield segments of whole blocks; as `EventFile`, a place being the offset of a block.

        Raises:
            InputError: the file is damaged; says where.
        """
        taken: list[Block] = []
        records = size = 0
        for block in self.blocks(place or self.first_offset):
            taken.append(block)
            records += block.records
            size += len(block.data)
            if records and (records >= most_messages or size >= most_bytes):
                yield Segment(self.messages(taken), size, block.next_offset)
                taken, records, size = [], 0, 0
        if records:
            yield Segment(self.messages(taken), size, taken[-1].next_offset)

    def messages(self, blocks: Sequence[Block]) -> MessageList | list[Message]:
        """Return the messages of blocks, in order.

        Raises:
            InputError: a block is damaged; says where.
        """
        if self._layout is not None and self._resolve is None:
            return self._taken_apart(self._layout, blocks)
        return [message for block in blocks for message in self._messages(block)]

    def _taken_apart(self, layout: FileLayout, blocks: Sequence[Block]) -> MessageList:
        head = b"" if self._of_messages else self._head
        try:
            return MessageList.of_blocks([block[:2] for block in blocks], layout, head, self._path)
        except (ValueError, OverflowError) as exc:
            if len(blocks) > 1:  # which of them it is
                for block in blocks:
                    self._taken_apart(layout, [block])
            raise self._damaged(blocks[0].next_offset, exc) from exc

    def _messages(self, block: Block) -> Iterator[Message]:
        try:
            for body, value in self._records(block):
                if self._of_messages:
                    yield Message(value["data"], value["attributes"], value["publish_time"], None, self._path)
                elif self._resolve is None:
                    yield Message(self._head + body, {}, None, None, self._path, self._event(value))
                else:
                    yield self._resolved(self._resolve, body)
        except InputError:
            raise
        except Exception as exc:  # as above
            raise self._damaged(block.next_offset, exc) from exc

    def _records(self, block: Block) -> Iterator[tuple[bytes, Any]]:
        """Yield each record's bytes, and what fastavro makes of it, None where it is not asked."""
        if self._layout is not None:
            for body, *_ in messages_of(self._taken_apart_without_head(self._layout, block)):
                yield body, None
            return
        buffer = io.BytesIO(block.data)
        for _ in range(block.records):
            begin = buffer.tell()
            value: Any = fastavro.schemaless_reader(buffer, self._writer_schema, None)
            yield block.data[begin : buffer.tell()], value

    def _taken_apart_without_head(self, layout: FileLayout, block: Block) -> MessageList:
        return MessageList.of_blocks([block[:2]], layout, b"", self._path)

    def _event(self, value: Any) -> dict[str, Any] | None:
        """Return an event that need not be read again: one of the schema itself."""
        return value if self._head == head_of(self._schema) else None

    def _resolved(self, resolve: ReadEvent, body: bytes) -> Message:
        try:
            event = resolve(body)
        except Exception:  # null where the schema takes none: the decoder will say so, and the event is a dead letter
            return Message(self._head + body, {}, None, None, self._path)
        return Message(head_of(self._schema) + write_event(self._schema, event), {}, None, None, self._path, event)

    def _damaged(self, near: int, exc: Exception) -> InputError:
        return InputError(f"{self._path}: damaged near byte {near}: {type(exc).__name__} {exc}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def each_message(listed: MessageList | Sequence[Message]) -> Iterator[Message]:
    """Yield messages one by one, however they are held."""
    if isinstance(listed, MessageList):
        return (Message(*parts) for parts in messages_of(listed))
    return iter(listed)


def _layout(written: Any, *, of_messages: bool) -> FileLayout | None:
    """Return how compiled code takes records of a parsed schema apart, None where it cannot."""
    fields: list[tuple[str, FlatType | None]] = []
    declared = {field["name"]: field["type"] for field in written["fields"]}
    for name, how in flat_fields(written):
        role = _ROLES.get(name, "") if of_messages else ""
        takes = {"body": how == _BODY, "publish_time": how in _TIMES}.get(role, how is not None)
        if role == "attributes":
            takes = {key: declared[name].get(key) for key in _ATTRIBUTES} == _ATTRIBUTES
        if not takes:
            return None
        fields.append((role, how))
    if of_messages and "data" not in declared:
        return None
    return FileLayout(fields)
