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
from user_state.spec.event_schema import EventField, load_event_schema, parse_event_schema


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


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("string", EventField("f0", "string", False, None, "string")),
        (["null", "string"], EventField("f0", "string", True, None, "string")),
        (["double", "null"], EventField("f0", "float", True, None, "double")),
        (["float"], EventField("f0", "float", False, None, "float")),
        ("int", EventField("f0", "int", False, None, "int")),
        ("long", EventField("f0", "int", False, None, "long")),
        ("boolean", EventField("f0", "bool", False, None, "boolean")),
        ({"type": "long", "logicalType": "timestamp-micros"}, EventField("f0", "int", False, "us", "long")),
        (["null", {"type": "long", "logicalType": "timestamp-millis"}], EventField("f0", "int", True, "ms", "long")),
        ({"type": "int", "logicalType": "timestamp-millis"}, EventField("f0", "int", False, None, "int")),
        ({"type": "string", "logicalType": "uuid"}, EventField("f0", "string", False, None, "string")),
        (
            {"type": "enum", "name": "E", "symbols": ["a", "b"]},
            EventField("f0", "string", False, None, "enum", ("a", "b")),
        ),
        ("bytes", EventField("f0", "other", False, None, "bytes")),
        ({"type": "array", "items": "string"}, EventField("f0", "other", False, None, "array")),
        ({"type": "map", "values": "string"}, EventField("f0", "other", False, None, "map")),
        (["null", "int", "string"], EventField("f0", "other", True, None, "union")),
        ("null", EventField("f0", "other", False, None, "null")),
        (["null"], EventField("f0", "other", True, None, "null")),
    ],
    ids=str,
)
def test_a_declared_type_becomes_a_kind(declared: Any, expected: EventField) -> None:
    # With a field of one byte at least: an event of none is refused.
    assert parse_event_schema(record(declared, "int")).fields["f0"] == expected


def test_a_type_named_earlier_is_looked_up() -> None:
    fields = parse_event_schema(record({"type": "enum", "name": "E", "symbols": ["a"]}, ["null", "E"])).fields
    assert fields["f1"] == EventField("f1", "string", True, None, "enum", ("a",))


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
    assert schema.fields["published_at"] == EventField("published_at", "int", True, "us", "long")


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
