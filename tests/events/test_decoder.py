"""Bodies to columns: what the oracle makes of the same bytes, or a reason and words for each body that is no event."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.events.random_schemas import Json, Pair, pairs
from tests.events.reference_rows import row_or_reason
from tests.events.test_event_reader import body_of
from tests.random_worlds import QUICK
from tests.trying import T0, plan_of, spec_of
from tests.trying import event as event_of
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject
from user_state.events.decode import SINGLE_OBJECT, EventDecoder
from user_state.events.limits import END_TIME_US, FIRST_TIME_US, MAX_ID_BYTES, MAX_TEXT_BYTES
from user_state.events.message import Message
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import LIST_OF, Field
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.resolution import mismatches
from user_state.state.event_batch import EventBatch
from user_state.state.events import NULL_INT, Events, ListColumn

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
MADE = {"user": "u", "id": "i", "time": T0, "published": None, "shown": 0}


def with_fixed(rng: Random, schema: Json, names: Sequence[str]) -> Json:
    """The schema with the fields that every spec names among its own."""
    fields = [*schema["fields"], *(field for field in FIXED if field["name"] in names)]
    return {**schema, "fields": rng.sample(fields, len(fields))}


def plan_for(schema: EventSchema) -> Plan:
    """A plan that has all of the schema's fields in its rows, the user twice, and lists as one text too."""
    known = {name: field.kind for name, field in schema.fields.items() if field.kind != "other"}
    lists = [Field(name, f"{LIST_OF}{kind}") for name, kind in known.items() if kind.endswith("s")]
    fields = (*(Field(name, kind) for name, kind in known.items()), *lists)
    return replace(
        plan_of(),
        fields=fields,
        item_fields=frozenset(field.name for field in fields if field.kind == "string" and field.name == "a"),
        user_field="user",
        id_field="id",
        time_field="time",
        time_unit_ns=1000,
        published_field="published",
        published_unit_ns=1000,
    )


def schema_of(*fields: Json, versions: tuple[EventSchema, ...] = ()) -> EventSchema:
    return replace(parse_event_schema({"type": "record", "name": "E", "fields": [*FIXED, *fields]}), versions=versions)


def message(body: bytes, publish_us: int | None = None) -> Message:
    return Message(body, {}, publish_us, None, "")


def rows_of(plan: Plan, batch: EventBatch) -> list[Any]:
    """The events of a batch as rows, with texts in place of their numbers, and None for null."""
    events = Events.of_batch(batch)
    texts = [*events.pool.texts, None]
    columns: list[list[Any]] = [
        [events.users[user] for user in events.user.tolist()],
        events.id_hash.tolist(),
        events.time_us.tolist(),
        events.published_us.tolist(),
    ]
    for field, column in zip(plan.fields, events.columns, strict=True):
        if isinstance(column, ListColumn):
            values = values_of(field.value_kind, column.values, texts)
            columns.append([values[begin:end] for begin, end in pairwise(column.ends.tolist())])
        else:
            values = values_of(field.value_kind, column, texts)
            columns.append([_as_python_writes_it(text) for text in values] if field.is_one_text else values)
    return list(zip(*columns, strict=True))


def _as_python_writes_it(text: str | None) -> str | None:
    return None if text is None else json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def values_of(kind: str, column: Any, texts: list[str | None]) -> list[Any]:
    nulls = np.isnan(column) if kind == "float" else column == (-1 if kind == "string" else NULL_INT)
    values = [texts[code] for code in column.tolist()] if kind == "string" else column.tolist()
    return [None if null else value for null, value in zip(nulls.tolist(), values, strict=True)]


def decoded(plan: Plan, schema: EventSchema, messages: list[Message]) -> list[Any]:
    """For each message its row, or the reason why it has none."""
    numbered = [one._replace(ack_id=str(number)) for number, one in enumerate(messages)]
    found = EventDecoder(plan, schema).batch(numbered)
    reasons = {int(one.ack_id or ""): error for one, error in found.refused}
    assert [one for one, _ in found.refused] == [numbered[at] for at in sorted(reasons)]
    assert all(error.detail.startswith(("expected ", "cannot decode ")) for error in reasons.values())
    passed = [at for at in range(len(messages)) if at not in reasons]
    assert [found.batch.message(at) for at in range(len(passed))] == [tuple(numbered[at][:5]) for at in passed]
    rows = dict(zip(passed, rows_of(plan, found.batch), strict=True))
    return [reasons[at].reason if at in reasons else rows[at] for at in range(len(messages))]


def expected(plan: Plan, schema: EventSchema, one: Message) -> Any:
    """The same of one message, by what the oracle reads with, and fastavro resolves."""
    try:
        read = SingleObject(schema.original, [version.original for version in schema.versions]).decode(one.data)
    except EventError as exc:
        return exc.reason
    return row_or_reason(plan, schema, read, one.publish_us)


def agree(plan: Plan, schema: EventSchema, messages: list[Message]) -> list[Any]:
    found = decoded(plan, schema, messages)
    for one, mine in zip(messages, found, strict=True):
        assert mine == expected(plan, schema, one), one
    return found


@pytest.mark.slow
@given(st.one_of(pairs(), pairs(nested=True)), st.randoms(use_true_random=False))
@settings(QUICK, max_examples=400)
def test_any_schema_and_its_versions(pair: Pair, rng: Random) -> None:
    written = [field["name"] for field in FIXED if field["name"] not in DEFAULTED or rng.random() < 0.8]
    writer = parse_event_schema(with_fixed(rng, pair.writer, written))
    reader = parse_event_schema(with_fixed(rng, pair.reader, [field["name"] for field in FIXED]))
    found = mismatches(writer.whole, reader.whole)
    if not all(one.null_only for one in found):
        return
    schema = replace(reader, versions=(writer,))
    plan = plan_for(schema)
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
    rows = agree(plan, schema, messages)
    event(f"{'some' if any(isinstance(row, tuple) for row in rows) else 'no'} rows")


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


@pytest.mark.parametrize("declared", ["int", ["null", "int"], {"type": "int", "logicalType": "date"}])
def test_an_int_of_more_than_32_bits_is_no_event_for_the_oracle_either(declared: Any) -> None:
    schema = schema_of({"name": "n", "type": declared})
    head = SINGLE_OBJECT + schema.fingerprint
    least = body_of(schema.parsed, {**MADE, "n": -(2**31)})
    assert least.endswith(b"\xff\xff\xff\xff\x0f")
    beyond = least[:-1] + b"\x10"
    found = agree(plan_for(schema), schema, [message(head + body) for body in (least, beyond)])
    assert isinstance(found[0], tuple)
    assert found[1] == "undecodable"


def every_check() -> tuple[Plan, EventSchema]:
    """A spec with a field for every check: text, a name of items, numbers, a bool, nullable all."""
    where = {"value": 0.0, "amount": 0, "bought": True, "action": "x"}
    features = {"f": {"aggregate": "count", "windows": ["1h"], "where": where}}
    plan = plan_of(features=features)
    fields = (*plan.fields, Field("item_id", "string"))
    return replace(plan, fields=fields, item_fields=frozenset({"item_id"})), spec_of(features=features).schema


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"item_id": "i", "value": 1.5}, None),
        ({"item_id": ""}, "expected item_id to be null or of at least 1 byte, since it names items, got an empty text"),
        ({"action": ""}, None),
        ({"action": "x" * MAX_TEXT_BYTES}, None),
        ({"action": "x" * (MAX_TEXT_BYTES + 1)}, "expected action of at most 65535 bytes, got 65536 bytes"),
        ({"item_id": "é" * (MAX_TEXT_BYTES // 2 + 1)}, "expected item_id of at most 65535 bytes, got 65536 bytes"),
        ({"value": float("nan")}, "expected value to be a finite number, got nan"),
        ({"value": float("inf")}, "expected value to be a finite number, got an infinite one"),
        ({"value": -0.0, "amount": -(2**63) + 1, "bought": False}, None),
        ({"amount": -(2**63)}, "expected amount above -9223372036854775808, got just that"),
        ({"published_at": T0 - 1}, None),
        ({"published_at": 0}, None),
        ({"user_id": ""}, "expected user_id of 1 to 1024 bytes, got an empty text"),
        ({"user_id": "é" * 513}, "expected user_id of 1 to 1024 bytes, got 1026 bytes"),
        ({"event_id": ""}, "expected event_id of 1 to 1024 bytes, got an empty text"),
        (
            {"event_time": FIRST_TIME_US - 1},
            "expected event_time between 1971 and 2100, got an earlier time; is it in the unit that the schema says?",
        ),
        ({"event_time": END_TIME_US}, "expected event_time between 1971 and 2100, got a later time"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_every_check(fields: dict[str, Any], why: str | None) -> None:
    plan, schema = every_check()
    body = EventDecoder(plan, schema).encode(event_of(**fields))
    messages = [message(body), message(body[10:]), message(body, T0), message(b""), message(body[:5])]
    assert [row if isinstance(row, str) else "row" for row in agree(plan, schema, messages)] == [
        *(["row" if why is None else "invalid"] * 3),
        *("undecodable", "undecodable"),
    ]
    details = [error.detail for _, error in EventDecoder(plan, schema).batch(messages[:3]).refused]
    assert details == ([] if why is None else [why] * 3)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "field user, at byte 0: the bytes end too early: 1 are needed, 0 are left"),
        (b"\x02u\x02", "field id, at byte 2: the bytes end too early: 1 are needed, 0 are left"),
        (b"\x01", "field user, at byte 0: the length is negative"),
        (b"\x04ab\x04\xff\xff", "field id, at byte 3: the text is not UTF-8"),
        (b"\x02u\x02i\x80\x00", "field time, at byte 4: the number is not in the form that Avro writes"),
        (b"\x02u\x02i\x02\x04", "field published, at byte 5: the union has 2 branches, and the index is none of them"),
        (b"\x02u\x02i\x02\x00\x00\x02\x00", "field flag, at byte 7: the byte of a boolean is neither 0 nor 1"),
        (b"\x02u\x02i\x02\x00\x00\x01\x06", "field sort, at byte 8: the enum has 2 symbols, and the index is none"),
        (b"\x02u\x02i\x02\x00\x00\x01\x02\x00", "1 bytes are left over behind the last field"),
    ],
)
def test_words_say_which_field_where_and_why_and_nothing_of_the_body(body: bytes, why: str) -> None:
    schema = schema_of(
        {"name": "flag", "type": "boolean"},
        {"name": "sort", "type": {"type": "enum", "name": "S", "symbols": ["a", "b"]}},
    )
    body = body.replace(b"\x00\x01", b"\x00\x01", 1)
    [(_, error)] = EventDecoder(plan_for(schema), schema).batch([message(body)]).refused
    assert error.reason == "undecodable"
    assert error.detail.startswith(f"cannot decode {len(body)} bytes as Avro E: {why}")


def test_what_the_reader_does_not_take_is_said_by_both_names() -> None:
    sort = {"type": "enum", "name": "S", "symbols": ["a", "b"]}
    writer = schema_of({"name": "n", "type": ["null", "long"]}, {"name": "s", "type": sort})
    schema = schema_of(
        {"name": "n", "type": "long"}, {"name": "s", "type": {**sort, "symbols": ["a"]}}, versions=(writer,)
    )
    head = SINGLE_OBJECT + writer.fingerprint
    bodies = [head + body_of(writer.parsed, {**MADE, "n": n, "s": s}) for n, s in ((1, "a"), (None, "a"), (1, "b"))]
    name = f"cannot decode {len(bodies[1]) - 10} bytes as Avro E of {writer.fingerprint.hex()}: field"
    refused = EventDecoder(plan_for(schema), schema).batch([message(body) for body in bodies]).refused
    details = [error.detail for _, error in refused]
    assert details[0] == f"{name} n, at byte 14: null in n, which is read as long"
    assert details[1].endswith("field s, at byte 16: the symbol is in the writer's enum, but not in the reader's")


def test_a_fingerprint_that_nobody_knows() -> None:
    plan, schema = every_check()
    [(_, error)] = EventDecoder(plan, schema).batch([message(SINGLE_OBJECT + b"whatever" + b"\0" * 9)]).refused
    assert (error.reason, error.detail) == (
        "undecodable",
        f"expected one of the event schemas that the spec names: {schema.label}; got fingerprint {b'whatever'.hex()},"
        " of a schema to be added to `versions:`, or of other events",
    )


@pytest.mark.parametrize(
    "varint", [b"\x80\x00", b"\x81\x00", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\x80" * 11]
)
def test_numbers_as_no_writer_writes_them(varint: bytes) -> None:
    schema = schema_of({"name": "n", "type": "long"})
    body = body_of(schema.parsed, {**MADE, "n": 0})[:-1]
    refused, read = agree(plan_for(schema), schema, [message(body + varint), message(body + b"\x00")])
    assert (refused, isinstance(read, tuple)) == (
        "invalid" if len(varint) == 10 and varint[9] == 1 else "undecodable",
        True,
    )


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"abcdefgh\xc3", "é".encode(), b"\xf4\x90\x80\x80"]
)
@pytest.mark.parametrize("name", ["user", "id", "n", "gone"])
def test_text_that_is_no_utf_8(text: bytes, name: str) -> None:
    """In whichever field, one that nobody reads too."""
    more = [{"name": "n", "type": "string"}, {"name": "gone", "type": "string"}]
    writer = schema_of(*more)
    schema = schema_of(more[0], versions=(writer,))
    whole = body_of(writer.parsed, {**MADE, "n": "n", "gone": "g", name: "@" * len(text)})
    body = SINGLE_OBJECT + writer.fingerprint + whole.replace(b"@" * len(text), text)
    [row] = agree(plan_for(schema), schema, [message(body)])
    assert (row == "undecodable") == (text != "é".encode())


NESTED = {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}


def test_events_of_nested_schemas_stand_in_the_batch_where_they_came() -> None:
    deep = schema_of(NESTED)
    schema = schema_of(versions=(deep,))
    bodies = []
    for number in range(6):
        writer, more = (deep, {"tags": ["t"]}) if number % 2 else (schema, {})
        body = body_of(writer.parsed, {**MADE, "id": "" if number == 3 else f"i{number}", **more})
        bodies.append(SINGLE_OBJECT + writer.fingerprint + (body[:-1] if number == 5 else body))
    rows = agree(plan_for(schema), schema, [message(body) for body in bodies])
    assert [row if isinstance(row, str) else row[0] for row in rows] == ["u", "u", "u", "invalid", "u", "undecodable"]
    assert agree(plan_for(deep), deep, [message(bodies[1])]) == [(*rows[1], ["t"], '["t"]')]


def test_words_for_nested_events_have_nothing_of_the_body_either() -> None:
    deep = schema_of(NESTED)
    body = body_of(deep.parsed, {**MADE, "tags": ["secret"]})
    why = r"field tags\[\], at byte 15: the bytes end too early: 6 are needed, 4 are left"
    with pytest.raises(EventError, match=rf"^undecodable: cannot decode \d+ bytes as Avro E: {why}$"):
        EventDecoder(plan_for(deep), deep).decode(body[:-3])


def test_a_default_may_stand_for_a_user() -> None:
    reader = parse_event_schema(
        {"type": "record", "name": "E", "fields": [{**FIXED[0], "default": "nobody"}, *FIXED[1:]]}
    )
    writer = parse_event_schema({"type": "record", "name": "E", "fields": FIXED[1:]})
    schema = replace(reader, versions=(writer,))
    made = {name: value for name, value in MADE.items() if name != "user"}
    body = SINGLE_OBJECT + writer.fingerprint + body_of(writer.parsed, made)
    [row] = agree(plan_for(schema), schema, [message(body)])
    assert row[0] == "nobody"


def test_events_that_somebody_else_has_read_are_taken_as_they_are() -> None:
    plan, schema = every_check()
    made = event_of()
    messages = [Message(b"", {}, None, None, "", made), Message(b"", {}, None, None, "", {**made, "user_id": ""})]
    found = EventDecoder(plan, schema).batch(messages)
    assert rows_of(plan, found.batch) == [EventDecoder(plan, schema).row(made, None)]
    assert [error.reason for _, error in found.refused] == ["invalid"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"user_id": None}, "expected user_id of 1 to 1024 bytes, got null"),
        ({"event_time": 1.5}, "expected event_time between 1971 and 2100, got a number with a fraction"),
        ({"event_time": 2**64}, "expected event_time between 1971 and 2100, got a value of another type"),
        ({"amount": 1.5}, "expected amount to be a whole number, got a number with a fraction"),
        ({"value": "1"}, "expected value to be a finite number, got 1 bytes"),
        ({"action": "\udc80"}, "expected action to be a text, got a value of another type"),
    ],
    ids=repr,
)
def test_values_of_other_types_are_refused_in_words(fields: dict[str, Any], why: str) -> None:
    plan, schema = every_check()
    with pytest.raises(EventError) as caught:
        EventDecoder(plan, schema).row(event_of(**fields), None)
    assert (caught.value.reason, caught.value.detail) == ("invalid", why)


def test_doubles_and_floats_bit_by_bit() -> None:
    schema = schema_of({"name": "d", "type": "double"}, {"name": "f", "type": "float"})
    [row] = decoded(plan_for(schema), schema, [message(body_of(schema.parsed, {**MADE, "d": 0.1, "f": 0.1}))])
    assert row[-2:] == (0.1, struct.unpack("<f", struct.pack("<f", 0.1))[0])
