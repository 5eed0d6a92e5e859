"""Each kind of change that a schema goes through: an event written before it, as it is read after it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import fastavro
import pytest

from tests.events.test_event_reader import body_of
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject
from user_state.events.decode import EventDecoder
from user_state.events.event_reader import event_reader
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.resolution import mismatches

SYMBOLS = ["view", "like"]


def field(name: str, declared: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": declared, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Action", "symbols": list(symbols), **more}


def record(*fields: dict[str, Any], name: str = "Event", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def device(*fields: dict[str, Any]) -> dict[str, Any]:
    return record(*fields, name="Device")


X = field("x", "string")
FIXED = {"type": "fixed", "name": "Four", "size": 4}
TIME = {"type": "long", "logicalType": "timestamp-micros"}
FLAT = {
    # what: (writer's fields, reader's fields, what was written, what is read)
    "added, with a default": ([X], [X, field("y", "long", default=7)], {"x": "a"}, {"x": "a", "y": 7}),
    "added, null": ([X], [field("y", ["null", "string"], default=None), X], {"x": "a"}, {"x": "a", "y": None}),
    "added, default of another branch": (
        [X],
        [X, field("y", ["null", "double"], default=1)],
        {"x": "a"},
        {"x": "a", "y": 1.0},
    ),
    "added, bytes": ([X], [X, field("y", "bytes", default="\u00ff\u0000")], {"x": "a"}, {"x": "a", "y": b"\xff\0"}),
    "added, a symbol": ([X], [X, field("y", enum(*SYMBOLS), default="like")], {"x": "a"}, {"x": "a", "y": "like"}),
    "removed, first": ([field("y", "string"), X], [X], {"x": "a", "y": "gone" * 40}, {"x": "a"}),
    "removed, last": ([X, field("y", ["null", "double"])], [X], {"x": "a", "y": 1.5}, {"x": "a"}),
    "removed, all that there was": ([X], [field("z", "int", default=1)], {"x": "a"}, {"z": 1}),
    "removed, a symbol": ([field("y", enum(*SYMBOLS)), X], [X], {"x": "a", "y": "like"}, {"x": "a"}),
    "removed, fixed": ([field("y", FIXED), X], [X], {"x": "a", "y": b"four"}, {"x": "a"}),
    "renamed": ([field("old", "string")], [field("x", "string", aliases=["older", "old"])], {"old": "a"}, {"x": "a"}),
    "renamed, both written, old first": (
        [field("old", "string"), X],
        [field("x", "string", aliases=["old"])],
        {"old": "before", "x": "now"},
        {"x": "now"},
    ),
    "renamed, both written, new first": (
        [X, field("old", "string")],
        [field("x", "string", aliases=["old"])],
        {"old": "before", "x": "now"},
        {"x": "now"},
    ),
    "renamed twice, both written": (
        [field("older", "int"), field("old", "int")],
        [field("x", "long", aliases=["old", "older"])],
        {"older": 1, "old": 2},
        {"x": 2},
    ),
    "two changed names": (
        [field("a", "int"), field("b", "int")],
        [field("b", "int", aliases=["a"]), field("a", "int", aliases=["b"])],
        {"a": 1, "b": 2},
        {"a": 1, "b": 2},
    ),
    "an alias that is a field of its own": (
        [X],
        [field("y", "string", aliases=["x"], default="none"), X],
        {"x": "a"},
        {"x": "a", "y": "none"},
    ),
    "renamed and promoted": ([field("old", "int")], [field("x", "double", aliases=["old"])], {"old": 3}, {"x": 3.0}),
    "int to long": ([field("x", "int")], [field("x", "long")], {"x": -(2**31)}, {"x": -(2**31)}),
    "int to float": ([field("x", "int")], [field("x", "float")], {"x": -5}, {"x": -5.0}),
    "int to double": ([field("x", "int")], [field("x", "double")], {"x": 2**31 - 1}, {"x": float(2**31 - 1)}),
    "long to float": ([field("x", "long")], [field("x", "float")], {"x": 2**40}, {"x": float(2**40)}),
    "long to double": ([field("x", "long")], [field("x", "double")], {"x": 2**53 + 2}, {"x": float(2**53 + 2)}),
    "float to double": ([field("x", "float")], [field("x", "double")], {"x": 0.5}, {"x": 0.5}),
    "string to bytes": ([X], [field("x", "bytes")], {"x": "\u00e9"}, {"x": b"\xc3\xa9"}),
    "bytes to string": ([field("x", "bytes")], [X], {"x": b"\xc3\xa9"}, {"x": "\u00e9"}),
    "a long that is now a time": ([field("x", "long")], [field("x", TIME)], {"x": 17}, {"x": 17}),
    "reordered": (
        [field("a", "int"), field("b", "string"), field("c", "double")],
        [field("c", "double"), field("a", "int"), field("b", "string")],
        {"a": 1, "b": "two", "c": 3.0},
        {"a": 1, "b": "two", "c": 3.0},
    ),
    "a symbol added": (
        [field("x", enum("like", "view"))],
        [field("x", enum("view", "share", "like"))],
        {"x": "like"},
        {"x": "like"},
    ),
    "a symbol removed": (
        [field("x", enum("view", "dismiss"))],
        [field("x", enum("other", "view", default="other"))],
        {"x": "dismiss"},
        {"x": "other"},
    ),
    "a symbol removed from a nullable enum": (
        [field("x", ["null", enum("view", "dismiss")])],
        [field("x", [enum("other", "view", default="other"), "null"])],
        {"x": "dismiss"},
        {"x": "other"},
    ),
    "an enum renamed": (
        [field("x", enum("view", "like"))],
        [field("x", {**enum("like", "view"), "name": "Deed", "aliases": ["Action"]})],
        {"x": "view"},
        {"x": "view"},
    ),
    "made nullable": ([X], [field("x", ["null", "string"])], {"x": "a"}, {"x": "a"}),
    "made nullable and promoted": ([field("x", "int")], [field("x", ["null", "double"])], {"x": 2}, {"x": 2.0}),
    "made required, not null": ([field("x", ["null", "string"])], [X], {"x": "a"}, {"x": "a"}),
    "made required and promoted": ([field("x", ["null", "int"])], [field("x", "double")], {"x": 2}, {"x": 2.0}),
    "null moved": ([field("x", ["null", "int"])], [field("x", ["long", "null"])], {"x": None}, {"x": None}),
    "a union widened": (
        [field("x", ["null", "int"])],
        [field("x", ["null", "string", "double"])],
        {"x": 4},
        {"x": 4.0},
    ),
    "its own branch": ([field("x", "int")], [field("x", ["double", "int"])], {"x": 4}, {"x": 4}),
    "else the first that fits": ([field("x", "int")], [field("x", ["double", "long"])], {"x": 4}, {"x": 4.0}),
    "an enum named before": (
        [field("y", enum(*SYMBOLS)), field("x", ["null", "Action"])],
        [field("x", ["null", enum(*SYMBOLS)])],
        {"y": "view", "x": "like"},
        {"x": "like"},
    ),
}
NESTED = {
    "an array's items promoted": (
        [field("x", {"type": "array", "items": "int"})],
        [field("x", {"type": "array", "items": ["null", "double"]})],
        {"x": [1, 2]},
        {"x": [1.0, 2.0]},
    ),
    "a map removed": ([field("y", {"type": "map", "values": "int"}), X], [X], {"y": {"k": 1}, "x": "a"}, {"x": "a"}),
    "a field added to a record": (
        [field("x", device(field("os", "string")))],
        [field("x", device(field("os", "string"), field("screen", "bytes", default="\u00ff")))],
        {"x": {"os": "a"}},
        {"x": {"os": "a", "screen": b"\xff"}},
    ),
    "a field added to a record named before": (
        [field("w", device(field("os", "string"))), field("x", ["null", "Device"])],
        [
            field("w", device(field("os", "string"), field("screen", "bytes", default="\u00ff"))),
            field("x", ["null", "Device"]),
        ],
        {"w": {"os": "a"}, "x": {"os": "b"}},
        {"w": {"os": "a", "screen": b"\xff"}, "x": {"os": "b", "screen": b"\xff"}},
    ),
    "an array added": (
        [X],
        [X, field("y", {"type": "array", "items": "bytes"}, default=["\u00ff"])],
        {"x": "a"},
        {"x": "a", "y": [b"\xff"]},
    ),
    "a record added": (
        [X],
        [X, field("y", device(field("os", "string", default="?"), field("dpi", "double")), default={"dpi": 2})],
        {"x": "a"},
        {"x": "a", "y": {"os": "?", "dpi": 2.0}},
    ),
    "renamed, both written, beside an array": (
        [X, field("old", "string"), field("y", {"type": "array", "items": "int"})],
        [field("x", "string", aliases=["old"])],
        {"x": "now", "old": "before", "y": []},
        {"x": "now"},
    ),
}


def pair(wrote: list[Any], reads: list[Any]) -> tuple[Any, Any]:
    return parse_event_schema(record(*wrote)), parse_event_schema(record(*reads))


@pytest.mark.parametrize(
    ("wrote", "reads", "written", "expected"), [*FLAT.values(), *NESTED.values()], ids=[*FLAT, *NESTED]
)
def test_what_was_written_before_is_read_after(wrote: list[Any], reads: list[Any], written: Any, expected: Any) -> None:
    writer, reader = pair(wrote, reads)
    assert [found for found in mismatches(writer.whole, reader.whole) if not found.null_only] == []
    found = event_reader(writer, reader)(body_of(writer.parsed, written))
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {n: type(value) for n, value in expected.items()}


def test_null_where_none_is_taken_any_more_says_so() -> None:
    writer, reader = pair([field("x", ["null", "string"])], [X])
    with pytest.raises(ValueError, match="at byte 0: null in x, which is read as string"):
        event_reader(writer, reader)(b"\0")


def test_a_default_that_would_be_shared_by_events_is_not() -> None:
    """fastavro hands the same list to every event."""
    writer, reader = pair([X], [X, field("y", {"type": "map", "values": "int"}, default={"k": 1})])
    read = event_reader(writer, reader)
    first, second = read(b"\x02a"), read(b"\x02b")
    assert first == {"x": "a", "y": {"k": 1}}
    assert first["y"] is not second["y"]


# What a decoder does with the versions of a spec

V1 = record(field("id", "string"), field("user", "string"), field("at", TIME), field("stars", ["null", "int"]))
V2 = record(
    field("user_id", "string", aliases=["user"]),
    field("id", "string"),
    field("at", TIME),
    field("stars", ["null", "double"], default=None),
    field("tags", {"type": "array", "items": "string"}, default=[]),
)
V3 = record(
    field("id", "string"),
    field("user_id", "string", aliases=["user"]),
    field("at", TIME),
    field("stars", "double", default=0.0),
)
SPEC = """\
name: tried
events: {schema: v3.avsc, versions: [v1.avsc, v2.avsc], user: user_id, id: id, time: at}
allowed_lateness: 1h
max_clock_skew: 1m
retention: 90d
features: {stars: {aggregate: sum, of: stars, windows: 1h}}
"""
EVENTS = {
    "v1": (V1, {"id": "e", "user": "u", "at": 1, "stars": 4}, {"id": "e", "user_id": "u", "at": 1, "stars": 4.0}),
    "v2": (
        V2,
        {"id": "e", "user_id": "u", "at": 1, "stars": 0.5, "tags": ["t"]},
        {"id": "e", "user_id": "u", "at": 1, "stars": 0.5},
    ),
    "v3": (V3, *[{"id": "e", "user_id": "u", "at": 1, "stars": 0.5}] * 2),
}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> LoadedSpec:
    folder: Path = tmp_path_factory.mktemp("versions")
    for name, schema in (("v1", V1), ("v2", V2), ("v3", V3)):
        (folder / f"{name}.avsc").write_text(json.dumps(schema))
    return parse_spec(SPEC, beside=folder)


@pytest.fixture(scope="module")
def decoder(spec: LoadedSpec) -> EventDecoder:
    return EventDecoder(compile_plan(spec), spec.schema)


def single_object(schema: Any, event: Any) -> bytes:
    return SingleObject(fastavro.parse_schema(schema)).encode(event)


@pytest.mark.parametrize(("schema", "written", "expected"), EVENTS.values(), ids=EVENTS)
def test_the_fingerprint_says_which_version_was_written(
    decoder: EventDecoder, schema: Any, written: Any, expected: Any
) -> None:
    assert decoder.decode(single_object(schema, written)) == expected


def test_what_names_no_schema_is_read_with_the_schema_and_never_with_a_version(decoder: EventDecoder) -> None:
    schema, written, expected = EVENTS["v3"]
    assert decoder.decode(single_object(schema, written)[10:]) == expected
    schema, written, _ = EVENTS["v1"]
    with pytest.raises(EventError, match=r"undecodable: cannot decode 7 bytes as Avro Event: "):
        decoder.decode(single_object(schema, written)[10:])


def test_an_unknown_fingerprint_is_named_with_those_that_are_known(decoder: EventDecoder, spec: LoadedSpec) -> None:
    other = single_object(record(X), {"x": "a"})
    with pytest.raises(EventError) as caught:
        decoder.decode(other)
    assert caught.value.reason == "undecodable"
    known = [f"{single_object(schema, e)[2:10].hex()} Event ({name}.avsc)" for name, (schema, e, _) in EVENTS.items()]
    assert all(label in caught.value.detail for label in known)
    assert f"got fingerprint {other[2:10].hex()}, of a schema to be added to `versions:`" in caught.value.detail


def test_a_version_that_is_damaged_is_named(decoder: EventDecoder) -> None:
    schema, written, _ = EVENTS["v1"]
    with pytest.raises(EventError, match=r"cannot decode 6 bytes as Avro Event of v1\.avsc: field stars"):
        decoder.decode(single_object(schema, written)[:-1])
    with pytest.raises(EventError, match=r"Event of v1\.avsc: .*at byte 5: null in stars, which is read as double"):
        decoder.decode(single_object(schema, {**written, "stars": None}))


def test_any_bytes_give_what_brute_force_makes_of_them_or_the_one_error(
    decoder: EventDecoder, spec: LoadedSpec
) -> None:
    reference = SingleObject(spec.schema.parsed, [version.parsed for version in spec.schema.versions])
    rng = random.Random(9)
    bodies = [single_object(schema, written) for schema, written, _ in EVENTS.values()]
    decoded = refused = 0
    reasons = set()
    for n in range(12_000):
        body = rng.choice(bodies)
        match n % 4:
            case 0:
                data = rng.randbytes(rng.randrange(30))
            case 1:
                data = body[:10] + rng.randbytes(rng.randrange(30))
            case _:
                changed = bytearray(body)
                for _ in range(rng.randrange(1, 4)):
                    changed[rng.randrange(10 * (n % 2), len(body))] = rng.randrange(256)
                data = bytes(changed[: rng.choice([len(changed), rng.randrange(len(changed))])])
        try:
            found = decoder.decode(data)
        except EventError as exc:
            reasons.add(exc.reason)
            with pytest.raises(EventError):
                reference.decode(data)
            refused += 1
        else:
            assert repr(sorted(found.items())) == repr(sorted(reference.decode(data).items()))
            decoded += 1
    assert reasons == {"undecodable"}
    assert decoded > 500
    assert refused > 5_000
