"""JSON bodies of any schema are read as the oracle reads them, with Python's json, however they are written."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import event as seen
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.any_schemas import AnySchemas
from tests.events.json_texts import JsonWriting, UnwritableError
from tests.random_worlds import QUICK
from user_state.events.event_reader import json_reader
from user_state.events.json_written import write_json
from user_state.oracle.json_body import read_json
from user_state.spec.avro_types import looked_up, named_types
from user_state.spec.event_schema import parse_event_schema

Read = Callable[[bytes], dict[str, Any]]


def by_name(value: Any) -> str:
    """The value as text, so that 1, 1.0 and True are three things, and the order of members is nothing."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {by_name(value[key])}' for key in sorted(value))}}}"
    return f"[{', '.join(map(by_name, value))}]" if isinstance(value, list) else repr(value)


def or_none(read: Read, body: bytes) -> str | None:
    """What a body says, None where it is refused."""
    try:
        return by_name(read(body))
    except ValueError:
        return None


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(QUICK, max_examples=300)
def test_bodies_are_read_as_the_oracle_reads_them_however_they_are_written(rng: Random) -> None:
    schema = parse_event_schema(AnySchemas(rng).event())
    read, writing = json_reader(schema), JsonWriting(rng, schema)
    for _ in range(5):
        try:
            text, value = writing.value(schema.whole)
        except UnwritableError:
            seen("unwritable")
            continue
        body = text.encode()
        assert by_name(read_json(schema.whole, body)) == by_name(value)
        assert by_name(read(body)) == by_name(value)


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(QUICK, max_examples=400)
def test_damaged_bodies_are_refused_where_the_oracle_refuses_them(seed: int) -> None:
    rng = Random(seed)
    schema = parse_event_schema(AnySchemas(rng).event())
    read, writing = json_reader(schema), JsonWriting(rng, schema)
    for _ in range(20):
        try:
            body = bytearray(writing.value(schema.whole)[0].encode())
        except UnwritableError:
            continue
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(body))
            match rng.randrange(5):
                case 0:
                    body[at] ^= 1 << rng.randrange(8)
                case 1:
                    del body[at:]
                    body += rng.choice((b"}", b"]}", b'"}', b""))
                case 2:
                    body[at:at] = rng.choice(PIECES)
                case 3:
                    other = rng.randrange(len(body))
                    body[at:at] = body[min(at, other) : max(at, other)][:50]
                case _:
                    body[at] = rng.choice(b'{}[]",:\\0129-.eEtfn \x00\xff')
            if not body:
                break
        expected = or_none(lambda data: read_json(schema.whole, data), bytes(body))
        seen("refused" if expected is None else "read")
        assert or_none(read, bytes(body)) == expected


PIECES = (
    *(b"null", b"true", b"NaN", b"Infinity", b"-", b"0", b"1e400", b"1e-400", b"-0.0", b"9" * 30, b"1.5", b'""'),
    *(b"{}", b"[]", b"[[", b'{"a":', b",", b",,", b"\\", b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\xed\xa0\x80"),
    *(
        b"\xef\xbb\xbf",
        b"\xc0\x80",
        b"\xf4\x90\x80\x80",
        b"//",
        b"\x0b",
        b"\xc2\xa0",
        b"\x1f",
        b"[" * 130,
        b'"id":"x",',
    ),
)


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(QUICK, max_examples=200)
def test_what_is_written_is_read_again(seed: int) -> None:
    rng = Random(seed)
    schema = parse_event_schema(AnySchemas(rng).event())
    read, writing = json_reader(schema), JsonWriting(rng, schema)
    for _ in range(5):
        try:
            _, value = writing.value(schema.whole)
        except UnwritableError:
            continue
        body = write_json(schema, value)
        json.loads(body)
        # A decimal of no bytes is 0, and comes back as one byte.
        assert by_name(read(body)).replace("b''", r"b'\x00'") == by_name(value).replace("b''", r"b'\x00'")


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(QUICK, max_examples=300)
def test_avros_own_json_as_fastavro_writes_it_is_read_or_refused_and_never_taken_for_another(seed: int) -> None:
    """Decimals apart, which are text here and bytes there unless a union says which they are."""
    rng = Random(seed)
    drawn = json.loads(json.dumps(AnySchemas(rng).event()).replace('"logicalType"', '"was"'))
    schema = parse_event_schema(drawn)
    read, writing = json_reader(schema), JsonWriting(rng, schema)
    for _ in range(5):
        try:
            _, value = writing.value(schema.whole)
        except UnwritableError:
            continue
        written = io.StringIO()
        told = _with_branches(schema.parsed, value, named_types(schema.parsed))
        try:
            fastavro.json_writer(written, schema.parsed, [told])
            (again,) = fastavro.json_reader(io.StringIO(written.getvalue()), schema.parsed)
        except Exception:
            continue  # fastavro's JSON has neither types that contain themselves nor empty keys
        if by_name(again) != by_name(value):
            continue
        found = or_none(read, written.getvalue().encode())
        seen("refused" if found is None else "read")
        assert found in (None, by_name(value))


def _with_branches(declared: Any, value: Any, named: Any) -> Any:
    """The value with the branch that each union has, by name, else fastavro guesses."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        for branch in declared:
            with suppress(ValueError):
                held = _with_branches(branch, value, named)
                branch = looked_up(branch, named)
                return None if value is None else (branch.get("name", branch["type"]), held)
        raise ValueError
    kind = declared["type"]
    if kind == "record" and isinstance(value, dict) and value.keys() == {one["name"] for one in declared["fields"]}:
        return {one["name"]: _with_branches(one["type"], value[one["name"]], named) for one in declared["fields"]}
    if kind == "map" and isinstance(value, dict):
        return {key: _with_branches(declared["values"], one, named) for key, one in value.items()}
    if kind == "array" and isinstance(value, list):
        return [_with_branches(declared["items"], one, named) for one in value]
    if kind in ("record", "map", "array") or not fastavro.validate(value, declared, raise_errors=False):
        raise ValueError
    if kind in ("float", "double") and isinstance(value, int):
        raise ValueError
    if kind == "float" and (abs(value) > 1e38 or struct.unpack("<f", struct.pack("<f", value))[0] != value):
        raise ValueError
    return value


def test_short_bodies_cost_little_whatever_they_leave_out() -> None:
    item = {"name": "many", "type": {"type": "array", "items": "int"}, "default": [1] * 1000}
    items = {"type": "array", "items": {"type": "record", "name": "Item", "fields": [item]}}
    schema = parse_event_schema({"type": "record", "name": "E", "fields": [{"name": "items", "type": items}]})
    read = json_reader(schema)
    assert len(read(b'{"items":[{},{}]}')["items"][1]["many"]) == 1000
    with pytest.raises(ValueError, match=r"field items\[\], at byte \d+: there are more than 65536 values"):
        read(b'{"items":[' + b",".join([b"{}"] * 10_000) + b"]}")
