"""Bodies of any schema: read as fastavro, as the oracle and as Avro's Java read them, however they were written.

Schemas have every type, types that contain themselves, and records that look alike; blocks of arrays and maps are
written whole, in parts, and with their sizes in bytes, as Java and Go write them.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.any_schemas import AnySchemas
from tests.events.java_avro import JavaAvro, java_avro, java_missing
from tests.events.poison import long
from tests.events.random_schemas import pairs
from tests.events.test_event_reader import body_of
from tests.random_worlds import QUICK
from user_state.events.event_reader import ReadEvent, event_reader
from user_state.oracle.body import read_body
from user_state.spec.avro_types import NamedTypes, looked_up, named_types
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.resolution import mismatches

TEXTS = ("", "a", "é\U0001f389", "x" * 64)
NUMBERS = {"int": (0, -1, 63, 64, 2**31 - 1, -(2**31)), "long": (0, -1, 2**53 + 1, 2**63 - 1, -(2**63))}
REALS = (0.0, -0.0, 1.5, math.inf, -1e300)


class Writing:
    """Random values of a schema as bytes, and as the values that they are.

    Args:
        rng: draws.
        schema: of events.
    """

    def __init__(self, rng: Random, schema: EventSchema) -> None:
        self._rng = rng
        self._named: NamedTypes = named_types(schema.parsed)

    def value(self, declared: Any, level: int = 0) -> tuple[bytes, Any]:
        """Return the bytes of a random value, and the value."""
        rng, declared = self._rng, looked_up(declared, self._named)
        if isinstance(declared, list):
            # Deep down the shortest branch, so that what contains itself ends.
            branch = declared.index("null") if level > 12 and "null" in declared else rng.randrange(len(declared))
            data, value = self.value(declared[branch], level + 1)
            return long(branch) + data, value
        match declared["type"]:
            case "record":
                fields = {field["name"]: self.value(field["type"], level + 1) for field in declared["fields"]}
                return b"".join(data for data, _ in fields.values()), {k: value for k, (_, value) in fields.items()}
            case "array":
                items = [self.value(declared["items"], level + 1) for _ in range(self._count(level))]
                return self._blocks([data for data, _ in items]), [value for _, value in items]
            case "map":
                entries = [
                    (rng.choice(TEXTS), self.value(declared["values"], level + 1)) for _ in range(self._count(level))
                ]
                keyed = [_sized(key.encode()) + data for key, (data, _) in entries]
                return self._blocks(keyed), {key: value for key, (_, value) in entries}
            case "enum":
                at = rng.randrange(len(declared["symbols"]))
                return long(at), declared["symbols"][at]
            case "fixed":
                data = rng.randbytes(declared["size"])
                return data, data
        return self._scalar(declared["type"])

    def _scalar(self, kind: str) -> tuple[bytes, Any]:
        rng = self._rng
        match kind:
            case "null":
                return b"", None
            case "boolean":
                value: Any = rng.random() < 0.5
            case "bytes":
                value = rng.randbytes(rng.randrange(4))
            case "string":
                value = rng.choice(TEXTS)
            case "float":
                value = rng.choice((0.0, -0.0, 1.5, math.inf))
            case "double":
                value = rng.choice(REALS)
            case _:
                value = rng.choice(NUMBERS[kind])
        return body_of(fastavro.parse_schema({"type": kind}), value), value

    def _count(self, level: int) -> int:
        return 0 if level > 8 else self._rng.choice((0, 1, 2, 3))

    def _blocks(self, items: list[bytes]) -> bytes:
        """Return items in blocks as writers make them: one or several, with or without their sizes."""
        made = b""
        while items:
            size = self._rng.randint(1, len(items))
            block, items = items[:size], items[size:]
            data = b"".join(block)
            made += (long(-size) + long(len(data)) if self._rng.random() < 0.5 else long(size)) + data
        return made + b"\x00"


def _sized(data: bytes) -> bytes:
    return long(len(data)) + data


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(QUICK, max_examples=300)
def test_bodies_as_any_writer_writes_them_are_read_as_fastavro_and_the_oracle_read_them(rng: Random) -> None:
    schema = parse_event_schema(AnySchemas(rng).event())
    read, writing = event_reader(schema, schema), Writing(rng, schema)
    for _ in range(5):
        body, value = writing.value(schema.parsed)
        found = read(body)
        assert repr(found) == repr(value)
        assert repr(read_body(schema.parsed, body)) == repr(value)
        assert repr(fastavro.schemaless_reader(io.BytesIO(body), schema.parsed, None)) == repr(value)


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(QUICK, max_examples=300)
def test_damaged_bodies_are_refused_by_the_core_where_the_oracle_refuses_them(rng: Random) -> None:
    schema = parse_event_schema(AnySchemas(rng).event())
    read, writing = event_reader(schema, schema), Writing(rng, schema)
    for _ in range(20):
        body = bytearray(writing.value(schema.parsed)[0])
        at = rng.randrange(len(body))
        match rng.randrange(4):
            case 0:
                body[at] ^= 1 << rng.randrange(8)
            case 1:
                del body[at:]
            case 2:
                body[at:at] = rng.choice((b"\x00", b"\xff", long(2**60), long(-1), long(-(2**63)), b"\x80\x00"))
            case _:
                body[at] = rng.randrange(256)
        try:
            expected: Any = repr(read_body(schema.parsed, bytes(body)))
        except ValueError:
            expected = None
        assert _or_none(read, bytes(body)) == expected


def _or_none(read: ReadEvent, body: bytes) -> str | None:
    try:
        return repr(read(body))
    except ValueError:
        return None


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaAvro]:
    """Avro's Java; skips where there is none, unless nothing may be missing."""
    reason = java_missing()
    if reason is not None:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, and {reason}")
        pytest.skip(reason)
    with java_avro(tmp_path_factory.mktemp("java")) as running:
        yield running


@pytest.mark.slow
def test_bodies_that_java_writes_are_read_as_fastavro_reads_them(java: JavaAvro) -> None:
    blocked_otherwise = 0
    for seed in range(150):
        declared = AnySchemas(Random(seed)).event()
        schema = parse_event_schema(declared)
        read = event_reader(schema, schema)
        for plain, blocked in zip(*java.written(declared, seed, 5), strict=True):
            expected = repr(fastavro.schemaless_reader(io.BytesIO(plain), schema.parsed, None))
            assert repr(read(plain)) == expected
            assert repr(read(blocked)) == expected
            assert repr(read_body(schema.parsed, blocked)) == expected
            blocked_otherwise += plain != blocked
    assert blocked_otherwise > 100


@pytest.mark.slow
@given(pair=pairs(nested=True))
@settings(QUICK, max_examples=150)
def test_versions_are_resolved_as_java_resolves_them(java: JavaAvro, pair: Any) -> None:
    writer, reader = parse_event_schema(pair.writer), parse_event_schema(pair.reader)
    if mismatches(writer.whole, reader.whole) or _has_an_alias_of_another_field(reader):
        return
    read, again = event_reader(writer, reader), event_reader(reader, reader)
    bodies = [body_of(writer.parsed, written) for written in pair.events]
    for body, resolved in zip(bodies, java.resolved(pair.writer, pair.reader, bodies), strict=True):
        if resolved is not None:  # Java is stricter about aliases in nested types and defaults of unions
            # A long that is read as a float is a double here, and a float there.
            found = again(body_of(reader.parsed, read(body)))
            assert json.dumps(found, sort_keys=True, default=repr) == json.dumps(
                again(resolved), sort_keys=True, default=repr
            )


def _has_an_alias_of_another_field(schema: EventSchema) -> bool:
    """Whether Java goes by the alias where a field has that name, too; here a field's own name goes first."""
    for record in named_types(schema.parsed).values():
        own = {field["name"] for field in record.get("fields", ())}
        if any(own & set(field.get("aliases", ())) for field in record.get("fields", ())):
            return True
    return False


LIST = {
    "type": "record",
    "name": "LongList",
    "aliases": ["LinkedLongs"],
    "fields": [{"name": "value", "type": "long"}, {"name": "next", "type": ["null", "LongList"]}],
}
SPECIFICATION = {
    "a record": (
        {"type": "record", "name": "test", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]},
        "3606666f6f",
        {"a": 27, "b": "foo"},
    ),
    "an array": (
        {"type": "record", "name": "test", "fields": [{"name": "a", "type": {"type": "array", "items": "long"}}]},
        "04063600",
        {"a": [3, 27]},
    ),
    "a union": (
        {"type": "record", "name": "test", "fields": [{"name": "a", "type": ["null", "string"]}]},
        "020261",
        {"a": "a"},
    ),
    "a union's null": (
        {"type": "record", "name": "test", "fields": [{"name": "a", "type": ["null", "string"]}]},
        "00",
        {"a": None},
    ),
    "an enum": (
        {
            "type": "record",
            "name": "test",
            "fields": [{"name": "a", "type": {"type": "enum", "name": "Foo", "symbols": ["A", "B", "C", "D"]}}],
        },
        "06",
        {"a": "D"},
    ),
    "a list that contains itself": (LIST, "02020400", {"value": 1, "next": {"value": 2, "next": None}}),
    **{
        f"the long {number}": (
            {"type": "record", "name": "test", "fields": [{"name": "a", "type": "long"}]},
            written,
            {"a": number},
        )
        for number, written in ((0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (2, "04"), (-64, "7f"), (64, "8001"))
    },
}
"""Avro's specification, 1.12: "Binary Encoding" and "Complex Types"."""


@pytest.mark.parametrize(("declared", "body", "value"), SPECIFICATION.values(), ids=SPECIFICATION)
def test_the_examples_of_avros_specification(declared: Any, body: str, value: Any) -> None:
    schema = parse_event_schema(declared)
    assert event_reader(schema, schema)(bytes.fromhex(body)) == value


def test_values_may_lie_128_levels_deep_and_no_deeper() -> None:
    schema = parse_event_schema(LIST)
    read = event_reader(schema, schema)
    assert read(b"\x02\x02" * 127 + b"\x02\x00")["value"] == 1
    assert read_body(schema.parsed, b"\x02\x02" * 127 + b"\x02\x00")["value"] == 1
    deeper = b"\x02\x02" * 128 + b"\x02\x00"
    with pytest.raises(ValueError, match=r"field next\.next\.next\..*: values lie more than 128 levels deep"):
        read(deeper)
    with pytest.raises(ValueError, match="too deep"):
        read_body(schema.parsed, deeper)


def test_an_event_may_have_so_many_values_of_no_bytes_and_no_more() -> None:
    schema = parse_event_schema({**LIST, "fields": [{"name": "nulls", "type": {"type": "array", "items": "null"}}]})
    read = event_reader(schema, schema)
    # Four bytes may have 64 more each, and the record's field is a value too.
    most = 65_536 + 64 * 4 - 1
    assert len(read(long(most) + b"\x00")["nulls"]) == len(read_body(schema.parsed, long(most) + b"\x00")["nulls"])
    for count in (most + 1, 2**60):
        with pytest.raises(ValueError, match=r"nulls\[\], at byte \d+: there are more than 65536 values beyond 64 a"):
            read(long(count) + b"\x00")
        with pytest.raises(ValueError, match="too many values"):
            read_body(schema.parsed, long(count) + b"\x00")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\x01\x02\x02", "the bytes end too early"),
        (b"\x01\x04\x02\x00", "the items of a block have other bytes than it says"),
        (b"\x01\x00\x02\x00", "the items of a block have other bytes than it says"),
        (b"\x01\x01\x02\x00", "the size of a block is negative"),
        (b"\x01\xfe\x01\x02\x00", "the bytes end too early: a block of 127 begins, 2 are left"),
        (long(-(2**63)) + b"\x00\x00", "the count of a block does not fit 64 bits"),
    ],
)
def test_blocks_with_sizes_that_are_wrong(body: bytes, why: str) -> None:
    declared = {"type": "record", "name": "E", "fields": [{"name": "a", "type": {"type": "array", "items": "long"}}]}
    schema = parse_event_schema(declared)
    read = event_reader(schema, schema)
    assert read(b"\x01\x02\x02\x00") == {"a": [1]}
    with pytest.raises(ValueError, match=why):
        read(body)
    with pytest.raises(ValueError, match=r"."):
        read_body(schema.parsed, body)
