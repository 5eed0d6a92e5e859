"""Distinct values: exact over any window, in any order, up to the cap.

Every number is given by hand, and brute force must say the same.
"""

import numpy as np
import pytest

from tests.messages import told
from tests.packed import apply, features, merge
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of, same_record, value_of
from user_state.state.events import Events
from user_state.state.relevant import relevant


def distinct_of(field, *windows, **more):
    return {"features": {"f": {"aggregate": "distinct", "of": field, "windows": list(windows or ("1h",)), **more}}}


VALUES = {
    "nothing": ("item_id", [], 0),
    "one": ("item_id", ["a"], 1),
    "one twice": ("item_id", ["a", "a"], 1),
    "two": ("item_id", ["a", "b", "a"], 2),
    "nulls": ("item_id", [None, "a", None], 1),
    "nulls alone": ("item_id", [None, None], 0),
    "the empty string": ("item_id", ["", "a"], 2),
    "other letters": ("item_id", ["e\u0301", "\u00e9", "\U0001f389"], 3),
    "zero of either sign": ("value", [0.0, -0.0], 1),
    "negative and positive": ("value", [-1.5, 1.5, -1.5], 2),
    "huge": ("value", [1e308, -1e308, 5e-324, 1e308], 3),
    "next to each other": ("value", [0.1 + 0.2, 0.3], 2),
    "whole numbers": ("amount", [0, -1, 1, 2**63 - 1, -(2**63) + 1, 0], 5),
    "true and false": ("bought", [True, False, None, True], 2),
    "times": ("event_time", [], 0),
}


@pytest.mark.parametrize(("field", "values", "expected"), VALUES.values(), ids=VALUES.keys())
def test_equal_values_count_once_and_nulls_never(field, values, expected):
    events = [event(T0 + n, **{field: value}) for n, value in enumerate(values)]
    assert told(distinct_of(field), events, T0 + S) == {"f_distinct_1h": expected}


@pytest.mark.parametrize(
    ("seen_us", "at_us", "expected"),
    [
        (T0, T0 + H + M - 1, 1),
        (T0, T0 + H + M, 0),
        (T0 - 1, T0 + H - 1, 1),
        (T0 - 1, T0 + H, 0),
        (T0 + M, T0, 1),
    ],
)
def test_a_value_leaves_with_the_tile_it_was_last_seen_in(seen_us, at_us, expected):
    assert told(distinct_of("item_id"), [event(seen_us, item_id="a")], at_us) == {"f_distinct_1h": expected}


def test_a_value_counts_in_every_window_that_reaches_its_last_time():
    events = [event(T0 - 20 * D, item_id=i) for i in "abcd"] + [event(T0 - 2 * H, item_id=i) for i in "ab"]
    events += [event(T0 - M, item_id="a"), event(T0, item_id="e")]
    parts = distinct_of("item_id", "10m", "1d", "30d", "lifetime")
    assert list(told(parts, events, T0).values()) == [2, 3, 5, 5]


def test_a_late_event_moves_no_value_back():
    parts = distinct_of("item_id", "10m", "1d")
    events = [event(T0, item_id="a"), event(T0 - 5 * H, item_id="a"), event(T0 - 5 * H, item_id="b")]
    for order in (events, events[::-1]):
        records = fold_all(plan_of(**parts), [[one] for one in order])
        assert list(told(parts, events, T0, records).values()) == [1, 2]


def test_a_default_stands_for_nothing_and_not_for_a_streak_that_ended():
    days = {"aggregate": ["active_days", "streak_days"], "windows": ["7d"], "default": -1}
    parts = {"features": {"f": {**distinct_of("item_id")["features"]["f"], "default": -1}, "d": days}}
    assert list(told(parts, [], T0).values()) == [-1, -1, -1]
    assert list(told(parts, [event(T0 - 3 * D)], T0).values()) == [-1, 1, 0]


@pytest.mark.parametrize(("cap", "expected"), [(1, [1, 1]), (2, [2, 2]), (3, [2, 3]), (4, [2, 4]), (5, [2, 4])])
def test_a_window_with_more_values_than_the_cap_says_the_cap_and_one_with_fewer_is_exact(cap, expected):
    events = [event(T0 - (3 - n) * 20 * M, item_id=f"i{n}") for n in range(4)]
    parts = distinct_of("item_id", "30m", "lifetime", cap=cap)
    assert list(told(parts, events, T0).values()) == expected


def test_at_the_cap_the_newest_stay_whatever_the_order_and_an_old_one_may_come_back():
    parts = distinct_of("item_id", "lifetime", cap=2)
    plan = plan_of(**parts)
    events = [event(T0 + n * S, item_id=i) for n, i in enumerate("abcab")]
    whole = record_of(plan, events)
    for order in (events, events[::-1], events[3:] + events[:3]):
        same_record(plan, whole, fold_all(plan, [[one] for one in order]))


def test_values_seen_in_the_same_second_are_cut_alike_in_any_order():
    plan = plan_of(**distinct_of("amount", "lifetime", cap=3))
    events = [event(T0 + n, amount=n) for n in range(8)]
    whole = record_of(plan, events)
    halves = [record_of(plan, events[n::2]) for n in range(2)]
    same_record(plan, whole, merge(plan, *halves))
    same_record(plan, whole, merge(plan, *halves[::-1]))


def test_the_default_cap_is_a_thousand():
    parts = distinct_of("amount", "lifetime")
    for count, expected in ((999, 999), (1000, 1000), (1001, 1000)):
        assert told(parts, [event(T0 + n, amount=n) for n in range(count)], T0) == {"f_distinct_lifetime": expected}


def test_features_of_one_field_share_rows_and_keep_their_own_caps():
    few, many = ({"aggregate": "distinct", "of": "amount", "windows": w, "cap": c} for w, c in (("1h", 2), ("1d", 9)))
    parts = {"features": {"few": few, "many": many}}
    plan = plan_of(**parts)
    events = [event(T0 + n, amount=n) for n in range(5)]
    assert (len(plan.last_seen), plan.last_seen[0].cap) == (1, 9)
    assert told(parts, events, T0) == {"few_distinct_1h": 2, "many_distinct_1d": 5}


def test_what_no_window_can_see_any_more_is_dropped():
    plan = plan_of(**distinct_of("amount", "1h"))
    records = fold_all(plan, [[event(T0 + n * M, amount=n)] for n in range(300)])
    assert records.size <= fold_all(plan, [[event(T0 + n * M, amount=n)] for n in range(64)]).size
    kept = fold_all(plan_of(**distinct_of("amount", "1h", "lifetime")), [[event(T0, amount=1)], [event(T0 + 9 * D)]])
    assert value_of(kept.plan, kept, "f_distinct_lifetime", T0 + 9 * D) == 1


def test_users_do_not_mix():
    plan = plan_of(**distinct_of("item_id"))
    made = [event(T0 + n, user=u, item_id=i) for n, (u, i) in enumerate(["ua", "vb", "ub", "va", "ua", "w\0"])]
    records = record_of(plan, made)
    assert features(plan, records, T0).values[:, 0].tolist() == [2, 2, 1]
    later = apply(plan, records, batch(plan, [event(T0, user=u, item_id="z") for u in "uvw"]))
    assert features(plan, later, T0).values[:, 0].tolist() == [3, 3, 2]


def test_an_event_is_wanted_for_a_value_and_not_for_a_null():
    plan = plan_of(**distinct_of("item_id", where={"action": "like"}))
    events = batch(plan, [event(item_id="a", action="like"), event(action="like"), event(item_id="a")])
    rows = [("u", 0, T0, T0, *[c if c != -1 else None for c in row]) for row in zip(*events.columns, strict=True)]
    named = [(*row[:4], *(None if c is None else events.pool[c] for c in row[4:])) for row in rows]
    assert relevant(plan, Events.from_rows(plan, named)).tolist() == [True, False, False]


def test_a_plan_without_them_has_no_rows():
    plan = plan_of()
    assert "last_seen" not in plan.layout.to_json()
    np.testing.assert_array_equal(features(plan, record_of(plan, [event(T0)]), T0).values, [[1.0]])


def test_a_window_of_coarse_tiles_reaches_as_far_as_it_says_beside_a_longer_one_of_fine_tiles():
    """The shorter window's old edge may lie before the longer one's: rows are kept for whichever reaches further."""
    parts = {"tiles": {"1d": "12h", "25h": "1h"}, **distinct_of("item_id", "1d", "25h")}
    at_us = T0 + 12 * H - M
    events = [event(T0 - 20 * H, item_id="a"), event(at_us - M, item_id="b")]
    assert list(told(parts, events, at_us).values()) == [2, 1]
