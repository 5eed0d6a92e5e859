"""Events as JSON bodies: what is written is read as the event that it was, or goes out in single-object encoding."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from tests.events.encodings import bare
from user_state.events.body_writer import BodyWriter
from user_state.events.event_reader import json_reader
from user_state.spec.bodies import Bodies
from user_state.spec.event_schema import EventSchema, parse_event_schema

CENTS = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
MAP = {"type": "map", "values": "long"}
DEVICE = {"type": "record", "name": "Device", "fields": [{"name": "os", "type": "string"}]}


def schema_of(declared: Any) -> EventSchema:
    declared = {"type": "record", "name": "E", "fields": [{"name": "x", "type": declared}]}
    return replace(parse_event_schema(declared), bodies=Bodies("json", declared=True))


def body_of(declared: Any, value: Any) -> bytes:
    schema = schema_of(declared)
    return BodyWriter(schema).body(schema, bare({"x": value}, schema.parsed))


WRITTEN = [
    ("string", 'é"\n', '"é\\"\\n"'),
    ("bytes", b"\0\xff", '"\\u0000\\u00ff"'),
    ("double", 0.1, "0.1"),
    ("double", 5.0, "5.0"),
    ("long", -(2**63), "-9223372036854775808"),
    (CENTS, b"\x04\xe2", "12.50"),
    (CENTS, b"\xff", "-0.01"),
    (
        {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"},
        bytes(16),
        '"00000000-0000-0000-0000-000000000000"',
    ),
    (["null", "string"], "a", '"a"'),
    (["null", "string"], None, "null"),
    (["null", CENTS], b"\x04\xe2", "12.50"),
    (["bytes", "string"], b"a", '{"bytes":"a"}'),
    (["null", CENTS, "string"], b"12", '{"bytes":"12"}'),
    (["long", "double"], 5.0, '{"double":5.0}'),
    (MAP, {"a": 1}, '{"a":1}'),
    (["null", MAP], {"map": 1}, '{"map":1}'),
    ({"type": "array", "items": DEVICE}, [{"os": "ios"}], '[{"os":"ios"}]'),
]


@pytest.mark.parametrize(("declared", "value", "text"), WRITTEN)
def test_events_are_written_as_people_write_json(declared: Any, value: Any, text: str) -> None:
    body = body_of(declared, value)
    assert body.decode() == f'{{"x":{text}}}'
    assert json.loads(body)
    assert json_reader(schema_of(declared))(body) == {"x": value}


UNSAYABLE = [
    ("double", math.inf),
    ("double", math.nan),
    (["null", "float"], -math.inf),
    ([DEVICE, {"type": "map", "values": MAP}], {"a": {"b": 1}}),
]


@pytest.mark.parametrize(("declared", "value"), UNSAYABLE)
def test_what_json_cannot_say_goes_out_in_single_object_encoding(declared: Any, value: Any) -> None:
    schema = schema_of(declared)
    event = bare({"x": value}, schema.parsed)
    assert BodyWriter(schema).body(schema, event) == b"\xc3\x01" + schema.fingerprint + event
