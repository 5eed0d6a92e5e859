"""Avro files as a source reads them: block by block, from any block on, as messages.

A file holds events or messages (`avro/message.avsc`: generated traffic, dead letters). fastavro finds the blocks,
checks their sync markers and decompresses them; compiled code takes them apart (`native/events/file_block.hpp`). Events
keep their bytes, so that a dead letter can be published again.

Events of another schema than the spec's are resolved to it, if the file's own schema can be, whether or not the spec
names it among the versions. If it does not, nobody could read the bytes once they are out of their file, so they
become those of the event as it was resolved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import fastavro

from user_state.errors import InputError
from user_state.events.avro_codecs import check_codec
from user_state.events.avro_program import program_of
from user_state.events.event_reader import ReadEvent, event_reader, write_event
from user_state.events.message import Message
from user_state.events.segments import OpenFile, Segment, open_named
from user_state.events.writers import head_of
from user_state.spec.avro_types import in_words
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.version_checks import check_resolves, check_written_anew
from user_state.state.event_batch import FileLayout, MessageList, messages_of

MESSAGE_NAME = "user_state.Message"
_ROLES = {"data": "body", "attributes": "attributes", "publish_time": "publish_time"}
_PLACES = {"data": [0], "publish_time": [1]}
_TYPES = {
    "data": ("bytes",),
    "publish_time": ("long", ["null", "long"]),
    "attributes": ({"type": "map", "values": "string"},),
}
"""What the fields of messages may be."""


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

    def __init__(self, path: str, schema: EventSchema, open_file: OpenFile = open_named) -> None:
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
            self._layout = _layout(path, writer.parsed, of_messages=self._of_messages)
        except InputError:
            self._file.close()
            raise
        except Exception as exc:  # fastavro raises whatever Python raises where it stumbles; a SpecError is one of ours
            self._file.close()
            raise InputError(f"expected an Avro file, got {path}: {exc}") from exc
        self._head = head_of(writer)
        self._resolve: ReadEvent | None = None
        self.first_offset = self._file.tell()
        if not self._of_messages and not schema.knows(writer):
            self._resolve = event_reader(writer, schema)

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
        if self._resolve is None:
            return self._taken_apart(blocks, b"" if self._of_messages else self._head)
        return [self._resolved(self._resolve, body) for body, *_ in messages_of(self._taken_apart(blocks, b""))]

    def _taken_apart(self, blocks: Sequence[Block], head: bytes) -> MessageList:
        try:
            return MessageList.of_blocks([block[:2] for block in blocks], self._layout, head, self._path)
        except (ValueError, OverflowError) as exc:
            if len(blocks) > 1:  # which of them it is
                for block in blocks:
                    self._taken_apart([block], head)
            raise self._damaged(blocks[0].next_offset, exc) from exc

    def _resolved(self, resolve: ReadEvent, body: bytes) -> Message:
        try:
            event = resolve(body)
        except Exception:  # null where the schema takes none: the decoder will say so, and the event is a dead letter
            return Message(self._head + body, {}, None, None, self._path)
        return Message(head_of(self._schema) + write_event(self._schema, event), {}, None, None, self._path)

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


def _layout(path: str, written: Any, *, of_messages: bool) -> FileLayout:
    """Return how compiled code takes records of a parsed schema apart.

    Raises:
        InputError: they are to be messages, and are none.
    """
    if not of_messages:
        return FileLayout(program_of(written), [])
    declared = {field["name"]: _plain(field["type"]) for field in written["fields"]}
    for name, types in _TYPES.items():
        if name == "data" and name not in declared:
            raise InputError(f"expected messages with a field `data` in {path}, got {', '.join(declared)}")
        if name in declared and declared[name] not in types:
            raise InputError(
                f"expected messages whose field `{name}` is {in_words(types[0])} in {path}, got"
                f" {in_words(declared[name])}"
            )
    return FileLayout(program_of(written, wanted=_PLACES), [_ROLES.get(name, "") for name in declared])


def _plain(declared: Any) -> Any:
    """Return a type without what does not change what is written."""
    if isinstance(declared, list):
        return [_plain(branch) for branch in declared]
    if isinstance(declared, dict):
        kept = {key: declared[key] for key in ("type", "values") if key in declared}
        return kept["type"] if len(kept) == 1 else kept
    return declared
