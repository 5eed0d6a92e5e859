"""Rows of bodies: compiled and in Python the same; what the compiled code declines is what Python has words for."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.events.random_schemas import Json, Pair, pairs
from tests.events.test_event_reader import body_of
from tests.random_worlds import QUICK
from tests.trying import T0, plan_of, spec_of
from tests.trying import event as event_of
from user_state.core.pieces import Field
from user_state.core.plan import Plan
from user_state.errors import EventError
from user_state.events.decode import SINGLE_OBJECT, EventDecoder
from user_state.events.flat_types import flat_record
from user_state.events.message import Message
from user_state.events.row_checks import END_TIME_US, FIRST_TIME_US, MAX_ID_BYTES, MAX_TEXT_BYTES
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.resolution import mismatches

IDS = ("u", "u2", "é" * (MAX_ID_BYTES // 2), "x" * 100, "x" * MAX_ID_BYTES)
BAD_IDS = ("", "x" * (MAX_ID_BYTES + 1), "é" * (MAX_ID_BYTES // 2 + 1))
TIMES = (FIRST_TIME_US, T0, END_TIME_US - 1)
BAD_TIMES = (FIRST_TIME_US - 1, END_TIME_US, 0, -T0, 2**63 - 1, -(2**63))
FIXED: list[Json] = [
    {"name": "user", "type": "string"},
    {"name": "id", "type": "string"},
    {"name": "time", "type": "long"},
    {"name": "published", "type": ["null", "long"], "default": None},
    {"name": "shown", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 7},
]
DEFAULTED = ("published", "shown")


def with_fixed(rng: Random, schema: Json, names: Sequence[str]) -> Json:
    """The schema with the fields that every spec names among its own."""
    fields = [*schema["fields"], *(field for field in FIXED if field["name"] in names)]
    return {**schema, "fields": rng.sample(fields, len(fields))}


def plan_for(schema: EventSchema) -> Plan:
    """A plan that has all of the schema's fields in its rows, the user twice."""
    fields = tuple(Field(name, field.kind) for name, field in schema.fields.items() if field.kind != "other")
    return replace(
        plan_of(),
        fields=fields,
        item_fields=frozenset(field.name for field in fields if field.kind == "string" and field.name == "a"),
        user_field="user",
        id_field="id",
        time_field="time",
        time_unit_us=1,
        published_field="published",
        published_unit_us=1,
    )


def message(body: bytes, publish_us: int | None = None) -> Message:
    return Message(body, {}, publish_us, None, "")


def in_words(row: Any) -> str:
    return f"{row.reason}: {row.detail}" if isinstance(row, EventError) else repr(row)


def agree(decoder: EventDecoder, plain: EventDecoder, messages: list[Message]) -> list[bool]:
    """Both ways come to the same; returns which messages are rows. None of those may be left to Python."""
    expected = [in_words(row) for row in plain.rows(messages)]
    assert [in_words(row) for row in decoder.rows(messages)] == expected
    reader = decoder._compiled
    assert reader is not None
    rows = reader.rows([one.data for one in messages], [one.publish_us for one in messages])
    sound = [not isinstance(row, EventError) for row in plain.rows(messages)]
    assert [row is not None for row in rows] == sound
    return sound


@pytest.mark.slow
@given(pairs(), st.randoms(use_true_random=False))
@settings(QUICK, max_examples=400)
def test_any_schema_and_its_versions(pair: Pair, rng: Random) -> None:
    written = [field["name"] for field in FIXED if field["name"] not in DEFAULTED or rng.random() < 0.8]
    writer = parse_event_schema(with_fixed(rng, pair.writer, written))
    reader = parse_event_schema(with_fixed(rng, pair.reader, [field["name"] for field in FIXED]))
    found = mismatches(writer.whole, reader.whole)
    if not all(one.null_only for one in found) or flat_record(writer.parsed, reader.parsed) is None:
        return
    schema = replace(reader, versions=(writer,))
    plan = plan_for(schema)
    decoder, plain = EventDecoder(plan, schema), EventDecoder(plan, schema, compiled=False)
    assert decoder.compiled
    head = SINGLE_OBJECT + writer.fingerprint
    messages = []
    for number, made in enumerate(pair.events * 2):
        fixed = {
            "user": rng.choice(IDS if number % 3 else (*IDS, *BAD_IDS)),
            "id": rng.choice(IDS if number % 3 else (*IDS, *BAD_IDS)),
            "time": rng.choice(TIMES if number % 3 else (*TIMES, *BAD_TIMES)),
            "published": rng.choice((None, *TIMES, *BAD_TIMES)),
            "shown": rng.choice((0, 1, 2**62, -(2**63))),
        }
        body = head + body_of(writer.parsed, {**made, **{name: fixed[name] for name in written}})
        messages.append(message(body, rng.choice((None, T0))))
        messages += [message(damaged(rng, body)) for _ in range(3)]
    sound = agree(decoder, plain, messages)
    event(f"{'some' if any(sound) else 'no'} rows")


def damaged(rng: Random, body: bytes) -> bytes:
    """Some other bytes: cut off, longer, or with a byte changed behind the fingerprint."""
    match rng.randrange(4):
        case 0:
            return body[: rng.randrange(len(body))]
        case 1:
            return body + rng.randbytes(1)
        case _:
            at = rng.randrange(10, len(body))
            return body[:at] + rng.randbytes(1) + body[at + 1 :]


def bundled() -> tuple[EventDecoder, EventDecoder]:
    """A spec with a field for every check: text, a name of items, numbers, a bool, nullable all."""
    where = {"value": 0.0, "amount": 0, "bought": True, "action": "x"}
    features = {"f": {"aggregate": "count", "windows": ["1h"], "where": where}}
    loaded = spec_of(features=features)
    plan = plan_of(features=features)
    fields = (*plan.fields, Field("item_id", "string"))
    plan = replace(plan, fields=fields, item_fields=frozenset({"item_id"}))
    return EventDecoder(plan, loaded.schema), EventDecoder(plan, loaded.schema, compiled=False)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"item_id": "i", "value": 1.5},
        {"item_id": ""},
        {"action": ""},
        {"action": "x" * MAX_TEXT_BYTES},
        {"action": "x" * (MAX_TEXT_BYTES + 1)},
        {"item_id": "é" * (MAX_TEXT_BYTES // 2 + 1)},
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": -0.0, "amount": -(2**63) + 1, "bought": False},
        {"amount": -(2**63)},
        {"published_at": T0 - 1},
        {"published_at": 0},
    ],
    ids=repr,
)
def test_every_check(fields: dict[str, Any]) -> None:
    decoder, plain = bundled()
    body = decoder.encode(event_of(**fields))
    agree(decoder, plain, [message(body), message(body[10:]), message(body, T0), message(b""), message(body[:5])])


@pytest.mark.parametrize(
    "varint", [b"\x80\x00", b"\x81\x00", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\x80" * 11]
)
def test_numbers_as_no_writer_writes_them(varint: bytes) -> None:
    schema = parse_event_schema({"type": "record", "name": "E", "fields": [*FIXED, {"name": "n", "type": "long"}]})
    plan = plan_for(schema)
    body = body_of(schema.parsed, {"user": "u", "id": "i", "time": T0, "published": None, "shown": 0, "n": 0})[:-1]
    decoder, plain = EventDecoder(plan, schema), EventDecoder(plan, schema, compiled=False)
    agree(decoder, plain, [message(body + varint), message(body + b"\x00")])


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"abcdefgh\xc3", "é".encode(), b"\xf4\x90\x80\x80"]
)
@pytest.mark.parametrize("name", ["user", "id", "n", "gone"])
def test_text_that_is_no_utf_8(text: bytes, name: str) -> None:
    """In whichever field, one that nobody reads too."""
    more = [{"name": "n", "type": "string"}, {"name": "gone", "type": "string"}]
    writer = parse_event_schema({"type": "record", "name": "E", "fields": [*FIXED, *more]})
    reader = parse_event_schema({"type": "record", "name": "E", "fields": [*FIXED, more[0]]})
    schema = replace(reader, versions=(writer,))
    plan = plan_for(schema)
    made = {"user": "u", "id": "i", "time": T0, "published": None, "shown": 0, "n": "n", "gone": "g"}
    whole = body_of(writer.parsed, {**made, name: "@" * len(text)})
    body = SINGLE_OBJECT + writer.fingerprint + whole.replace(b"@" * len(text), text)
    agree(EventDecoder(plan, schema), EventDecoder(plan, schema, compiled=False), [message(body)])


def test_schemas_that_are_not_flat_are_pythons() -> None:
    nested = {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}
    flat = parse_event_schema({"type": "record", "name": "E", "fields": FIXED})
    deep = parse_event_schema({"type": "record", "name": "E", "fields": [*FIXED, nested]})
    assert not EventDecoder(plan_for(deep), deep).compiled
    schema = replace(flat, versions=(deep,))
    plan = plan_for(schema)
    decoder = EventDecoder(plan, schema)
    assert decoder.compiled
    made = {"user": "u", "id": "i", "time": T0, "published": None, "shown": 0}
    bodies = [
        SINGLE_OBJECT + flat.fingerprint + body_of(flat.parsed, made),
        SINGLE_OBJECT + deep.fingerprint + body_of(deep.parsed, {**made, "tags": ["t"]}),
    ]
    first, second = decoder.rows([message(body) for body in bodies])
    assert first == second


def test_a_default_that_stands_for_a_user_is_pythons() -> None:
    reader = parse_event_schema(
        {"type": "record", "name": "E", "fields": [{**FIXED[0], "default": "nobody"}, *FIXED[1:]]}
    )
    writer = parse_event_schema({"type": "record", "name": "E", "fields": FIXED[1:]})
    schema = replace(reader, versions=(writer,))
    plan = plan_for(schema)
    made = {"id": "i", "time": T0, "published": None, "shown": 0}
    body = SINGLE_OBJECT + writer.fingerprint + body_of(writer.parsed, made)
    decoder = EventDecoder(plan, schema)
    assert decoder.compiled
    [row] = decoder.rows([message(body)])
    assert not isinstance(row, EventError)
    assert row[0] == "nobody"


def test_events_that_a_file_has_decoded_are_taken_as_they_are() -> None:
    decoder, plain = bundled()
    made = event_of()
    messages = [Message(b"", {}, None, None, "", made), Message(b"", {}, None, None, "", {**made, "user_id": ""})]
    assert [in_words(row) for row in decoder.rows(messages)] == [in_words(row) for row in plain.rows(messages)]


def test_doubles_and_floats_bit_by_bit() -> None:
    fields = [*FIXED, {"name": "d", "type": "double"}, {"name": "f", "type": "float"}]
    schema = parse_event_schema({"type": "record", "name": "E", "fields": fields})
    plan = plan_for(schema)
    made = {"user": "u", "id": "i", "time": T0, "published": None, "shown": 0, "d": 0.1, "f": 0.1}
    [row] = EventDecoder(plan, schema).rows([message(body_of(schema.parsed, made))])
    assert not isinstance(row, EventError)
    assert row[-2:] == (0.1, struct.unpack("<f", struct.pack("<f", 0.1))[0])
