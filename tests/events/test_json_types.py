"""How values of each Avro type are written in JSON: the table of docs/bodies.md, case by case, and the oracle's too."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.events.encodings import decoder_in
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, event
from user_state.errors import SpecError
from user_state.events.decode import EventDecoder
from user_state.events.event_reader import json_reader
from user_state.events.json_written import write_json
from user_state.events.message import Message
from user_state.oracle.json_body import read_json
from user_state.plan.compile import compile_plan
from user_state.spec import parse_spec
from user_state.spec.bodies import Bodies
from user_state.spec.event_schema import EventSchema, parse_event_schema

DEVICE = {"type": "record", "name": "Device", "namespace": "shop", "fields": [{"name": "os", "type": "string"}]}
CENTS = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}


def logical(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "logicalType": name}


def fixed(size: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "Fixed", "size": size, **more}


def schema_of(declared: Any, **more: Any) -> EventSchema:
    return parse_event_schema(
        {
            "type": "record",
            "name": "E",
            "fields": [{"name": "x", "type": declared, **more}, {"name": "y", "type": "null"}],
        }
    )


def read(schema: EventSchema, text: str) -> Any:
    """What `x` is in a body with this value, by the core and by the oracle."""
    body = text.encode() if text.startswith("{ ") else f'{{"x": {text}}}'.encode()
    found = json_reader(schema)(body)
    assert repr(read_json(schema.whole, body)) == repr(found)
    return found["x"]


def refused(schema: EventSchema, text: str) -> str:
    body = text.encode() if text.startswith("{ ") else f'{{"x": {text}}}'.encode()
    with pytest.raises(ValueError):  # noqa: PT011  # the words are the core's
        read_json(schema.whole, body)
    with pytest.raises(ValueError, match="as JSON of E: ") as found:
        json_reader(schema)(body)
    return str(found.value).partition("as JSON of E: ")[2]


FLOAT = struct.unpack("<f", struct.pack("<f", 16.7))[0]
DAY_S = 20_484 * 86_400
VALUES = [
    ("boolean", "true", True),
    ("int", "-2147483648", -(2**31)),
    ("int", "7.0", 7),
    ("float", "16.7", FLOAT),
    ("float", "3.40282356e38", struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]),
    ("float", "1e-60", 0.0),
    ("float", "-0", -0.0),
    ("double", "16.7", 16.7),
    ("double", "7", 7.0),
    ("string", '"5"', "5"),
    ("bytes", '"\\u0000\\u00ff\xe9a"', b"\0\xff\xe9a"),
    ("bytes", '""', b""),
    (fixed(3), '"a\\u0080c"', b"a\x80c"),
    (COLOUR, '"green"', "green"),
    ({**COLOUR, "default": "red"}, '"blue"', "red"),
    (CENTS, "12.5", b"\x04\xe2"),
    (CENTS, '"12.50"', b"\x04\xe2"),
    (CENTS, "-0.01", b"\xff"),
    (CENTS, "1.28", b"\x00\x80"),
    (CENTS, "-1.28", b"\x80"),
    (CENTS, "1.2500", b"\x7d"),
    (CENTS, "12e1", b"\x2e\xe0"),
    (CENTS, "0.000", b"\0"),
    (CENTS, "123456789012345678901234567890.12", (12345678901234567890123456789012).to_bytes(14, "big")),
    (fixed(4, logicalType="decimal", precision=9, scale=1), "-1", b"\xff\xff\xff\xf6"),
    (
        fixed(16, logicalType="uuid"),
        '"0F8FAD5B-d9cb-469f-a165-70867728950e"',
        bytes.fromhex("0f8fad5bd9cb469fa16570867728950e"),
    ),
    (fixed(16, logicalType="uuid"), '"0123456789abcdef"', b"0123456789abcdef"),
    (logical("string", "uuid"), '"0F8FAD5B-d9cb-469f-a165-70867728950e"', "0F8FAD5B-d9cb-469f-a165-70867728950e"),
    (logical("long", "timestamp-millis"), "1769817600000.0", 1769817600000),
    (logical("long", "timestamp-millis"), '"2026-01-31T00:00:00.1239Z"', DAY_S * 1000 + 123),
    (logical("long", "timestamp-micros"), '"2026-01-31T01:00:00.123456789+01:00"', DAY_S * 10**6 + 123456),
    (logical("long", "timestamp-micros"), '"2026-01-31"', DAY_S * 10**6),
    (logical("long", "timestamp-micros"), '"1969-12-31T23:59:59.999999Z"', -1),
    (logical("long", "timestamp-millis"), '"1969-12-31T23:59:59.9999Z"', -1),
    (logical("long", "timestamp-nanos"), '"2026-01-31T00:00:00.123456789Z"', DAY_S * 10**9 + 123456789),
    (logical("long", "timestamp-nanos"), '"2026-01-31 00:00:00.12345678"', DAY_S * 10**9 + 123456780),
    (logical("long", "local-timestamp-millis"), '"2026-01-31T00:00:00"', DAY_S * 1000),
    (logical("int", "date"), '"2026-01-31"', 20_484),
    (logical("int", "date"), "20484", 20_484),
    (logical("int", "time-millis"), "1", 1),
    ({"type": "array", "items": ["null", "int"]}, "[1, null, 2.0]", [1, None, 2]),
    ({"type": "map", "values": "long"}, '{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
    (DEVICE, '{"os": "ios", "more": {}}', {"os": "ios"}),
    (["null", "string"], "null", None),
    (["null", "string"], '"x"', "x"),
    (["null", "string"], '{"string": "x"}', "x"),
    (["null", "long"], '{"long": 5}', 5),
    (["null", "double"], '{"double": 5}', 5.0),
    (["null", {**DEVICE}], '{"os": "ios"}', {"os": "ios"}),
    (["null", {**DEVICE}], '{"shop.Device": {"os": "ios"}}', {"os": "ios"}),
    (["null", {"type": "array", "items": "int"}], '{"array": [1]}', [1]),
    (["null", {"type": "map", "values": "int"}], '{"map": {"map": 1}}', {"map": 1}),
    (["null", {"type": "map", "values": "int"}], '{"map": 1}', {"map": 1}),
    (["null", {"type": "map", "values": ["null", "int"]}], '{"map": {"int": 1}, "a": 2}', {"map": 1, "a": 2}),
    (["string", {"type": "map", "values": "bytes"}], '{"string": "x", "a": ""}', {"string": b"x", "a": b""}),
    (["null", "bytes"], '{"bytes": "\\u00ff"}', b"\xff"),
    (["null", CENTS], '{"bytes": "\\u0004\xe2"}', b"\x04\xe2"),
    (["null", CENTS], '{"bytes": "12"}', b"12"),
    (["null", CENTS], '"12"', b"\x04\xb0"),
    (["null", COLOUR], '{"Colour": "red"}', "red"),
    (["null", {**COLOUR, "namespace": "shop"}], '{"shop.Colour": "red"}', "red"),
    (["double", "long"], "5", 5),
    (["double", "long"], "5.0", 5.0),
    (["float", "double"], "16.7", 16.7),
    (["long", "double"], "9223372036854775808", 9223372036854775808.0),
    (["int", "long"], "2147483648", 2147483648),
    (["int", "string"], "5.0", 5),
    (["bytes", "string"], '"x"', "x"),
    (["bytes", "string"], '{"bytes": "x"}', b"x"),
    ([COLOUR, "bytes"], '"red"', "red"),
    ([COLOUR, "bytes"], '"blue"', b"blue"),
    ([logical("long", "timestamp-millis"), "string"], '"2026-01-31"', "2026-01-31"),
    ([logical("long", "timestamp-millis"), "bytes"], '"2026-01-31"', DAY_S * 1000),
]


@pytest.mark.parametrize(("declared", "text", "value"), VALUES)
def test_values(declared: Any, text: str, value: Any) -> None:
    assert repr(read(schema_of(declared), text)) == repr(value)


OTHERS = [
    ("boolean", "1", "expected true or false, got a number"),
    ("boolean", '"true"', "expected true or false, got a text"),
    ("int", "2147483648", "expected a whole number of 32 bits, got another one"),
    ("long", '"5"', "expected a whole number of 64 bits, got a text"),
    ("long", "true", "expected a whole number of 64 bits, got true"),
    ("float", "3.5e38", "expected a number that a float holds, got another one"),
    ("double", "1e400", "expected a number that a double holds, got another one"),
    ("double", '"NaN"', "expected a number that a double holds, got a text"),
    ("string", "5", "expected a text, got a number"),
    ("string", "null", "expected a text, got null"),
    ("bytes", '"\\u0100"', "expected bytes as a text of characters from U+0000 to U+00FF, got another one"),
    (fixed(3), '"ab"', "expected 3 bytes as a text of characters from U+0000 to U+00FF, got another one"),
    (COLOUR, '"blue"', "expected a symbol of the enum, got a text"),
    (COLOUR, "0", "expected a symbol of the enum, got a number"),
    (CENTS, "12.345", "expected a decimal with at most 2 digits behind the point, got a number"),
    (CENTS, '"12,5"', "expected a decimal with at most 2 digits behind the point, got a text"),
    (CENTS, "1e500", "expected a decimal with at most 2 digits behind the point, got a number"),
    (fixed(1, logicalType="decimal", precision=2, scale=0), "128", "expected a decimal"),
    (fixed(16, logicalType="uuid"), '"0f8fad5bd9cb469fa16570867728950e"', "expected a UUID, got a text"),
    (
        logical("long", "timestamp-millis"),
        '"yesterday"',
        "expected a whole number of 64 bits or a time in ISO 8601, got a text",
    ),
    (logical("long", "timestamp-nanos"), '"9999-01-01"', "or a time in ISO 8601, got a text"),
    (
        logical("long", "local-timestamp-millis"),
        '"2026-01-31T00:00:00Z"',
        "or a time in ISO 8601 without an offset, got a text",
    ),
    (logical("long", "local-timestamp-millis"), '"2026-01-31T00:00:00-05:00"', "without an offset, got a text"),
    (logical("int", "date"), '"2026-01-31T00:00:00Z"', "or a date such as 2026-01-31, got a text"),
    (logical("int", "time-millis"), '"12:00:00"', "expected a whole number of 32 bits, got a text"),
    ("long", '"2026-01-31"', "expected a whole number of 64 bits, got a text"),
    ({"type": "array", "items": "int"}, "{}", "expected an array, got an object"),
    ({"type": "map", "values": "int"}, "[]", "expected an object, got an array"),
    (DEVICE, '"ios"', "expected an object, got a text"),
    (["null", "string"], "5", "expected null or a text, got a number"),
    (["null", "string"], '{"text": "x"}', "expected null or a text, got an object"),
    (["null", "string"], "{}", "expected null or a text, got an object"),
    (["null", "string"], '{"string": null}', "expected a text, got null"),
    (["null", "string"], '{"null": null}', "expected null or a text, got an object"),
    (["null", "string"], '{"string": "x", "more": 1}', "expected one member, the name of the union's branch, got more"),
    (["int", "string"], "5.5", "expected a whole number of 32 bits or a text, got another one"),
    (["null", "boolean"], "0", "expected null or true or false, got a number"),
    (["null", {"type": "map", "values": ["null", "int"]}], '{"map": {"int": 1}}', "an object whose one member"),
    (
        ["string", {"type": "map", "values": "bytes"}],
        '{"string": "x"}',
        "one member is called as a branch",
    ),
    ([DEVICE, {"type": "map", "values": "int"}], '{"os": "ios"}', "the union has several that are objects"),
]


@pytest.mark.parametrize(("declared", "text", "why"), OTHERS)
def test_values_of_other_types_are_refused_by_name_and_never_told(declared: Any, text: str, why: str) -> None:
    told = refused(schema_of(declared), text)
    assert told.startswith("field x, at byte 6: ") or "several" in why or "one member" in why or "{" in text
    assert why in told
    assert "yesterday" not in told
    assert "blue" not in told


def test_the_path_of_a_member_is_told() -> None:
    items = {"type": "array", "items": {"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "int"}]}}
    schema = schema_of({"type": "record", "name": "Order", "fields": [{"name": "items", "type": items}]})
    assert refused(schema, '{"items": [{"sku": 1}, {"sku": "no"}]}').startswith(
        "field x.items[].sku, at byte 37: expected"
    )
    assert refused(schema, '{"items": [{}]}') == "field x.items[].sku, at byte 19: it is left out, and has no default"
    labels = schema_of({"type": "map", "values": "int"})
    assert refused(labels, '{"secret": "x"}').startswith("field x{}, at byte 7: expected a whole number of 32 bits")


def test_a_field_that_is_left_out_has_its_default_or_null_or_is_missed() -> None:
    assert read(schema_of("int", default=7), "{ }") == 7
    assert read(schema_of(["string", "null"], default="a"), "{ }") == "a"
    assert read(schema_of(["string", "null"]), "{ }") is None
    assert read(schema_of({"type": "array", "items": "int"}, default=[1, 2]), "{ }") == [1, 2]
    assert read(schema_of(DEVICE, default={"os": "none"}), "{ }") == {"os": "none"}
    assert read(schema_of("bytes", default="\u00ff"), "{ }") == b"\xff"
    assert refused(schema_of("int"), "{ }") == "field x, at byte 3: it is left out, and has no default"
    assert refused(schema_of("int", default=7), "null").endswith("expected a whole number of 32 bits, got null")


def test_members_are_fields_by_alias_too_their_own_names_first() -> None:
    schema = schema_of("int", aliases=["old", "older"])
    assert read(schema, '{ "old": 1}') == 1
    assert read(schema, '{ "older": 2, "old": 1}') == 1
    assert read(schema, '{ "old": 1, "x": 3, "older": 2}') == 3
    assert read(schema, '{ "old": "no number", "x": 3}') == 3
    assert refused(schema, '{ "old": 1, "old": 1}') == "field x, at byte 19: it is there twice, by another name"
    assert refused(schema, '{ "old": "no"}').startswith("field x, at byte 9: expected a whole number")


def test_a_default_that_fits_no_value_of_its_field_is_a_mistake_in_the_spec(tmp_path: Path) -> None:
    fields = [{"name": name, "type": kind} for name, kind in (("u", "string"), ("e", "string"), ("t", "long"))]
    unfit = {"name": "n", "type": "int", "default": 1 << 40}
    text = "name: s\nevents: {schema: e.avsc, user: u, id: e, time: t, time_unit: ms, encoding: json}\n"
    text += "allowed_lateness: 1h\nmax_clock_skew: 1m\nretention: 9d\nfeatures: {n: {aggregate: count, windows: 1h}}\n"
    (tmp_path / "e.avsc").write_text(str({"type": "record", "name": "E", "fields": [*fields, unfit]}).replace("'", '"'))
    with pytest.raises(SpecError, match="JSON bodies may leave out n, whose default cannot be used: expected a"):
        parse_spec(text, beside=tmp_path)
    assert parse_spec(text.replace("json", "raw"), beside=tmp_path).schema.bodies.encoding == "raw"


def batch_of(decoder: EventDecoder, *bodies: bytes) -> Any:
    decoded = decoder.batch([Message(body, {}, None, None, "") for body in bodies])
    assert decoded.refused == []
    return decoded.batch


def test_texts_with_escapes_outlive_the_bodies_that_come_after_them(tmp_path: Path) -> None:
    """What an escape stands for lies in no body: it is kept, while the next body is read to the same place."""
    decoder = decoder_in(tmp_path, "json")
    made = [event(T0 + n, f"usér {n}", f"é{n}", item_id=f"\U0001f389{n}") for n in range(300)]
    escaped = [json.dumps(one).replace("view", "v\\u0069ew").encode() for one in made]
    plain = [json.dumps(one, ensure_ascii=False).encode() for one in made]
    assert b"\\ud83c\\udf89" in escaped[0]
    found, expected = batch_of(decoder, *escaped), batch_of(decoder, *plain)
    assert found.users == [f"usér {n}" for n in range(300)]
    assert repr(found.columns()) == repr(expected.columns())


@pytest.mark.slow
@given(worlds(most=30))
@settings(QUICK, max_examples=60)
def test_columns_are_those_of_the_same_events_in_avro(world: World) -> None:
    plan, schema = compile_plan(world.spec), world.spec.schema
    avro = EventDecoder(plan, schema)
    of_json = EventDecoder(plan, replace(schema, bodies=Bodies("json")))
    events = [arrival.event or {} for arrival in world.arrivals]
    mine = of_json.batch([Message(write_json(schema, one), {}, None, "a", "t") for one in events])
    theirs = avro.batch([Message(avro.encode(one), {}, None, "a", "t") for one in events])
    assert mine.refused_at == theirs.refused_at
    assert [str(why) for _, why in mine.refused] == [str(why) for _, why in theirs.refused]
    assert repr(mine.batch.columns()) == repr(theirs.batch.columns())


BARE_TEXTS = re.compile(r'`"([^"]*)"`')


def test_a_bare_text_in_a_decimal_field_is_what_the_page_says() -> None:
    """The texts are those of docs/json.md: what is taken stands before "Refused", what is not behind it."""
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    paragraph = page.partition("**A bare text in a decimal field**")[2].partition("\n\n")[0]
    taken, _, rest = paragraph.partition("Refused are")
    refused_texts, _, never = rest.partition("It is never")
    assert len(BARE_TEXTS.findall(taken)) == 4
    assert len(BARE_TEXTS.findall(refused_texts)) == 9
    schema = schema_of(CENTS)
    for text in BARE_TEXTS.findall(taken):
        assert int.from_bytes(read(schema, f'"{text}"'), "big", signed=True) == int(Decimal(text) * 100)
    for text in BARE_TEXTS.findall(refused_texts):
        assert "expected a decimal with at most 2 digits" in refused(schema, f'"{text}"')
    assert '`"5"` is 5.00, not 0.53' in never
    assert read(schema, '"5"') == (500).to_bytes(2, "big")
    assert Decimal(int.from_bytes(b"5", "big")) / 100 == Decimal("0.53")
    assert read(schema_of(["null", CENTS]), '{"bytes": "5"}') == b"5"
    assert read(schema_of(["null", CENTS]), '"5"') == (500).to_bytes(2, "big")
