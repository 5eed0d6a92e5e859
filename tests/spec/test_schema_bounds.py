"""Schemas whose events cannot be read, or would keep fastavro busy, are told by field and reason, and no others are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.events.poison import POISON, array, chain, defined, doubling, event, map_like_record, mapping, record
from user_state.errors import SpecError
from user_state.spec import parse_spec
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.schema_bounds import (
    MOST_BYTES,
    MOST_FREE_VALUES,
    MOST_LEVELS,
    MOST_TRIES,
    MOST_VALUES_A_BYTE,
    check_bounds_of_fastavro,
    fastavro_can_read,
)

K = MOST_VALUES_A_BYTE
SPEC = """name: feed
events:
  schema: {schema}
  versions: {versions}
  user: user_id
  id: event_id
  time: event_time
allowed_lateness: 1h
max_clock_skew: 1m
retention: 30d
features:
  views: {{aggregate: count, windows: [1h]}}
"""


def fixed(size: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "Fixed", "size": size}


def nested(levels: int, innermost: Any = "int") -> Any:
    for _ in range(levels):
        innermost = array(innermost)
    return innermost


def nulls(size: int, *more: tuple[str, Any]) -> dict[str, Any]:
    return record("Nulls", *((f"n{n}", "null") for n in range(size)), *more)


def check(schema: Any) -> None:
    """Raise if events of the schema cannot be read, or not by fastavro."""
    check_bounds_of_fastavro(parse_event_schema(schema).whole)


@pytest.mark.parametrize("name", [name for name, one in POISON.items() if one.reason])
def test_what_short_bodies_could_misuse_is_refused_by_its_field_where_reading_does_not_bound_it(name: str) -> None:
    poison = POISON[name]
    if poison.refused == "schema":
        with pytest.raises(SpecError, match=poison.reason) as caught:
            parse_event_schema(poison.schema)
        assert f"{poison.field} " in str(caught.value) or f"{poison.field};" in str(caught.value)
    else:
        schema = parse_event_schema(poison.schema)
        assert not fastavro_can_read(schema.whole)
        with pytest.raises(SpecError, match=poison.of_fastavro):
            check_bounds_of_fastavro(schema.whole)


ALLOWED = {
    "null in a union": event(["null", "string"], array(["null", "string"])),
    "a map of nulls, which are as many as its keys": event(mapping("null")),
    "a map of empty records": event(mapping(record("Empty"))),
    "an empty record in a union, in an array": event(array([record("A"), record("B"), "null"])),
    "a null and an empty record beside others": event("null", record("Empty"), fixed(0)),
    "arrays in maps in arrays": event(array(mapping(array("boolean")))),
    "a record in an array, with a null beside": event(array(nulls(3, ("x", "int")))),
    "a type that is used by name again and again": event(record("R", ("x", "int")), "R", array("R"), ["null", "R"]),
    "an enum and a fixed": event(array(fixed(1)), array({"type": "enum", "name": "E", "symbols": ["a"]})),
    "records that double, of more than no bytes": defined(doubling(20, record("D0", ("x", "long"))), "D19"),
    "records of one in a union": event(["null", record("A", ("x", "int")), record("B", ("x", "int"))]),
}


@pytest.mark.parametrize("schema", ALLOWED.values(), ids=ALLOWED)
def test_what_no_body_can_misuse_is_taken(schema: dict[str, Any]) -> None:
    check(schema)


# what: (the largest that is taken, the smallest that is refused, what is said)
EDGES = {
    # The event is a level itself, and the innermost int another.
    "levels of arrays": (event(nested(MOST_LEVELS - 2)), event(nested(MOST_LEVELS - 1)), "at most 64 levels"),
    # They are defined in a union in the event, and the last one ends with a boolean.
    "levels of records by name": (
        defined(chain(MOST_LEVELS - 3), "int"),
        defined(chain(MOST_LEVELS - 2), "int"),
        "at most 64 levels",
    ),
    "bytes of a fixed": (event(fixed(MOST_BYTES - 2)), event(fixed(MOST_BYTES)), "fit a message"),
    # A record is a value itself; so is what takes the byte.
    "values a byte of an array": (
        event(array(nulls(K - 2, ("x", "boolean")))),
        event(array(nulls(K - 1, ("x", "boolean")))),
        "16 values a byte",
    ),
    "values a byte of a map": (event(mapping(nulls(K - 2))), event(mapping(nulls(K))), "16 values a byte"),
    "values without bytes in an event": (
        event(nulls(MOST_FREE_VALUES - 1)),
        event(nulls(MOST_FREE_VALUES)),
        "at most 1000 values",
    ),
    "bytes of an event": (record("Event", ("a", "boolean")), record("Event", ("a", "null")), "at least one byte"),
    "ways to read a map": (
        defined(*map_like_record(MOST_TRIES.bit_length() - 1)),
        defined(*map_like_record(MOST_TRIES.bit_length())),
        "decoded in up to",
    ),
}


@pytest.mark.parametrize(("taken", "refused", "said"), EDGES.values(), ids=EDGES)
def test_the_bounds_are_where_they_are_said_to_be(taken: Any, refused: Any, said: str) -> None:
    check(taken)
    with pytest.raises(SpecError, match=said):
        check(refused)


@pytest.mark.parametrize("size", [-1, True, 2.5, "4", None])
def test_a_fixed_has_a_size_in_bytes(size: Any) -> None:
    with pytest.raises(SpecError, match=r"expected a size in bytes, got .* for field f0 of type fixed Fixed"):
        parse_event_schema(event(fixed(size)))


@pytest.mark.parametrize(
    ("union", "said"),
    [
        (["int", "int"], "'int' twice for f0"),
        ([array("int"), array("string")], "'array' twice for f0"),
        ([mapping("int"), {"type": "map", "values": "string"}], "'map' twice for f0"),
        ([record("R", ("x", "int")), "null", "R"], "'R' twice for f0"),
        (["null", ["int"]], "a union in it for f0"),
    ],
)
def test_a_union_has_each_type_once(union: list[Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_event_schema(event(union))


def test_an_error_is_no_record() -> None:
    with pytest.raises(SpecError, match="field f0 of type error, which is for protocols"):
        parse_event_schema(event({"type": "error", "name": "E", "fields": [{"name": "x", "type": "int"}]}))


@pytest.mark.parametrize("key", ["schema", "versions"])
def test_a_spec_that_names_such_a_schema_is_told_so_with_the_line(tmp_path: Path, key: str) -> None:
    bad = event(nested(MOST_LEVELS - 1))
    (tmp_path / "bad.avsc").write_text(json.dumps(bad))
    named = {"schema": "interaction.avsc", "versions": "[]"} | {key: "bad.avsc"}
    with pytest.raises(
        SpecError,
        match=rf"<spec>:{3 if key == 'schema' else 4}: .*expected at most 64 levels of types, got more in f0",
    ):
        parse_spec(SPEC.format(**named), beside=tmp_path)
