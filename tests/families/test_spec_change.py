"""What a changed spec keeps, starts and drops is said beforehand, by the names in the spec, and is what happens."""

from pathlib import Path

import pytest

from tests.state.test_migrate import ALL, EVENTS, read, read_by, without
from tests.trying import event, plan_of, record_of
from user_state.plan.compile import compile_plan
from user_state.plan.spec_change import changes, spec_change
from user_state.spec import load_spec

FEED = Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml"
EVERY = ("views", "watched", "decayed", "visits", "keyed", "fading", "recent", "taste")


def test_the_same_spec_keeps_everything():
    change = spec_change(plan_of(**ALL), plan_of(**ALL).layout)
    assert (change.keeps, change.nothing) == (EVERY, True)
    assert list(change.lines()) == [f"keeps: {', '.join(EVERY)}"]


@pytest.mark.parametrize("name", EVERY)
def test_each_family_comes_and_goes_by_name(name):
    section = next(section for section, entries in ALL.items() if name in entries)
    more, fewer = plan_of(**ALL), plan_of(**without(section, name))
    rest = tuple(other for other in EVERY if other != name)
    started = spec_change(more, fewer.layout)
    assert (started.starts, started.keeps, started.drops, started.nothing) == ((name,), rest, (), False)
    dropped = spec_change(fewer, more.layout)
    assert (dropped.starts, dropped.keeps, dropped.nothing) == ((), rest, False)
    assert list(dropped.drops) == changes(fewer, more.layout)[1]
    assert len(dropped.drops) == 1


def test_a_feature_that_gets_another_aggregation_keeps_a_part():
    views = {"aggregate": ["count", "recency"], "where": {"action": "view"}, "windows": ["1h"]}
    old, new = plan_of(features={"views": {**views, "aggregate": "count"}}), plan_of(features={"views": views})
    change = spec_change(new, old.layout)
    assert (change.keeps, change.partly, change.starts) == ((), ("views",), ("views_recency_1h",))
    assert list(change.lines()) == ["keeps a part of: views", "starts empty: views_recency_1h"]


def test_what_two_features_share_is_kept_for_both_and_a_new_name_costs_nothing():
    counts = {"aggregate": "count", "windows": ["1h"]}
    old, new = plan_of(features={"a": counts}), plan_of(features={"b": counts, "c": {**counts, "windows": ["1d"]}})
    assert spec_change(new, old.layout).keeps == ("b", "c")


def test_fields_that_a_sequence_gets_are_named_and_are_null():
    old = plan_of(sequences={"recent": {"fields": ["item_id"], "last": 3}})
    new = plan_of(sequences={"recent": {"fields": ["item_id", "event_time", "value", "bought"], "last": 3}})
    change = spec_change(new, old.layout)
    assert (change.keeps, change.widens, change.nothing) == (("recent",), ("recent (value, bought)",), False)
    assert "null in what is there: recent (value, bought)" in change.lines()
    held = read(new, read_by(new, old))["recent"]
    assert (held["value"], held["bought"]) == ([None] * 3, [None] * 3)
    assert held["event_time"] == [e["event_time"] for e in reversed(EVENTS[-3:])]
    assert spec_change(old, new.layout).nothing


def test_what_is_said_of_the_reference_spec_is_what_happens_to_its_records():
    """Every family at once: what is kept reads as before, what starts is empty."""
    loaded = load_spec(FEED)
    plan = compile_plan(loaded)
    change = spec_change(plan, plan.layout)
    assert change.nothing
    assert set(change.keeps) == {*loaded.spec.features, *loaded.spec.sequences, *loaded.spec.embeddings}


def test_the_names_of_pieces_cover_the_layout_and_the_spec():
    plan = plan_of(**ALL)
    assert plan.declared_by.keys() == plan.layout.keys
    assert {name for names in plan.declared_by.values() for name in names} == set(EVERY)
    assert record_of(plan, [event()]).heads.applied.tolist() == [1]
