"""Other versions of the events' schema: found, told apart, and refused with line, file, field and reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from user_state.errors import SpecError
from user_state.spec import LoadedSpec, parse_spec

SPEC = """\
name: tried
events:
  schema: v3.avsc
  user: user
  id: id
  time: at
  versions:
    - v1.avsc
    - {other}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {all: {aggregate: count, windows: 1h}}
"""
LINE = 9
"""Where the other version stands."""
TIME = {"type": "long", "logicalType": "timestamp-micros"}
V1 = {"user": "string", "id": "string", "at": TIME}
V3 = {"id": "string", "user": "string", "at": TIME, "stars": ["null", "double"]}


def write(folder: Path, name: str, fields: dict[str, Any], **more: Any) -> None:
    listed = [
        {"name": field, "type": declared, **({"default": None} if isinstance(declared, list) else {})}
        for field, declared in fields.items()
    ]
    (folder / name).write_text(json.dumps({"type": "record", "name": "Rating", "fields": listed, **more}))


def load(folder: Path, other: str) -> LoadedSpec:
    write(folder, "v1.avsc", V1)
    write(folder, "v3.avsc", V3)
    return parse_spec(SPEC.replace("{other}", other), beside=folder, name="spec.yaml")


def message_of(folder: Path, other: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(folder, other)
    return str(caught.value)


def test_versions_are_loaded_in_their_order_beside_the_schema(tmp_path: Path) -> None:
    write(tmp_path, "v2.avsc", {**V1, "stars": "int"})
    schema = load(tmp_path, "v2.avsc").schema
    assert [version.file for version in schema.versions] == ["v1.avsc", "v2.avsc"]
    assert list(schema.versions[1].fields) == ["user", "id", "at", "stars"]
    assert schema.file == "v3.avsc"
    assert len({version.fingerprint for version in (schema, *schema.versions)}) == 3
    assert schema.knows(schema)
    assert schema.knows(schema.versions[1])
    assert not schema.versions[0].knows(schema)


def test_one_version_may_stand_for_a_list_of_itself_and_none_need_be_named(tmp_path: Path) -> None:
    write(tmp_path, "v1.avsc", V1)
    write(tmp_path, "v3.avsc", V3)
    head, _, tail = SPEC.partition("  versions:\n    - v1.avsc\n    - {other}\n")
    alone = parse_spec(f"{head}  versions: v1.avsc\n{tail}", beside=tmp_path)
    assert [version.file for version in alone.schema.versions] == ["v1.avsc"]
    assert parse_spec(head + tail, beside=tmp_path).schema.versions == ()


CASES: dict[str, tuple[dict[str, Any] | None, list[str]]] = {
    "no such file": (
        None,
        [
            "got 'v2.avsc': neither in the folder of the spec nor in the package",
            "available schemas: interaction.avsc",
        ],
    ),
    "a field without a default": (
        {"user": "string", "id": "string"},
        ["events of v2.avsc cannot be read as Rating of v3.avsc: field at: missing in the writer's schema"],
    ),
    "a type that cannot be promoted": (
        {**V1, "stars": "string"},
        ["field stars: string cannot be read as null or double"],
    ),
    "another unit of time": (
        {**V1, "at": {"type": "long", "logicalType": "timestamp-millis"}, "x": "int"},
        ["field at: milliseconds would be read as microseconds"],
    ),
    "the fingerprint of the schema": (
        {**V3, "at": "long"},
        ["expected another schema than v3.avsc, got v2.avsc with the same fingerprint", "leave it out"],
    ),
    "the fingerprint of a version": ({**V1, "at": "long"}, ["another schema than v1.avsc, got v2.avsc"]),
}


@pytest.mark.parametrize(("fields", "fragments"), CASES.values(), ids=CASES)
def test_a_version_that_cannot_be_used_is_reported_with_its_line(
    tmp_path: Path, fields: dict[str, Any] | None, fragments: list[str]
) -> None:
    if fields is not None:
        write(tmp_path, "v2.avsc", fields)
    message = message_of(tmp_path, "v2.avsc")
    assert message.startswith(f"spec.yaml:{LINE}: events.versions[1]: ")
    assert len(message.splitlines()) == 1
    for fragment in fragments:
        assert fragment in message


def test_every_field_that_is_in_the_way_is_named(tmp_path: Path) -> None:
    write(tmp_path, "v2.avsc", {"user": "long", "at": TIME})
    lines = message_of(tmp_path, "v2.avsc").splitlines()
    assert len(lines) == 2
    assert all(f"spec.yaml:{LINE}: events.versions[1]: events of v2.avsc" in line for line in lines)
    assert "field id: missing in the writer's schema" in lines[0]
    assert "field user: long cannot be read as string" in lines[1]


def test_one_fingerprint_in_another_unit_of_time_is_a_mistake_about_the_unit(tmp_path: Path) -> None:
    """Nothing could tell the two apart, so leaving it out would be the wrong advice."""
    write(tmp_path, "v2.avsc", {**V3, "at": {"type": "long", "logicalType": "timestamp-millis"}})
    message = message_of(tmp_path, "v2.avsc")
    assert "field at: milliseconds would be read" in message
    assert "leave it out" not in message


def test_a_version_that_is_no_schema_is_reported(tmp_path: Path) -> None:
    (tmp_path / "v2.avsc").write_text('"string"')
    assert "type record, got 'string'" in message_of(tmp_path, "v2.avsc")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("5", "events.versions[1]: expected the file of another Avro schema that"),
        ("v1.avsc", "'v1.avsc' twice"),
    ],
)
def test_a_value_that_is_no_file_is_reported(tmp_path: Path, other: str, said: str) -> None:
    assert said in message_of(tmp_path, other)


def test_null_that_is_not_taken_any_more_is_no_mistake(tmp_path: Path) -> None:
    write(tmp_path, "v2.avsc", {**V1, "user": ["null", "string"]})
    assert load(tmp_path, "v2.avsc").schema.versions[1].fields["user"].nullable
