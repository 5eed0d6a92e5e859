"""Files of events of other schemas: resolved, kept so that they can be published again, or refused before reading."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest

from user_state.errors import InputError
from user_state.events.avro_blocks import BlockReader, each_message
from user_state.events.avro_files import SingleObject, message_schema, read_arrivals, write_events
from user_state.events.message import Message
from user_state.oracle import Arrival, microseconds
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.model import Spec
from user_state.state.event_batch import MessageList

TIME = {"type": "long", "logicalType": "timestamp-micros"}
ROLES = [{"name": "id", "type": "string"}, {"name": "user", "type": "string"}, {"name": "at", "type": TIME}]
NEW = {"type": "record", "name": "Rating", "fields": [*ROLES, {"name": "stars", "type": "double", "default": -1}]}
OLD = {**NEW, "fields": [{"name": "stars", "type": ["null", "int"]}, *ROLES]}
SPEC = Spec.model_validate(
    {
        "name": "tried",
        "events": {"schema": "new.avsc", "user": "user", "id": "id", "time": "at"},
        "allowed_lateness": "1h",
        "max_clock_skew": "1m",
        "retention": "90d",
        "features": {"all": {"aggregate": "count", "windows": "lifetime"}},
    }
)
WRITTEN = [{"id": f"e{n}", "user": "u", "at": 10**15 + n, "stars": stars} for n, stars in enumerate((4, None, 5))]


def schema(*versions: dict[str, Any]) -> EventSchema:
    return replace(parse_event_schema(NEW), versions=tuple(map(parse_event_schema, versions)))


def messages(path: Path, read_as: EventSchema) -> list[Message]:
    reader = BlockReader(str(path), read_as)
    try:
        return list(each_message(reader.messages(list(reader.blocks(reader.first_offset)))))
    finally:
        reader.close()


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    write_events(tmp_path / "old.avro", WRITTEN, OLD)
    return tmp_path / "old.avro"


def body(event: dict[str, Any], written: dict[str, Any]) -> bytes:
    return SingleObject(written).encode(event)


def test_events_of_a_version_that_is_named_keep_their_bytes(old_file: Path) -> None:
    found = messages(old_file, schema(OLD))
    assert [message.data for message in found] == [body(event, OLD) for event in WRITTEN]


def test_events_of_any_other_become_those_of_the_schema(old_file: Path) -> None:
    """But for what cannot be read as such: that keeps its bytes, and the decoder has to refuse it."""
    first, refused, last = messages(old_file, schema())
    assert [first.data, last.data] == [body({**WRITTEN[n], "stars": WRITTEN[n]["stars"]}, NEW) for n in (0, 2)]
    assert (refused.data, refused.event) == (body(WRITTEN[1], OLD), None)


def test_brute_force_reads_the_same_of_the_same_file(old_file: Path) -> None:
    first, refused, last = read_arrivals(old_file, SPEC, NEW)
    assert [first, last] == [Arrival({**WRITTEN[n], "stars": float(WRITTEN[n]["stars"])}) for n in (0, 2)]
    assert refused == Arrival(None, None, "undecodable")


def test_a_file_that_does_not_resolve_is_refused_with_field_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "other.avro"
    write_events(path, [], {**NEW, "fields": [*ROLES[:2], {"name": "stars", "type": "string"}]})
    said = (
        r"expected events that can be read as Rating in .*other\.avro, got Rating: field at: missing in the"
        r" writer's schema, and without a default; add one; and 1 more"
    )
    with pytest.raises(InputError, match=said):
        BlockReader(str(path), schema())
    with pytest.raises(InputError, match=said):
        list(read_arrivals(path, SPEC, NEW))


def test_a_file_with_times_in_another_unit_is_refused_though_its_fingerprint_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "millis.avro"
    millis = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
    write_events(path, [], {**NEW, "fields": [*ROLES[:2], millis, NEW["fields"][3]]})
    with pytest.raises(InputError, match="field at: milliseconds would be read as microseconds"):
        BlockReader(str(path), schema())


def block_file(path: Path, schema_json: Any, count: int, data: bytes) -> Path:
    """An Avro file of one block that says it has so many records."""
    header = {"magic": b"Obj\x01", "meta": {"avro.schema": json.dumps(schema_json).encode()}, "sync": b"s" * 16}
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.read.HEADER_SCHEMA, header)
    sizes = [io.BytesIO(), io.BytesIO()]
    for number, into in zip((count, len(data)), sizes, strict=True):
        fastavro.schemaless_writer(into, "long", number)
    path.write_bytes(written.getvalue() + sizes[0].getvalue() + sizes[1].getvalue() + data + header["sync"])
    return path


EVENT = body({"id": "e", "user": "u", "at": 10**15, "stars": 1.0}, NEW)[10:]
MESSAGE = {"data": b"body", "attributes": {"a": "b", "é": ""}, "publish_time": None}
MESSAGES = [
    MESSAGE,
    {**MESSAGE, "attributes": {}, "publish_time": 7},
    {"data": b"", "attributes": {"x": "y" * 100}, "publish_time": -1},
]


@pytest.mark.parametrize(
    ("count", "data", "why"),
    [
        (3, EVENT * 2, "the bytes end too early"),
        (1, EVENT * 2, "bytes left over behind its records"),
        (2, EVENT * 2 + b"\0", "bytes left over behind its records"),
        (2**60, EVENT, "fewer bytes than records"),
        (-1, EVENT, ""),
    ],
)
def test_a_block_that_holds_other_than_it_says_is_damaged(tmp_path: Path, count: int, data: bytes, why: str) -> None:
    path = block_file(tmp_path / "bad.avro", NEW, count, data)
    with pytest.raises(InputError, match=rf"bad\.avro: damaged near byte \d+: .*{why}"):
        messages(path, schema())
    assert [one.data for one in messages(block_file(path, NEW, 2, EVENT * 2), schema())] == [body_of_event()] * 2


def body_of_event() -> bytes:
    return SingleObject(NEW).header + EVENT


def test_of_several_blocks_the_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "many.avro"
    write_events(path, WRITTEN * 2000, OLD)
    reader = BlockReader(str(path), schema(OLD))
    blocks = list(reader.blocks(reader.first_offset))
    assert len(blocks) > 3
    blocks[2] = blocks[2]._replace(records=blocks[2].records + 1)
    with pytest.raises(InputError, match=f"damaged near byte {blocks[2].next_offset}: "):
        reader.messages(blocks)
    assert blocks[-1].next_offset == path.stat().st_size
    reader.close()


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_messages_are_taken_apart_as_fastavro_reads_them(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "messages.avro"
    with path.open("wb") as file:
        fastavro.writer(file, message_schema(), MESSAGES * 500, codec=codec, sync_interval=1000)
    with path.open("rb") as file:
        expected = [
            Message(one["data"], one["attributes"], microseconds_or_none(one["publish_time"]), None, str(path))
            for one in fastavro.reader(file)
        ]
    assert messages(path, schema()) == expected
    reader = BlockReader(str(path), schema())
    assert isinstance(reader.messages(list(reader.blocks(reader.first_offset))), MessageList)
    reader.close()


def microseconds_or_none(time: Any) -> int | None:
    return None if time is None else microseconds(time)


def test_messages_of_another_form_are_read(tmp_path: Path) -> None:
    """Whoever else writes `user_state.Message`: with a field of a nested type more."""
    more = {"name": "tags", "type": {"type": "array", "items": "string"}}
    path = tmp_path / "messages.avro"
    plain = [field for field in message_schema()["fields"] if field["name"] in MESSAGE]
    with path.open("wb") as file:
        declared = {"type": "record", "name": "user_state.Message", "fields": [more, *plain]}
        fastavro.writer(file, declared, [{**MESSAGE, "tags": ["a"]}])
    assert messages(path, schema()) == [Message(b"body", MESSAGE["attributes"], None, None, str(path))]


def test_messages_whose_bodies_are_texts_are_refused_by_name(tmp_path: Path) -> None:
    fields = [{**field, "type": "string"} if field["name"] == "data" else field for field in message_schema()["fields"]]
    path = tmp_path / "messages.avro"
    write_events(path, [], {"type": "record", "name": "user_state.Message", "fields": fields})
    with pytest.raises(InputError, match=r"expected messages whose field `data` is bytes in .*, got string"):
        BlockReader(str(path), schema())


def test_an_event_that_cannot_be_read_ends_no_file(tmp_path: Path) -> None:
    """Text that is no UTF-8 is the event's affair, since its end is known."""
    bad = EVENT.replace(b"\x02e", b"\x02\xff", 1)
    found = messages(block_file(tmp_path / "bad.avro", NEW, 3, EVENT + bad + EVENT), schema())
    assert [one.data[10:] for one in found] == [EVENT, bad, EVENT]
