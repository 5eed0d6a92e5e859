"""Traffic for any schema: events that the spec accepts, and values that its filters meet and miss."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import pytest

from tests.events import random_schemas
from user_state.events.as_written import Writers
from user_state.events.decode import EventDecoder
from user_state.events.event_reader import write_event
from user_state.events.generate import generate
from user_state.events.made_values import ValueMaker
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.spec.avro_types import named_types
from user_state.spec.event_schema import parse_event_schema

END_US = 1_700_000_000_000_000
HEAD = "name: t\nallowed_lateness: 1d\nmax_clock_skew: 5m\nretention: 90d\n"
TIME = {"type": "long", "logicalType": "timestamp-millis"}


def loaded(tmp_path: Path, fields: list[dict[str, Any]], features: str, events: str) -> LoadedSpec:
    (tmp_path / "e.avsc").write_text(json.dumps({"type": "record", "name": "E", "fields": fields}))
    return parse_spec(f"{HEAD}events: {{schema: e.avsc, {events}}}\nfeatures: {{{features}}}\n", beside=tmp_path)


def made(spec: LoadedSpec, events: int = 600, users: int = 20) -> list[dict[str, Any]]:
    """Return generated events; none of them may be refused."""
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    messages = list(generate(users, events, 3, end_us=END_US, span_us=10**11, writers=Writers(spec)))
    decoded = decoder.batch(messages)
    assert decoded.refused == []
    return [decoder.decode(message.data) for message in messages]


def test_filters_are_met_and_missed(tmp_path: Path) -> None:
    fields: list[dict[str, Any]] = [
        {"name": "who", "type": "string"},
        {"name": "eid", "type": "string"},
        {"name": "at", "type": TIME},
        {"name": "kind", "type": "string"},
        {"name": "step", "type": {"type": "enum", "name": "Step", "symbols": ["cart", "pay", "ship"]}},
        {"name": "stars", "type": ["null", "int"]},
        {"name": "paid", "type": "boolean"},
        {"name": "price", "type": "double"},
    ]
    features = (
        "a: {aggregate: count, where: {kind: [rental, sale], step: pay}, windows: 1h},"
        " b: {aggregate: mean, of: price, where: {stars: [4, 5], paid: true}, windows: 1h}"
    )
    events = made(loaded(tmp_path, fields, features, "user: who, id: eid, time: at"))
    a = [event["kind"] in ("rental", "sale") and event["step"] == "pay" for event in events]
    b = [event["stars"] in (4, 5) and event["paid"] for event in events]
    for met in (a, b):
        assert 0.05 < sum(met) / len(met) < 0.95
    assert {event["stars"] for event in events} >= {None, 3, 4, 5, 6}
    assert len({event["price"] for event in events}) > 100
    assert len({event["who"] for event in events}) == 20
    assert len({event["eid"] for event in events}) == len(events)
    assert all(END_US - 2 * 10**11 < event["at"] * 1000 <= END_US for event in events)


def test_copies_of_an_event_are_the_same(tmp_path: Path) -> None:
    fields = [
        {"name": "user_id", "type": "string"},
        {"name": "event_id", "type": "string"},
        {"name": "at", "type": TIME},
    ]
    fields.append({"name": "x", "type": ["null", "double", {"type": "array", "items": "string"}]})
    names = "user: user_id, id: event_id, time: at"
    spec = loaded(tmp_path, fields, "f: {aggregate: count, windows: 1h}", names)
    assert made(spec) == made(spec)
    assert len({json.dumps(event["x"]) for event in made(spec)}) > 100


@pytest.mark.parametrize("seed", range(60))
def test_a_value_of_any_type_is_one_that_fastavro_writes_and_reads_back(seed: int) -> None:
    rng = Random(seed)
    schema = parse_event_schema(
        {"type": "record", "name": "Event", "fields": random_schemas._fields(rng, "top", nested=True)}
    )
    maker = ValueMaker(named_types(schema.whole), {})
    for _ in range(20):
        value = maker.value(schema.whole, "", rng)
        assert fastavro.validate(value, schema.parsed)
        assert write_event(schema, value)
