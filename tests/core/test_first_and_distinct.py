"""First values, distinct last values, and values listed beside them: at the edges of windows, tiles and caps."""

import math

import numpy as np
import pytest

from tests.packed import Records, features, merge
from tests.trying import T0, D, H, M, S, event, fold_all, plan_of, record_of, value_of


def lists_of(plan, records, at_us=T0 + M, user=0):
    return {name: padded.of_user(user) for name, padded in features(plan, records, at_us).sequences.items()}


def listing(aggregate, k=2, window="1h", **more):
    return plan_of(features={"f": {"aggregate": aggregate, "of": "item_id", "k": k, "windows": [window], **more}})


def acted(*items, step=S, start=T0):
    return [event(start + n * step, item_id=item) for n, item in enumerate(items)]


@pytest.mark.parametrize(
    ("aggregate", "items", "expected"),
    [
        ("first_k", [], []),
        ("first_k", ["a"], ["a"]),
        ("first_k", ["a", "b", "c"], ["a", "b"]),
        ("first_k", [None, "b", None, "c"], ["b", "c"]),
        ("first_k", ["a", "a", "b"], ["a", "a"]),
        ("last_distinct_k", ["a"], ["a"]),
        ("last_distinct_k", ["a", "b", "a"], ["a", "b"]),
        ("last_distinct_k", ["a", "b", "c", "a"], ["a", "c"]),
        ("last_distinct_k", ["a", "a", "a"], ["a"]),
        ("last_distinct_k", [None, "b"], ["b"]),
    ],
)
def test_a_list_holds(aggregate, items, expected):
    plan = listing(aggregate)
    records = record_of(plan, [*acted(*items), event(T0, item_id=None)])
    assert expected == lists_of(plan, records)[f"f_{aggregate}_1h"]


@pytest.mark.parametrize("aggregate", ["first_k", "last_distinct_k", "last_k"])
def test_any_order_of_arrival_gives_the_same_list(aggregate):
    plan = listing(aggregate, k=3)
    events = acted(*"abcabdecb", step=7 * M)
    at_us = T0 + 63 * M
    forwards = lists_of(plan, fold_all(plan, [[e] for e in events]), at_us)
    backwards = lists_of(plan, fold_all(plan, [[e] for e in events[::-1]]), at_us)
    parts = [record_of(plan, events[n::2]) for n in range(2)]
    assert forwards == backwards == lists_of(plan, merge(plan, parts[1], parts[0]), at_us)


def test_the_first_of_a_window_is_found_after_older_tiles_have_left_it():
    plan = plan_of(
        features={
            "k": {"aggregate": "first_k", "of": "amount", "k": 2, "windows": ["10m", "lifetime"]},
            "one": {"aggregate": "first", "of": "amount", "windows": ["10m", "lifetime"]},
        }
    )
    events = [event(T0 + n * M, amount=n) for n in range(30)]
    records = fold_all(plan, [[e] for e in events])
    at_us = T0 + 29 * M
    assert lists_of(plan, records, at_us) == {"k_first_k_10m": [19, 20], "k_first_k_lifetime": [0, 1]}
    assert value_of(plan, records, "one_first_10m", at_us) == 19
    assert value_of(plan, records, "one_first_lifetime", at_us) == 0


def test_an_event_on_the_edge_of_the_window_is_in_it_and_one_a_microsecond_before_is_not():
    plan = listing("first_k", window="10m")
    edge_us = T0 - 10 * M
    records = record_of(plan, [event(edge_us, item_id="on"), event(edge_us - 1, item_id="before")])
    assert lists_of(plan, records, T0)["f_first_k_10m"] == ["on"]


def test_a_tile_keeps_no_more_rows_than_are_asked_for():
    plan = listing("first_k", k=2, window="1d")
    records = record_of(plan, acted(*("a" * 500), step=M, start=T0))
    rows_of_a_tile = np.bincount(records.histories.logs[0].time_us // (30 * M) - T0 // (30 * M))
    assert rows_of_a_tile.max() == 2


def test_last_and_first_are_numbers_and_nothing_is_their_default():
    spec = {"aggregate": ["last", "first"], "of": "value", "windows": ["1h"]}
    plan = plan_of(features={"f": spec, "g": {**spec, "default": -1.0, "where": {"action": "like"}}})
    records = record_of(plan, [event(T0, value=0.0), event(T0 + S, value=-2.5), event(T0 + 2 * S, value=None)])
    values = {o.name: value_of(plan, records, o.name, T0 + M) for o in plan.scalars}
    assert values == {"f_last_1h": -2.5, "f_first_1h": 0.0, "g_last_1h": -1.0, "g_first_1h": -1.0}
    assert math.isnan(value_of(plan, Records.empty(plan, 1), "f_last_1h", T0))


def test_a_boolean_is_one_or_zero():
    plan = plan_of(features={"f": {"aggregate": "last", "of": "bought", "windows": ["1h"]}})
    assert value_of(plan, record_of(plan, [event(T0, bought=True)]), "f_last_1h", T0) == 1.0
    assert value_of(plan, record_of(plan, [event(T0, bought=False)]), "f_last_1h", T0) == 0.0


def test_fields_beside_are_those_of_the_same_event():
    plan = listing("last_distinct_k", k=3, **{"with": ["value", "action"]})
    made = [
        event(T0, item_id="a", value=1.0),
        event(T0 + S, item_id="b", value=None),
        event(T0 + 2 * S, item_id="a", value=3.0, action="like"),
    ]
    expected = {"item_id": ["a", "b"], "value": [3.0, None], "action": ["like", "view"]}
    assert lists_of(plan, record_of(plan, made))["f_last_distinct_k_1h"] == expected


def test_both_zeros_are_one_value():
    plan = plan_of(features={"f": {"aggregate": "last_distinct_k", "of": "value", "k": 5, "windows": ["1h"]}})
    records = record_of(plan, [event(T0, value=0.0), event(T0 + S, value=-0.0)])
    assert lists_of(plan, records)["f_last_distinct_k_1h"] == [0.0]


def test_lists_of_one_filter_and_field_share_a_log_and_others_do_not():
    made = {"of": "item_id", "windows": ["1h"]}
    plan = plan_of(
        features={
            "a": {"aggregate": "last_k", "k": 2, **made},
            "b": {"aggregate": "last_k", "k": 4, "with": "action", **made},
            "c": {"aggregate": ["first_k", "last_distinct_k"], "k": 4, **made},
        }
    )
    assert [(log.keeps, log.cap, len(log.fields)) for log in plan.logs] == [
        ("last", 4, 2),
        ("first", 4, 1),
        ("distinct", 4, 1),
    ]


def test_a_late_event_becomes_the_first():
    plan = listing("first_k", k=1, window="1d")
    records = fold_all(plan, [acted("b", start=T0 + H), acted("a", start=T0 + H - 1)])
    assert lists_of(plan, records, T0 + D)["f_first_k_1d"] == ["a"]
