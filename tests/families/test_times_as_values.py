"""A time that is a value stays in the unit of its field, the field of the event's own time too.

After readers that made microseconds of milliseconds in one place and not in another (duckdb-avro#82,
lance#1015): here a filter, an edge, a key, a list and a sequence all show what the event has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.families.test_against_oracle import assert_equals_oracle
from tests.packed import Records, features, from_events
from tests.trying import T0, H, S, value_of
from user_state import oracle
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.state.events import Events

T0_MS = T0 // 1000
SCHEMA = """{"type": "record", "name": "Visit", "fields": [
  {"name": "id", "type": "string"},
  {"name": "who", "type": "string"},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "seen", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
  {"name": "day", "type": {"type": "int", "logicalType": "date"}}
]}"""
SPEC = f"""
name: tried
events: {{schema: visit.avsc, user: who, id: id, time: at}}
allowed_lateness: 1h
max_clock_skew: 1m
retention: 400d
features:
  hit: {{aggregate: count, where: {{seen: {T0_MS + 1000}}}, windows: 1h}}
  own: {{aggregate: count, where: {{at: {{">": {T0_MS}}}}}, windows: 1h}}
  bins: {{aggregate: histogram, of: seen, edges: [{T0_MS + 500}, {T0_MS + 1500}], windows: 1h}}
  newest: {{aggregate: [max, last], of: seen, windows: 1h}}
  times: {{aggregate: [recency, gap_mean, first_seen], windows: 1h}}
  by: {{aggregate: count_by, by: seen, windows: 1h}}
  own_by: {{aggregate: count_by, by: at, windows: 1h}}
  last: {{aggregate: last_k, of: seen, with: at, k: 2, windows: 1h}}
  own_last: {{aggregate: last_distinct_k, of: at, k: 2, windows: 1h}}
sequences:
  recent: {{fields: [at, seen, day], last: 2}}
"""
EVENTS: list[dict[str, Any]] = [
    {"id": f"e{n}", "who": "u", "at": T0_MS + n * 1000, "seen": T0_MS + n * 1000, "day": 19_000} for n in range(3)
]


@pytest.fixture
def spec(tmp_path: Path) -> LoadedSpec:
    (tmp_path / "visit.avsc").write_text(SCHEMA)
    return parse_spec(SPEC, beside=tmp_path)


def records_of(plan: Plan, spec: LoadedSpec) -> Records:
    decoder = EventDecoder(plan, spec.schema)
    return from_events(plan, Events.from_rows(plan, [decoder.row(one, None) for one in EVENTS]))


def test_milliseconds_are_milliseconds_wherever_they_are_shown(spec: LoadedSpec) -> None:
    plan = compile_plan(spec)
    records = records_of(plan, spec)
    assert records.heads.clock_us.tolist() == [T0 + 2 * S]
    found = features(plan, records, T0 + 2 * S)
    names = ("hit_count_1h", "own_count_1h", "times_recency_1h", "times_gap_mean_1h", "times_first_seen_1h")
    assert [value_of(plan, records, name, T0 + 2 * S) for name in names] == [1, 2, 0, 1, 2]
    assert found.arrays["bins_histogram_1h"].tolist() == [[1, 1, 1]]
    lists = {name: padded.of_user(0) for name, padded in found.sequences.items()}
    newest = [T0_MS + 2000, T0_MS + 1000]
    assert {field: list(column) for field, column in lists["recent"].items()} == {
        "at": newest,
        "seen": newest,
        "day": [19_000, 19_000],
    }
    assert {field: list(column) for field, column in lists["last_last_k_1h"].items()} == {"seen": newest, "at": newest}
    assert list(lists["own_last_last_distinct_k_1h"]) == newest
    assert list(lists["by_count_by_1h"]["seen"]) == list(lists["own_by_count_by_1h"]["at"]) == [T0_MS, *newest[::-1]]


def test_brute_force_says_the_same(spec: LoadedSpec) -> None:
    plan = compile_plan(spec)
    replay = oracle.replay(spec.spec, [oracle.Arrival(one, unit_us={"at": 1000}) for one in EVENTS])
    assert replay.counts["applied"] == 3
    for at_us in (T0 + 2 * S, T0 + H):
        assert_equals_oracle(spec, plan, records_of(plan, spec), 0, replay.applied["u"], at_us)


def test_state_does_not_go_on_where_the_schema_says_another_unit(tmp_path: Path, spec: LoadedSpec) -> None:
    (tmp_path / "visit.avsc").write_text(SCHEMA.replace("timestamp-millis", "timestamp-micros"))
    other = compile_plan(parse_spec(SPEC, beside=tmp_path)).layout
    kept = compile_plan(spec).layout.keys & other.keys
    assert not [key for key in kept if "of seen" in key or "by seen" in key]
    assert [key for key in kept if key.startswith("times tiles")]
