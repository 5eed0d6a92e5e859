"""Avro schemas become fields and fingerprints; anything else becomes one SpecError."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_state.errors import SpecError
from user_state.spec.event_field import EventField
from user_state.spec.event_schema import load_event_schema, parse_event_schema


def record(*types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": f"f{n}", "type": t} for n, t in enumerate(types)]}


def rabin(canonical: bytes) -> int:
    """The Avro specification's own algorithm, under "Schema Fingerprints"."""
    empty = 0xC15D213AA4D7A795
    table = []
    for n in range(256):
        fp = n
        for _ in range(8):
            fp = (fp >> 1) ^ (empty & -(fp & 1))
        table.append(fp)
    fp = empty
    for byte in canonical:
        fp = (fp >> 8) ^ table[(fp ^ byte) & 0xFF]
    return fp


def test_the_reference_fingerprint_gives_the_published_value_for_int() -> None:
    assert rabin(b'"int"') == 0x7275D51A3F395C8F


def test_the_fingerprint_is_rabin_of_the_canonical_form_least_significant_byte_first() -> None:
    schema = parse_event_schema(
        {**record("string", {"type": "long", "logicalType": "timestamp-micros"}), "namespace": "a.b", "doc": "x"}
    )
    canonical = b'{"name":"a.b.R","type":"record","fields":[{"name":"f0","type":"string"},{"name":"f1","type":"long"}]}'
    assert schema.fingerprint == rabin(canonical).to_bytes(8, "little")


def test_docs_defaults_and_logical_types_do_not_change_the_fingerprint() -> None:
    plain = parse_event_schema(record("long"))
    dressed = record({"type": "long", "logicalType": "timestamp-millis"})
    dressed["doc"] = "said"
    dressed["fields"][0] |= {"doc": "more", "default": 0}
    assert parse_event_schema(dressed) == plain
    assert parse_event_schema(record("int")) != plain


UUID_BYTES = {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
ANY_RECORD = {"type": "record", "name": "In", "fields": [{"name": "x", "type": ["null", "long"]}]}
# a type: kind, nullable, unit, Avro's words, what it is where numbers are asked for, whether it can be an id
KINDS: list[tuple[Any, tuple[Any, ...]]] = [
    ("string", ("string", False, None, "string", None, True)),
    (["null", "string"], ("string", True, None, "string", None, True)),
    (["double", "null"], ("float", True, None, "double", "float", False)),
    (["float"], ("float", False, None, "float", "float", False)),
    ("int", ("int", False, None, "int", "int", True)),
    ("long", ("int", False, None, "long", "int", True)),
    ("boolean", ("bool", False, None, "boolean", "bool", False)),
    ({"type": "long", "logicalType": "timestamp-micros"}, ("int", False, "us", "long", "int", True)),
    (["null", {"type": "long", "logicalType": "timestamp-millis"}], ("int", True, "ms", "long", "int", True)),
    ({"type": "long", "logicalType": "local-timestamp-nanos"}, ("int", False, "ns", "long", "int", True)),
    ({"type": "int", "logicalType": "date"}, ("int", False, "d", "int", "int", True)),
    ({"type": "int", "logicalType": "timestamp-millis"}, ("int", False, None, "int", "int", True)),
    ({"type": "string", "logicalType": "uuid"}, ("string", False, None, "string (uuid)", None, True)),
    (UUID_BYTES, ("string", False, None, "fixed (uuid)", None, True)),
    (DECIMAL, ("float", False, None, "bytes (decimal)", "float", False)),
    ({"type": "enum", "name": "E", "symbols": ["a"]}, ("string", False, None, "enum", None, True)),
    ("bytes", ("string", False, None, "bytes", None, True)),
    ({"type": "array", "items": "string"}, ("strings", False, None, "array of string", None, False)),
    ({"type": "array", "items": ["null", "long"]}, ("ints", False, None, "array of long", None, False)),
    ({"type": "array", "items": ANY_RECORD}, ("other", False, None, "array of record", None, False)),
    ({"type": "map", "values": "string"}, ("other", False, None, "map of string", None, False)),
    (["null", "int", "string"], ("string", True, None, "int or string", "int", True)),
    (["int", "double"], ("float", False, None, "int or double", "float", True)),
    (["null", "int", "long"], ("int", True, None, "int or long", "int", True)),
    (["string", "double"], ("other", False, None, "string or double", "float", False)),
    (["string", "boolean"], ("other", False, None, "string or boolean", "bool", False)),
    (["string", ANY_RECORD], ("string", False, None, "string or record", None, True)),
    (["string", {"type": "array", "items": "string"}], ("other", False, None, "array of string", None, False)),
    ("null", ("other", True, None, "null", None, False)),
]


@pytest.mark.parametrize(("declared", "expected"), KINDS, ids=str)
def test_a_declared_type_becomes_a_kind(declared: Any, expected: tuple[Any, ...]) -> None:
    # With a field of one byte at least: an event of none is refused.
    field = parse_event_schema(record(declared, "int")).fields["f0"]
    assert (field.kind, field.nullable, field.unit, field.avro_type, field.number, field.is_id) == expected


def test_a_type_named_earlier_is_looked_up() -> None:
    fields = parse_event_schema(record({"type": "enum", "name": "E", "symbols": ["a"]}, ["null", "E"])).fields
    assert fields["f1"] == EventField("f1", "string", True, None, "enum", ("a",), is_id=True)


DEVICE = {
    "type": "record",
    "name": "Device",
    "fields": [
        {"name": "os", "type": "string"},
        {"name": "labels", "type": {"type": "map", "values": "long"}},
        {"name": "screens", "type": {"type": "array", "items": ANY_RECORD}},
        {"name": "parent", "type": ["null", "Device"]},
    ],
}


@pytest.mark.parametrize(
    ("path", "kind", "nullable"),
    [
        ("f0.os", "string", False),
        ("f0.labels.any key.with dots", "int", True),
        ("f0.screens.x", "ints", False),
        ("f0.parent.parent.os", "string", True),
        ("f1.os", "string", True),
        ("f2.home.os", "string", True),
        ("f0", "other", False),
        ("f0.parent", "other", True),
    ],
)
def test_a_path_leads_into_records_maps_and_arrays(path: str, kind: str, nullable: bool) -> None:
    fields = parse_event_schema(record(DEVICE, ["null", "Device"], {"type": "map", "values": "Device"})).fields
    assert (fields[path].kind, fields[path].nullable) == (kind, nullable)


@pytest.mark.parametrize("path", ["f0.nothing", "f3", "f0.os.more", "", ".", "f0.", "f1.os.x"])
def test_a_path_that_leads_nowhere_is_no_field(path: str) -> None:
    fields = parse_event_schema(record(DEVICE, ["null", "Device"])).fields
    assert path not in fields
    assert list(fields)[:4] == ["f0", "f1", "f0.os", "f0.labels"]


def test_events_read_with_the_parsed_schema_hold_plain_integers_and_text() -> None:
    original = record({"type": "long", "logicalType": "timestamp-micros"}, {"type": "string", "logicalType": "uuid"})
    schema = parse_event_schema(original)
    event = {"f0": 1_700_000_000_000_001, "f1": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema.parsed, event)
    buffer.seek(0)
    assert fastavro.schemaless_reader(buffer, schema.parsed, None) == event
    assert schema.original == original


def test_the_bundled_schema_is_found_by_name(tmp_path: Path) -> None:
    schema = load_event_schema("interaction.avsc", tmp_path)
    assert schema.name == "user_state.Interaction"
    assert list(schema.fields)[:3] == ["event_id", "user_id", "item_id"]
    assert schema.fields["published_at"] == EventField(
        "published_at", "int", True, "us", "long", number="int", is_id=True
    )


def test_a_bundled_schema_is_not_found_by_a_path(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="neither in the folder of the spec nor in the package"):
        load_event_schema("../schemas/interaction.avsc", tmp_path)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "events.avsc:1: expected an Avro schema in JSON, got invalid JSON"),
        (b'{\n"type": record}', "events.avsc:2: expected an Avro schema in JSON, got invalid JSON"),
        (b"\xff\xfe", "as JSON in UTF-8"),
        (b"[" * 100_000, "as JSON in UTF-8"),
        (b'"string"', "type record, got 'string'"),
        (b'{"type": "enum", "name": "E", "symbols": ["a"]}', "type record, got 'enum'"),
        (b'[{"type": "record", "name": "R", "fields": []}]', "type record, got ["),
        (b'{"type": "record", "fields": []}', "expected an Avro schema"),
        (b'{"type": "record", "name": "R"}', "expected an Avro schema"),
        (b'{"type": "record", "name": "R", "fields": [{"name": "a", "type": "strin"}]}', "strin"),
        (b'{"type": "record", "name": "R", "fields": [{"name": "a", "type": 5}]}', "expected an Avro schema"),
    ],
)
def test_a_file_that_is_no_record_schema_is_a_spec_error(tmp_path: Path, content: bytes, fragment: str) -> None:
    (tmp_path / "events.avsc").write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load_event_schema("events.avsc", tmp_path)
    assert fragment in str(caught.value)
    assert "events.avsc" in str(caught.value)


def test_a_field_twice_is_a_spec_error() -> None:
    twice = record("string", "int")
    twice["fields"][1]["name"] = "f0"
    for schema in (twice, record({**twice, "name": "Inner"})):
        with pytest.raises(SpecError, match=f"field names in {'R' if schema is twice else 'Inner'}, got f0 twice"):
            parse_event_schema(schema)


@pytest.mark.parametrize("name", ["", ".", "a\0b", "x" * 5000, "/"])
def test_a_name_that_is_no_file_is_a_spec_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="expected an Avro schema file"):
        load_event_schema(name, tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "long", "enum", "record", "a", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "fields", "items", "symbols", "logicalType", "namespace", "default"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_as_fields_gives_a_schema_or_a_spec_error(fields: Any) -> None:
    try:
        schema = parse_event_schema({"type": "record", "name": "R", "fields": fields})
    except SpecError:
        return
    assert len(schema.fingerprint) == 8
    assert json.dumps(schema.original)
