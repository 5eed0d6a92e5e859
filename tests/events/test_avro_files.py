"""Files of events and of messages, written and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from user_state.errors import EventError, InputError
from user_state.events.avro_files import (
    SingleObject,
    interaction_schema,
    message_schema,
    read_arrivals,
    write_events,
    write_messages,
)
from user_state.events.message import Message
from user_state.oracle import Arrival, microseconds, replay
from user_state.spec.model import Spec

T0 = 1_700_000_000_123_456
SPEC = Spec.model_validate(
    {
        "name": "tried",
        "events": {"schema": "interaction.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "allowed_lateness": "1h",
        "max_clock_skew": "1m",
        "retention": "90d",
        "features": {"all": {"aggregate": "count", "windows": "lifetime"}},
    }
)


def event(event_id: str = "a", **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "user_id": "ü",
        "item_id": "i",
        "action": "view",
        "event_time": T0,
        "value": None,
        "category": None,
        "creator": "c",
        "surface": None,
        "published_at": T0 + 1,
        **fields,
    }


def in_microseconds(arrival: Arrival) -> dict[str, Any]:
    assert arrival.event is not None
    times = {name: microseconds(arrival.event[name]) for name in ("event_time", "published_at")}
    return {**arrival.event, **times}


def crc_64_avro(data: bytes) -> int:
    """As the Avro specification has it."""
    empty = 0xC15D213AA4D7A795
    crc = empty
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (empty if crc & 1 else 0)
    return crc


def test_a_body_begins_with_marker_and_fingerprint_of_the_canonical_schema() -> None:
    canonical = json.dumps(
        {
            "name": "user_state.Interaction",
            "type": "record",
            "fields": [
                *({"name": name, "type": "string"} for name in ("event_id", "user_id", "item_id", "action")),
                {"name": "event_time", "type": "long"},
                {"name": "value", "type": ["null", "double"]},
                *({"name": name, "type": ["null", "string"]} for name in ("category", "creator", "surface")),
                {"name": "published_at", "type": ["null", "long"]},
            ],
        },
        separators=(",", ":"),
    )
    body = SingleObject(interaction_schema()).encode(event())
    assert body[:10] == b"\xc3\x01" + crc_64_avro(canonical.encode()).to_bytes(8, "little")
    assert body[10:14] == b"\x02a\x04\xc3"


def test_events_come_back_from_a_plain_file(tmp_path: Path) -> None:
    events = [event("a"), event("b", value=1.5, surface="home")]
    write_events(tmp_path / "events.avro", events, interaction_schema())
    arrivals = list(read_arrivals(tmp_path / "events.avro", SPEC))
    assert [in_microseconds(a) for a in arrivals] == events
    assert [(a.published_us, a.reason) for a in arrivals] == [(None, None)] * 2


def test_messages_keep_their_bytes_and_publish_times(tmp_path: Path) -> None:
    schema = interaction_schema()
    body = SingleObject(schema).encode(event("b"))
    messages = [
        Message(b"", {"k": "v"}, T0 + 5, None, "test", event("a")),
        Message(body, {}, None, None, "test"),
        Message(body[:-1], {}, T0 + 6, None, "test"),
    ]
    write_messages(tmp_path / "messages.avro", messages, schema)
    with (tmp_path / "messages.avro").open("rb") as file:
        envelopes = list(fastavro.reader(file))
    assert [e["data"] for e in envelopes] == [SingleObject(schema).encode(event("a")), body, body[:-1]]
    assert envelopes[0]["attributes"] == {"k": "v"}
    whole, unpublished, cut = read_arrivals(tmp_path / "messages.avro", SPEC)
    assert (in_microseconds(whole), whole.published_us) == (event("a"), T0 + 5)
    assert (in_microseconds(unpublished), unpublished.published_us) == (event("b"), None)
    assert cut == Arrival(None, T0 + 6, "undecodable")


def test_an_event_without_the_ten_bytes_in_front_is_read_too() -> None:
    bodies = SingleObject(interaction_schema())
    body = bodies.encode(event())
    assert bodies.decode(body[10:]) == bodies.decode(body)


def test_bytes_that_are_not_exactly_one_event_are_undecodable() -> None:
    bodies = SingleObject(interaction_schema())
    body = bodies.encode(event(published_at=None, creator=None))
    assert bodies.decode(body)["event_id"] == "a"
    branch_minus_one = body[:-1] + b"\x01"
    for broken in [b"", b"\xc3\x01", body + b"\0", branch_minus_one, *(body[:end] for end in range(len(body)))]:
        with pytest.raises(EventError) as caught:
            bodies.decode(broken)
        assert caught.value.reason == "undecodable"


def test_a_time_beyond_datetimes_is_invalid_and_not_undecodable() -> None:
    bodies = SingleObject(interaction_schema())
    beyond = bodies.decode(bodies.encode(event(event_time=10**18)))
    assert beyond["event_time"] == 10**18
    assert replay(SPEC, [Arrival(beyond), Arrival(event())]).bins == ["dead_letter/invalid", "applied"]


LOGICAL = [
    ("string", "uuid", "0b5e2b3a-6f5f-4f0e-9d0c-0a6f3a1e9a10"),
    ("string", "uuid", "no uuid at all"),
    ("int", "date", 20_000),
    ("int", "time-millis", 1),
    ("long", "time-micros", 1),
    ("long", "timestamp-micros", T0),
    ("long", "timestamp-millis", T0 // 1000),
    ("long", "local-timestamp-micros", T0),
    ("long", "local-timestamp-millis", T0 // 1000),
    ("long", "of-our-own", 5),
    ("bytes", "decimal", b"\x04\xd2"),
]


@pytest.mark.parametrize(("kind", "logical", "written"), LOGICAL)
@pytest.mark.parametrize("schema_is", ["of the file", "of the spec", "a later version"])
def test_a_value_of_a_logical_type_is_read_as_the_number_or_text_that_it_stands_in(
    tmp_path: Path, kind: str, logical: str, written: Any, schema_is: str
) -> None:
    typed = {"type": kind, "logicalType": logical, "precision": 6, "scale": 2}
    fields: list[dict[str, Any]] = [{"name": name, "type": "string"} for name in ("event_id", "user_id")]
    fields += [{"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"}}]
    fields += [{"name": "value", "type": ["null", typed]}]
    schema = {"type": "record", "name": "Tried", "fields": fields}
    later = {**schema, "fields": [*fields, {"name": "more", "type": "int", "default": 0}]}
    read_as = {"of the file": None, "of the spec": schema, "a later version": later}[schema_is]
    events = [{"event_id": "a", "user_id": "u", "event_time": T0 // 1000, "value": v} for v in (written, None)]
    with (tmp_path / "events.avro").open("wb") as file:
        fastavro.writer(file, schema, events)
    arrivals = list(read_arrivals(tmp_path / "events.avro", SPEC, read_as))
    assert [arrival.time_us("event_time") for arrival in arrivals] == [T0 // 1000 * 1000] * 2
    found = [arrival.event for arrival in arrivals]
    body = SingleObject(schema).encode(events[0])
    found.append(SingleObject(later, [schema]).decode(body) if read_as is later else SingleObject(schema).decode(body))
    assert [(event["event_time"], event["value"]) for event in found if event is not None] == [
        (T0 // 1000, value) for value in (written, None, written)
    ]


def test_what_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no Avro")
    (tmp_path / "empty").write_bytes(b"")
    write_events(tmp_path / "events.avro", [event()] * 100, interaction_schema())
    (tmp_path / "cut").write_bytes((tmp_path / "events.avro").read_bytes()[:-20])
    for name, message in (("none", "cannot read"), ("text", "Avro"), ("empty", "Avro"), ("cut", "Avro")):
        with pytest.raises(InputError, match=message):
            list(read_arrivals(tmp_path / name, SPEC))


def test_events_without_the_specs_fields_are_an_input_error(tmp_path: Path) -> None:
    write_messages(tmp_path / "other.avro", [Message(b"x", {}, None, None, "test")], interaction_schema())
    other = {"type": "record", "name": "Other", "fields": [{"name": "event_id", "type": "string"}]}
    with pytest.raises(InputError, match="'user_id', which the spec names as their user; they have event_id"):
        list(read_arrivals(tmp_path / "other.avro", SPEC, other))


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "events.avro"
    write_events(path, [event()], interaction_schema())
    before = path.read_bytes()
    with pytest.raises(InputError, match="does not fit"):
        write_events(path, [event(), {"event_id": 7}], interaction_schema())
    with pytest.raises(InputError, match="cannot write"):
        write_events(tmp_path / "no" / "where", [event()], interaction_schema())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["events.avro"]


def test_the_message_schema_is_the_one_in_the_repository() -> None:
    assert message_schema()["name"] == "user_state.Message"
