"""Made-up events as older apps would have written them: what they had, in their names and types, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import pytest

from user_state.errors import EventError
from user_state.events.as_written import Writer, Writers
from user_state.events.decode import EventDecoder
from user_state.events.generate import Faults, generate
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, load_spec, parse_spec
from user_state.spec.event_schema import parse_event_schema

EVOLUTION = Path(__file__).parents[2] / "examples" / "evolution"
END_US = 1_700_000_000_000_000
EVENT = {
    "event_id": "e1",
    "user_id": "u1",
    "item_id": "i1",
    "action": "share",
    "event_time": END_US,
    "value": 2.6,
    "category": "music",
    "creator": None,
    "surface": "home",
    "published_at": END_US + 5,
}


@pytest.fixture(scope="module")
def spec() -> LoadedSpec:
    return load_spec(EVOLUTION / "user_state.yaml")


def test_each_version_has_the_event_in_its_own_names_and_types(spec: LoadedSpec) -> None:
    third, first, second = (Writer(s, spec).event(EVENT) for s in (spec.schema, *spec.schema.versions))
    same = {"event_id": "e1", "event_time": END_US, "action": "share"}
    assert first == {**same, "user": "u1", "item": "i1", "value": 3, "screen": first["screen"]}
    assert second == {
        **same,
        **{"user_id": "u1", "item_id": "i1", "value": 2.6, "category": "music"},
        **made_up(second),
    }
    assert third == EVENT


def made_up(second: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(second["creator"], str)
    return {"creator": second["creator"]}


def test_values_are_what_the_types_can_have_of_them(tmp_path: Path) -> None:
    """Parts of the spec go by any name, times by their unit, and what is not known is made up."""
    fields: list[dict[str, Any]] = [
        {"name": "who", "type": "bytes"},
        {"name": "which", "type": "string"},
        {"name": "when", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "action", "type": {"type": "enum", "name": "A", "symbols": ["view", "like"]}},
        {"name": "value", "type": ["null", "int"]},
        {"name": "category", "type": "double"},
        {"name": "creator", "type": "string", "default": "nobody"},
        {"name": "hash", "type": {"type": "fixed", "name": "H", "size": 2}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "more", "type": {"type": "map", "values": "string"}},
        {"name": "device", "type": {"type": "record", "name": "D", "fields": [{"name": "on", "type": "boolean"}]}},
        {"name": "build", "type": ["string", "int"]},
        {"name": "other", "type": {"type": "enum", "name": "B", "symbols": ["b"]}},
    ]
    old = {"type": "record", "name": "E", "fields": fields}
    new = {**old, "fields": [{**fields[0], "type": "string"}, *fields[1:]]}
    (tmp_path / "e.avsc").write_text(json.dumps(new))
    text = "allowed_lateness: 1d\nmax_clock_skew: 5m\nretention: 90d\nfeatures: {f: {aggregate: count, windows: 1h}}\n"
    spec = parse_spec(f"name: t\nevents: {{schema: e.avsc, user: who, id: which, time: when}}\n{text}", beside=tmp_path)
    writer = Writer(parse_event_schema(old), spec)
    made = writer.event({**EVENT, "value": 1e12})
    known = {"who": b"u1", "which": "e1", "when": END_US // 1000, "value": 2**31 - 1}
    assert {name: made[name] for name in known} == known
    assert made["action"] in ("view", "like")
    assert fastavro.validate(made, parse_event_schema(old).parsed)
    assert made == writer.event({**EVENT, "value": 1e12})
    assert writer.body(EVENT)[:10] == b"\xc3\x01" + parse_event_schema(old).fingerprint


def test_traffic_is_spread_over_the_versions_and_copies_are_copies(spec: LoadedSpec) -> None:
    faults = Faults(duplicates=0.2, corrupt=0.1)
    made = {"users": 20, "events": 3000, "seed": 5, "end_us": END_US, "span_us": 10**10, "faults": faults}
    messages = list(generate(**made, writers=Writers(spec)))
    events = [message.event for message in generate(**made)]
    assert messages == list(generate(**made, writers=Writers(spec)))

    decoder = EventDecoder(compile_plan(spec), spec.schema)
    by_version: Counter[bytes] = Counter()
    by_id: dict[str, bytes] = {}
    for message, event in zip(messages, events, strict=True):
        assert message.event is None
        if event is None:
            with pytest.raises(EventError) as caught:
                decoder.decode(message.data)
            assert caught.value.reason == "undecodable"
            continue
        found = decoder.decode(message.data)
        assert [found[name] for name in ("event_id", "user_id", "item_id", "action", "event_time")] == [
            event[name] for name in ("event_id", "user_id", "item_id", "action", "event_time")
        ]
        assert message.publish_us == event["published_at"]
        assert by_id.setdefault(found["event_id"], message.data) == message.data
        by_version[message.data[2:10]] += 1
    assert len(by_id) == 3000 - 600 - 300
    assert set(by_version) == {schema.fingerprint for schema in (spec.schema, *spec.schema.versions)}
    assert min(by_version.values()) > 800
