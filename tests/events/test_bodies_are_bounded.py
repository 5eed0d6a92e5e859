"""No body takes a worker's time, memory or stack out of proportion to its length, whatever the schema and the reader.

What would crash or hang is tried in a process of its own, which may die, with little memory and time.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import event as seen
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.poison import ID, POISON, defined, long, two_alike
from tests.events.random_schemas import pairs
from tests.events.test_event_reader import body_of
from tests.random_worlds import QUICK
from tests.trying import plan_of, spec_of
from user_state.embeddings.import_file import import_table
from user_state.errors import EventError, InputError, SpecError
from user_state.events.avro_blocks import BlockReader
from user_state.events.avro_files import read_arrivals
from user_state.events.decode import SINGLE_OBJECT, EventDecoder
from user_state.events.event_reader import event_reader
from user_state.spec.avro_types import NamedTypes, looked_up, named_types
from user_state.spec.event_schema import parse_event_schema

LIMIT_S = 60
"""Of a process that takes a second; what is looked for takes years."""
CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from tests.events.poison import POISON
from user_state.errors import SpecError
from user_state.events.event_reader import event_reader
from user_state.spec.avro_types import NamedTypes, looked_up, named_types
from user_state.spec.event_schema import parse_event_schema
for name in sys.argv[1:]:
    try:
        schema = parse_event_schema(POISON[name].schema)
    except SpecError:
        print("refused", name, flush=True)
        continue
    try:
        event_reader(schema, schema)(POISON[name].body)
    except ValueError as exc:
        print("refused", name, flush=True)
        assert f"field {POISON[name].field}" in str(exc) and POISON[name].reason in str(exc), str(exc)[:300]
        assert len(str(exc)) < 2000, len(str(exc))
        continue
    print("read", name, flush=True)
"""


def test_what_crashed_or_hung_a_worker_does_so_no_more() -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *POISON], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert child.stdout.splitlines() == [
        f"{'refused' if poison.reason else 'read'} {name}" for name, poison in POISON.items()
    ]
    assert child.returncode == 0, child.stderr[-500:]


def file_of(path: Path, schema: Any, count: int, data: bytes) -> Path:
    """An Avro file of one block that says it has so many records."""
    header = {"magic": b"Obj\x01", "meta": {"avro.schema": json.dumps(schema).encode()}, "sync": b"s" * 16}
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.read.HEADER_SCHEMA, header)
    path.write_bytes(written.getvalue() + long(count) + long(len(data)) + data + header["sync"])
    return path


FILES = {name: (POISON[name].schema, 1, POISON[name].body) for name in ("a record in itself", "an array of nulls")}
FILES["events of no bytes"] = ({"type": "record", "name": "Event", "fields": []}, 2**60, b"")


@pytest.mark.parametrize(("schema", "count", "data"), FILES.values(), ids=FILES)
def test_files_of_such_schemas_are_refused_by_whatever_reads_them(
    tmp_path: Path, schema: Any, count: int, data: bytes
) -> None:
    """By the block if the core reads it, or by the schema."""
    reads = parse_event_schema(schema) if data else spec_of().schema
    spec = spec_of().spec
    path = str(file_of(tmp_path / "bad.avro", schema, count, data))

    def blocks() -> None:
        reader = BlockReader(path, reads)
        try:
            reader.messages(list(reader.blocks(reader.first_offset)))
        finally:
            reader.close()

    for read in (blocks, lambda: list(read_arrivals(path, spec)), lambda: import_table(path)):
        with pytest.raises(InputError, match=r"damaged near byte|expected "):
            read()


def test_a_file_of_messages_may_not_have_such_a_schema_either(tmp_path: Path) -> None:
    named = {**POISON["a record in itself"].schema, "name": "Message", "namespace": "user_state"}
    path = str(file_of(tmp_path / "bad.avro", named, 1, POISON["a record in itself"].body))
    with pytest.raises(InputError, match="expected messages with a field `data`"):
        BlockReader(path, spec_of().schema)
    with pytest.raises(InputError, match="contain themselves"):
        list(read_arrivals(path, spec_of().spec))


@pytest.mark.parametrize("levels", [9, 10])
def test_events_that_are_to_be_written_anew_may_not_be_written_in_too_many_ways(tmp_path: Path, levels: int) -> None:
    """Each level doubles them: 512 are taken and 1,024 are not, unless the spec names the file's schema."""
    reads = parse_event_schema(defined(*two_alike(levels)))
    wrote = {**reads.original, "fields": [*reads.original["fields"], {"name": "more", "type": "int"}]}
    body = POISON["unions of records that are alike"].body[:2] + b"\x00" * (2 * levels) + b"\x02" * levels
    path = str(file_of(tmp_path / "other.avro", wrote, 1, body + b"\x00" + b"\x02a" * levels + b"\x00"))
    named = BlockReader(path, replace(reads, versions=(parse_event_schema(wrote),)))
    assert len(named.messages(list(named.blocks(named.first_offset)))) == 1
    named.close()
    if levels == 10:
        with pytest.raises(InputError, match=r"up to 1024 ways; save the file's schema and name it under `versions:`"):
            BlockReader(path, reads)
    else:
        BlockReader(path, reads).close()


def test_a_file_whose_schema_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path / "bad.avro", "SCHEMA", 0, b"")
    deep = b'{"type": "array", "items": ' * 3000
    path.write_bytes(path.read_bytes().replace(long(8) + b'"SCHEMA"', long(len(deep)) + deep))
    for read in (lambda: BlockReader(str(path), spec_of().schema), lambda: list(read_arrivals(path, spec_of().spec))):
        with pytest.raises(InputError, match="expected an Avro file"):
            read()


HUGE = [2**31, 2**40, 2**62, -(2**31), -(2**62), -(2**63), 2**63 - 1]
SIZED = {
    "string": "string",
    "bytes": "bytes",
    "an array of longs": {"type": "array", "items": "long"},
    "a map": {"type": "map", "values": "null"},
    "an enum": {"type": "enum", "name": "E", "symbols": ["a", "b"]},
    "a union": ["null", "string"],
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("declared", SIZED.values(), ids=SIZED)
def test_a_length_a_count_or_an_index_that_lies_costs_nothing(declared: Any, nested: bool) -> None:
    more = [{"name": "m", "type": {"type": "map", "values": "int"}}] if nested else []
    schema = parse_event_schema(
        {"type": "record", "name": "Event", "fields": [ID, {"name": "x", "type": declared}, *more]}
    )
    read = event_reader(schema, schema)
    tracemalloc.start()
    for number in HUGE:
        for behind in (b"", b"\x00" * 100, long(2**62) + b"\x02" * 100):
            with pytest.raises(ValueError):  # noqa: PT011  # the words are the decoder's, and tested there
                read(b"\x02a" + long(number) + behind)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def random_type(rng: Random, level: int, name: str) -> Any:
    """Any type, often nested, often of no bytes or nearly none; the names of its types begin with `name`."""
    kind = rng.choice(
        ("null", "boolean", "long", "string", "enum", "fixed", "array", "map", "union", "record", "record")
    )
    if level == 0 and kind in ("array", "map", "union", "record"):
        kind = "boolean"
    match kind:
        case "enum":
            return {"type": "enum", "name": name, "symbols": ["a", "b"]}
        case "fixed":
            return {"type": "fixed", "name": name, "size": rng.choice((0, 1, 3))}
        case "array":
            return {"type": "array", "items": random_type(rng, level - 1, f"{name}i")}
        case "map":
            return {"type": "map", "values": random_type(rng, level - 1, f"{name}v")}
        case "union":
            branches = [random_type(rng, level - 1, f"{name}u{n}") for n in range(rng.randint(1, 3))]
            return [branch for branch in branches if not isinstance(branch, list)] or "null"
        case "record":
            fields = [
                {"name": f"f{n}", "type": random_type(rng, level - 1, f"{name}f{n}")} for n in range(rng.randint(0, 3))
            ]
            if fields and rng.random() < 0.2:
                fields.append({"name": "again", "type": rng.choice(("Event", name))})
            return {"type": "record", "name": name, "fields": fields}
    return kind


def hostile_body(rng: Random, declared: Any, named: NamedTypes, level: int = 0) -> bytes:
    """A value of a type, where counts may be lies that would cost 8 MB, and lengths more."""
    declared = looked_up(declared, named)
    if level > 40:
        return b""
    if isinstance(declared, list):
        branch = rng.randrange(len(declared))
        return long(branch) + hostile_body(rng, declared[branch], named, level + 1)
    match declared if isinstance(declared, str) else declared["type"]:
        case "record":
            return b"".join(hostile_body(rng, field["type"], named, level + 1) for field in declared["fields"])
        case "array" | "map" as kind:
            item, key = (declared["items"], b"") if kind == "array" else (declared["values"], b"\x00")
            count = rng.choice((0, 1, 2, 2**20, -(2**20)))
            head = long(count) + (long(0) if count < 0 else b"")
            items = [key + hostile_body(rng, item, named, level + 1) for _ in range(min(abs(count), 3))]
            return head + b"".join(items) + (b"\x00" if count else b"")
        case "fixed":
            return b"f" * int(declared["size"])
        case "string":
            return rng.choice((b"\x00", b"\x02a", long(2**40)))
        case "null":
            return b""
    return rng.choice((b"\x00", b"\x02"))


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(QUICK, max_examples=300)
def test_any_schema_is_refused_or_reads_any_body_in_bounded_memory(rng: Random) -> None:
    fields = [{"name": f"f{n}", "type": random_type(rng, 4, f"N{n}")} for n in range(rng.randint(1, 3))]
    declared = {"type": "record", "name": "Event", "fields": [ID, *fields]}
    try:
        schema = parse_event_schema(declared)
    except SpecError as exc:
        seen(f"refused: {str(exc)[:40]}")
        return
    decoder = EventDecoder(plan_of(), schema)
    began_s = time.process_time()
    tracemalloc.start()
    try:
        for _ in range(5):
            body = SINGLE_OBJECT + schema.fingerprint + hostile_body(rng, declared, named_types(schema.whole))
            try:
                decoder.decode(body)
                seen("read")
            except EventError as exc:
                seen(exc.reason)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - began_s < LIMIT_S / 4


@given(pairs(nested=True), st.randoms(use_true_random=False))
@settings(QUICK, max_examples=100)
def test_mutated_bodies_of_any_version_are_events_or_event_errors(pair: Any, rng: Random) -> None:
    writer, reader = parse_event_schema(pair.writer), parse_event_schema(pair.reader)
    try:
        read = event_reader(writer, reader)
    except (KeyError, ValueError):
        return  # the two do not resolve, so that no spec would name them together
    for written in pair.events:
        body = bytearray(body_of(writer.parsed, written))
        for _ in range(4):
            at = rng.randrange(len(body) + 1)
            body[at : at + rng.randrange(3)] = rng.choice((b"\x00", b"\xff", b"\x02", long(2**60), long(-(2**50)), b""))
            with suppress(ValueError):  # raises nothing else
                read(bytes(body))
