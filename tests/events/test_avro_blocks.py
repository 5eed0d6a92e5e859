"""Files of events of other schemas: resolved, kept so that they can be published again, or refused before reading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from user_state.errors import InputError
from user_state.events.avro_blocks import BlockReader
from user_state.events.avro_files import SingleObject, read_arrivals, write_events
from user_state.events.message import Message
from user_state.oracle import Arrival
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.model import Spec

TIME = {"type": "long", "logicalType": "timestamp-micros"}
ROLES = [{"name": "id", "type": "string"}, {"name": "user", "type": "string"}, {"name": "at", "type": TIME}]
NEW = {"type": "record", "name": "Rating", "fields": [*ROLES, {"name": "stars", "type": "double", "default": -1}]}
OLD = {**NEW, "fields": [{"name": "stars", "type": ["null", "int"]}, *ROLES]}
SPEC = Spec.model_validate(
    {
        "name": "tried",
        "events": {"schema": "new.avsc", "user": "user", "id": "id", "time": "at"},
        "allowed_lateness": "1h",
        "max_clock_skew": "1m",
        "retention": "90d",
        "features": {"all": {"aggregate": "count", "windows": "lifetime"}},
    }
)
WRITTEN = [{"id": f"e{n}", "user": "u", "at": 10**15 + n, "stars": stars} for n, stars in enumerate((4, None, 5))]


def schema(*versions: dict[str, Any]) -> EventSchema:
    return replace(parse_event_schema(NEW), versions=tuple(map(parse_event_schema, versions)))


def messages(path: Path, read_as: EventSchema) -> list[Message]:
    reader = BlockReader(str(path), read_as)
    try:
        return [message for block in reader.blocks(reader.first_offset) for message in block.messages]
    finally:
        reader.close()


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    write_events(tmp_path / "old.avro", WRITTEN, OLD)
    return tmp_path / "old.avro"


def body(event: dict[str, Any], written: dict[str, Any]) -> bytes:
    return SingleObject(written).encode(event)


def test_events_of_a_version_that_is_named_keep_their_bytes(old_file: Path) -> None:
    found = messages(old_file, schema(OLD))
    assert [message.data for message in found] == [body(event, OLD) for event in WRITTEN]
    assert [message.event for message in found] == [{**WRITTEN[0], "stars": 4.0}, None, {**WRITTEN[2], "stars": 5.0}]


def test_events_of_any_other_become_those_of_the_schema(old_file: Path) -> None:
    """But for what cannot be read as such: that keeps its bytes, and the decoder has to refuse it."""
    first, refused, last = messages(old_file, schema())
    assert [first.event, last.event] == [{**WRITTEN[0], "stars": 4.0}, {**WRITTEN[2], "stars": 5.0}]
    assert [first.data, last.data] == [body({**WRITTEN[n], "stars": WRITTEN[n]["stars"]}, NEW) for n in (0, 2)]
    assert (refused.data, refused.event) == (body(WRITTEN[1], OLD), None)


def test_brute_force_reads_the_same_of_the_same_file(old_file: Path) -> None:
    first, refused, last = read_arrivals(old_file, SPEC, NEW)
    assert [first, last] == [Arrival({**WRITTEN[n], "stars": float(WRITTEN[n]["stars"])}) for n in (0, 2)]
    assert refused == Arrival(None, None, "undecodable")


def test_a_file_that_does_not_resolve_is_refused_with_field_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "other.avro"
    write_events(path, [], {**NEW, "fields": [*ROLES[:2], {"name": "stars", "type": "string"}]})
    said = (
        r"expected events that can be read as Rating in .*other\.avro, got Rating: field at: not written, and without"
        r" a default; give it one; and 1 more"
    )
    with pytest.raises(InputError, match=said):
        BlockReader(str(path), schema())
    with pytest.raises(InputError, match=said):
        list(read_arrivals(path, SPEC, NEW))


def test_a_file_with_times_in_another_unit_is_refused_though_its_fingerprint_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "millis.avro"
    millis = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
    write_events(path, [], {**NEW, "fields": [*ROLES[:2], millis, NEW["fields"][3]]})
    with pytest.raises(InputError, match="field at: milliseconds are written, which would be read as microseconds"):
        BlockReader(str(path), schema())
