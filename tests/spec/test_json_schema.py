"""A JSON Schema as the contract: what it is translated into, that its events are decoded, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from user_state.errors import SpecError
from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.json_schema import avro_of, is_json_schema

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Order",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "user": {"type": ["integer", "null"]},
        "at": {"type": "string", "format": "date-time"},
        "total": {"type": "number", "minimum": 0},
        "kind": {"enum": ["buy", "return"]},
        "device": {"$ref": "#/$defs/Device"},
        "former": {"$ref": "#/$defs/Device"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "integer"}},
        "more": {"type": "object"},
        "size": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "parent": {"$ref": "#"},
    },
    "required": ["id", "user", "at", "kind"],
    "additionalProperties": False,
    "$defs": {"Device": {"type": "object", "properties": {"os": {"type": "string"}}, "required": ["os"]}},
}
SPEC = """
name: orders
events: {schema: order.json, user: user, id: id, time: at%s}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features:
  bought: {aggregate: sum, of: total, where: {kind: buy}, windows: [1d]}
  os: {aggregate: count_by, by: device.os, windows: [1d]}
  tags: {aggregate: count_by, by: tags, windows: [1d]}
  red: {aggregate: sum, of: labels.red, windows: [1d]}
"""


def spec_in(folder: Path, encoding: str = ", encoding: json", schema: Any = SCHEMA) -> LoadedSpec:
    (folder / "order.json").write_text(json.dumps(schema))
    return parse_spec(SPEC % encoding, beside=folder)


def test_what_it_is_translated_into() -> None:
    assert is_json_schema(SCHEMA)
    made = avro_of(SCHEMA, "order")
    types = {field["name"]: field["type"] for field in made["fields"]}
    device = {"type": "record", "name": "Device", "fields": [{"name": "os", "type": "string"}]}
    assert made["name"] == "order"
    assert types == {
        "id": "string",
        "user": ["null", "long"],
        "at": "string",
        "total": ["null", "double"],
        "kind": "string",
        "device": ["null", device],
        "former": ["null", "Device"],
        "tags": ["null", {"type": "array", "items": "string"}],
        "labels": ["null", {"type": "map", "values": "long"}],
        "more": ["null", {"type": "record", "name": "order_more", "fields": []}],
        "size": ["null", "long", "string"],
        "parent": ["null", "order"],
    }
    assert all(("default" in field) == (field["name"] not in SCHEMA["required"]) for field in made["fields"])
    assert parse_event_schema(made).name == "order"


def test_events_of_it_are_decoded(tmp_path: Path) -> None:
    loaded = spec_in(tmp_path)
    event = {"id": "e1", "user": 7, "at": "2026-01-31T12:00:00Z", "total": 12, "kind": "buy", "device": {"os": "ios"}}
    event |= {"tags": ["a", "b"], "labels": {"red": 3}, "more": {"any": [{}]}, "parent": {**event, "total": 1.5}}
    decoder = EventDecoder(compile_plan(loaded), loaded.schema)
    body = json.dumps(event).encode()
    assert decoder.decode(body)["parent"]["total"] == 1.5
    decoded = decoder.batch([Message(body, {}, None, None, "")])
    assert decoded.refused == []
    assert decoded.batch.users == ["7"]
    assert decoded.batch.time_us[0] == 1_769_860_800_000_000
    refused = decoder.batch([Message(body.replace(b'"ios"', b"5"), {}, None, None, "")]).refused
    assert "as JSON of order: field device.os, at byte" in str(refused[0][1])


@pytest.mark.parametrize("encoding", ["", ", encoding: raw", ", encoding: container"])
def test_it_goes_with_json_alone(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(SpecError, match=r"order\.json is a JSON Schema, which is for `encoding: json`; got `enc"):
        spec_in(tmp_path, encoding)


REFUSED = [
    ({}, "at #/properties/x: expected a type; got anything"),
    (True, "at #/properties/x: expected a type; got anything"),
    (5, "at #/properties/x: expected a schema; got 5"),
    ({"type": "array"}, "at #/properties/x: expected the type of its items; got an array without `items`"),
    ({"type": "text"}, "at #/properties/x: expected a type: boolean, integer"),
    ({"allOf": [{"type": "string"}]}, "got `allOf`"),
    ({"type": "object", "patternProperties": {"^a": {"type": "string"}}}, "got `patternProperties`"),
    ({"$ref": "other.json#/A"}, "expected one to a place in this file"),
    ({"$ref": "#/$defs/Missing"}, "a reference to '#/$defs/Missing', which is not there"),
    ({"$ref": "#/properties/x"}, "got levels without end"),
    (
        {"anyOf": [{"type": "object"}, {"type": "object", "properties": {"a": {"type": "null"}}}]},
        "several kinds of objects",
    ),
    (
        {"type": "object", "properties": {"a-b": {"type": "string"}}},
        "at #/properties/x/properties/a-b: expected",
    ),
    (
        {"items": {"items": {"not": {}}}},
        "at #/properties/x/items/items: expected types",
    ),
]


@pytest.mark.parametrize(("declared", "why"), REFUSED)
def test_what_cannot_be_translated_is_refused_by_its_place(declared: Any, why: str) -> None:
    with pytest.raises(SpecError) as found:
        avro_of({"type": "object", "properties": {"x": declared}}, "e")
    assert why in str(found.value)
