"""What cannot be read is named, with its field and why, before any event is; what can be read is not complained of."""

from __future__ import annotations

from typing import Any

import pytest

from user_state.spec.avro_types import default_value, in_words
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.resolution import Mismatch, changes, mismatches


def field(name: str, declared: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": declared, **more}


def enum(*symbols: str, name: str = "Action", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(size: int, name: str = "Hash") -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


def record(*fields: dict[str, Any], name: str = "Event", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def inner(*fields: dict[str, Any], name: str = "Inner") -> dict[str, Any]:
    return record(*fields, name=name)


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def logical(name: str, declared: str = "long") -> dict[str, Any]:
    return {"type": declared, "logicalType": name}


def found(writer: dict[str, Any], reader: dict[str, Any]) -> list[Mismatch]:
    return mismatches(parse_event_schema(writer).whole, parse_event_schema(reader).whole)


X = field("x", "string")
TWICE = [field("x", inner(field("v", "int"))), field("y", "Inner")]
LONG_TWICE = [field("x", inner(field("v", "long"))), field("y", "Inner")]
TEXT_TWICE = [field("x", inner(field("v", "string"))), field("y", "Inner")]
CASES = {
    # what: (writer's fields, reader's fields, [(field, what is said)])
    "missing in the writer, no default": (
        [X],
        [X, field("y", "int")],
        [("y", "missing in the writer's schema, and without a default; add one")],
    ),
    "missing in the writer, no default, perhaps renamed": (
        [X, field("old", "int"), field("older", "int")],
        [X, field("y", "int")],
        [("y", "add one, or an alias if it was renamed from one of: old, older")],
    ),
    "a nullable field without a default": ([X], [X, field("y", ["null", "int"])], [("y", "without a default")]),
    "a default that does not fit its enum": (
        [X],
        [X, field("y", enum("a"), default="b")],
        [("y", "its default cannot be used: expected a default of type enum Action, got 'b'")],
    ),
    "a default beyond an int": ([X], [X, field("y", "int", default=2**31)], [("y", "of type int, got 2147483648")]),
    "a default beyond a byte": ([X], [X, field("y", "bytes", default="\u0100")], [("y", "cannot be used")]),
    "a default record without all its fields": (
        [X],
        [X, field("y", inner(X), default={})],
        [("y", "a value for x, which has none")],
    ),
    "long to int": ([field("x", "long")], [field("x", "int")], [("x", "long cannot be read as int")]),
    "double to float": ([field("x", "double")], [field("x", "float")], [("x", "double cannot be read")]),
    "double to long": ([field("x", "double")], [field("x", "long")], [("x", "cannot be read as long")]),
    "string to long": ([X], [field("x", "long")], [("x", "string cannot be read as long")]),
    "boolean to int": ([field("x", "boolean")], [field("x", "int")], [("x", "boolean cannot be read")]),
    "enum to string": ([field("x", enum("a"))], [X], [("x", "enum Action cannot be read as string")]),
    "string to enum": ([X], [field("x", enum("a"))], [("x", "cannot be read as enum Action")]),
    "a symbol nobody knows": (
        [field("x", enum("a", "b", "c"))],
        [field("x", enum("b"))],
        [("x", "its enum lacks the writer's symbols a, c and has no default")],
    ),
    "an enum of another name": (
        [field("x", enum("a"))],
        [field("x", enum("a", name="shop.Deed"))],
        [("x", "cannot be read as enum shop.Deed; if it was renamed, give it the alias Action")],
    ),
    "a fixed of another size": ([field("x", fixed(4))], [field("x", fixed(8))], [("x", "fixed Hash of another size")]),
    "a fixed of another name": (
        [field("x", fixed(4))],
        [field("x", fixed(4, "Id"))],
        [("x", "the alias Hash")],
    ),
    "no branch that fits": (
        [X],
        [field("x", ["null", "int"])],
        [("x", "string cannot be read as null or int")],
    ),
    "a branch that fits none": (
        [field("x", ["null", "int", "string"])],
        [field("x", ["null", "string"])],
        [("x", "int cannot be read as null or string")],
    ),
    "nothing but null": ([field("x", ["null"])], [X], [("x", "null cannot be read as string")]),
    "micros to millis": (
        [field("x", logical("timestamp-micros"))],
        [field("x", ["null", logical("timestamp-millis")])],
        [("x", "microseconds would be read as milliseconds; Avro does not convert")],
    ),
    "days to micros": (
        [field("x", logical("date", "int"))],
        [field("x", logical("local-timestamp-micros"))],
        [("x", "days would be read as microseconds")],
    ),
    "an array's items": (
        [field("x", array(["null", "string"]))],
        [field("x", array(["null", "int"]))],
        [("x[]", "string cannot be read as null or int")],
    ),
    "a map's values": (
        [field("x", {"type": "map", "values": inner(X)})],
        [field("x", {"type": "map", "values": inner(X, field("y", "int"))})],
        [("x{}.y", "missing in the writer")],
    ),
    "an inner field": (
        [field("x", inner(field("os", "string")))],
        [field("x", inner(field("os", "long")))],
        [("x.os", "string cannot be read")],
    ),
    "an inner field written under two names": (
        [field("x", inner(field("os", "string"), field("system", "string")))],
        [field("x", inner(field("os", "string", aliases=["system"])))],
        [("x.os", "written both as os and as system")],
    ),
    "an inner record used again by name, said once": (TWICE, TEXT_TWICE, [("x.v", "int cannot be read")]),
    "an alias of two": (
        [field("old", "int")],
        [field("x", "int", aliases=["old"]), field("y", "int", aliases=["old"])],
        [("y", "old is an alias of both this field and x")],
    ),
    "several at once, in the reader's order": (
        [X, field("z", "string")],
        [field("z", "int"), field("y", "int"), X],
        [("z", "string cannot"), ("y", "missing in the writer")],
    ),
}


@pytest.mark.parametrize(("wrote", "reads", "expected"), CASES.values(), ids=CASES)
def test_what_cannot_be_read_is_named(wrote: list[Any], reads: list[Any], expected: list[tuple[str, str]]) -> None:
    named = found(record(*wrote), record(*reads))
    assert [one.field for one in named] == [name for name, _ in expected]
    for one, (_, said) in zip(named, expected, strict=True):
        assert said in one.reason
        assert not one.null_only


RESOLVING = {
    "the same": ([X], [X]),
    "an unknown unit of time": ([field("x", "long")], [field("x", logical("timestamp-micros"))]),
    "one unit of time, local": (
        [field("x", logical("local-timestamp-micros"))],
        [field("x", logical("timestamp-micros"))],
    ),
    "a logical type that is no time": ([field("x", logical("uuid", "string"))], [X]),
    "an enum with a default for what it lacks": (
        [field("x", enum("a", "b"))],
        [field("x", enum("a", default="a"))],
    ),
    "an inner record used again by name": (TWICE, LONG_TWICE),
    "a field under both names": ([X, field("old", "int")], [field("x", "string", aliases=["old"])]),
    "an alias with a namespace": (
        [field("x", enum("a", name="a.Action"))],
        [field("x", enum("a", name="b.Deed", aliases=["a.Action"]))],
    ),
    "another namespace": ([field("x", enum("a", name="a.Action"))], [field("x", enum("a", name="b.Action"))]),
}


@pytest.mark.parametrize(("wrote", "reads"), RESOLVING.values(), ids=RESOLVING)
def test_what_can_be_read_is_not_complained_of(wrote: list[Any], reads: list[Any]) -> None:
    assert found(record(*wrote), record(*reads)) == []


def test_events_of_another_name_need_an_alias() -> None:
    (one,) = found(record(X, name="a.Click"), record(X, name="a.Tap"))
    assert str(one) == ("record a.Click cannot be read as record a.Tap; if it was renamed, give it the alias Click")
    assert found(record(X, name="a.Click"), record(X, name="a.Tap", aliases=["Click"])) == []


def test_a_record_with_a_name_that_is_none_is_read_as_whatever_it_fits() -> None:
    """Beam's WriteToAvro names the records of rows by random UUIDs, which no alias can name."""
    name = "768cb795-6c6f-4468-a1cd-d974e936af8d"
    writer = record(X, field("in", inner(X, name="0-1")), name=name)
    assert found(writer, record(X, field("in", inner(X)))) == []
    assert found(writer, record(X, field("in", ["null", inner(X)]))) == []
    assert [one.field for one in found(writer, record(X, field("in", inner(X, field("y", "int")))))] == ["in.y"]
    # Of two records, nothing says which it is.
    two = ["null", inner(X, name="A"), inner(field("y", "int", default=1), name="B")]
    assert [one.field for one in found(writer, record(X, field("in", two)))] == ["in"]
    assert len(found(record(X, name="Other"), record(X))) == 1


def test_null_where_none_is_taken_any_more_is_told_apart() -> None:
    """A field made required may lose events, but none that has a value."""
    named = found(record(field("x", ["null", "int"])), record(field("x", "long")))
    assert named == [Mismatch("x", "null, which the reader does not accept", null_only=True)]
    (one,) = found(record(field("x", array(["null", "int"]))), record(field("x", array("long"))))
    assert (one.field, one.null_only) == ("x[]", True)


def test_changes_are_told_in_words() -> None:
    v1 = record(
        field("item", "string"),
        field("stars", ["null", "int"]),
        field("screen", "string"),
        field("action", enum("view", "dismiss")),
    )
    v2 = record(
        field("action", enum("view", "other", default="other")),
        field("item_id", "string", aliases=["item"]),
        field("stars", "double"),
        field("region", "string", default="?"),
    )
    assert changes(parse_event_schema(v1).whole, parse_event_schema(v2).whole) == [
        "dismiss in action is other",
        "item is item_id",
        "stars was null or int",
        "no region",
        "screen is left out",
        "null in stars is undecodable",
    ]
    assert changes(parse_event_schema(v2).whole, parse_event_schema(v2).whole) == []


@pytest.mark.parametrize(
    ("declared", "default", "value"),
    [
        ("null", None, None),
        ("boolean", False, False),
        ("long", -(2**63), -(2**63)),
        ("float", 3, 3.0),
        ("string", "s", "s"),
        ("bytes", "\u0000\u00ff", b"\x00\xff"),
        (fixed(2), "ab", b"ab"),
        (enum("a", "b"), "b", "b"),
        (["null", "int"], 5, 5),
        (["int", "null"], None, None),
        (array("double"), [1, 2.5], [1.0, 2.5]),
        ({"type": "map", "values": "bytes"}, {"k": "\u00ff"}, {"k": b"\xff"}),
        (inner(X, field("y", "int", default=1)), {"x": "a"}, {"x": "a", "y": 1}),
    ],
    ids=repr,
)
def test_a_default_becomes_the_value_it_stands_for(declared: Any, default: Any, value: Any) -> None:
    made = default_value(declared, default, {})
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(
    ("declared", "default"),
    [
        ("null", 0),
        ("boolean", 0),
        ("int", True),
        ("int", 2**31),
        ("long", 1.0),
        ("double", True),
        ("double", 10**400),
        ("double", "1"),
        ("string", None),
        (fixed(2), "abc"),
        (enum("a"), "b"),
        (["null", "int"], "x"),
        (array("int"), ["a"]),
        (inner(X), {}),
    ],
    ids=repr,
)
def test_a_default_that_does_not_fit_is_a_value_error(declared: Any, default: Any) -> None:
    with pytest.raises(ValueError, match="expected a default"):
        default_value(declared, default, {})


def test_types_are_put_into_words() -> None:
    assert in_words(["null", array({"type": "map", "values": fixed(4)})]) == "null or array of map of fixed Hash"
