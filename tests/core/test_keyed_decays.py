"""Decayed counts by key: forward decay, exact for late events and merges, bounded by the same rule as tiles."""

import math
import random

import pytest

from tests.packed import apply, features, merge
from tests.trying import T0, D, H, M, batch, event, fold_all, plan_of, record_of, same_record

FEATURE = {"aggregate": "decayed_count_by", "by": "item_id", "half_life": ["1h", "1d"]}


def plan_for(**more):
    return plan_of(features={"f": {**FEATURE, **more}})


def counts(plan, records, at_us, half_life="1h"):
    table = features(plan, records, at_us).sequences[f"f_decayed_count_by_{half_life}"].of_user(0)
    assert list(table)[-1] == "count"
    return dict(zip(table["item_id"], table["count"], strict=True))


def by_hand(made, at_us, half_life_us=H):
    found = {}
    for e in made:
        found[e["item_id"]] = found.get(e["item_id"], 0.0) + 2.0 ** (-(at_us - e["event_time"]) / half_life_us)
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))


def test_counts_halve_with_each_half_life_and_the_heaviest_come_first():
    plan = plan_for()
    made = [event(T0, item_id="old"), event(T0, item_id="old"), event(T0 + 2 * H, item_id="new"), event(T0)]
    records = record_of(plan, made)
    assert counts(plan, records, T0 + 2 * H) == {"new": 1.0, "old": 0.5}
    assert counts(plan, records, T0 + 3 * H) == {"new": 0.5, "old": 0.25}
    slowly = counts(plan, records, T0 + 2 * H, "1d")
    assert list(slowly) == ["old", "new"]
    assert slowly["old"] == pytest.approx(2 * 2 ** (-2 / 24), rel=1e-12)


def test_equal_counts_are_listed_by_key():
    plan = plan_for(k=2)
    records = record_of(plan, [event(T0, item_id=item) for item in "cab"])
    assert list(counts(plan, records, T0)) == ["a", "b"]


def test_nothing_comes_of_nothing_and_of_events_without_a_key():
    plan = plan_of(features={"f": FEATURE, "all": {"aggregate": "count", "windows": "1h"}})
    records = record_of(plan, [event(T0)])
    assert counts(plan, records, T0) == {}


@pytest.mark.parametrize("seed", range(3))
def test_no_order_batching_or_merging_changes_the_counts(seed):
    rng = random.Random(seed)
    plan = plan_for(k=20)
    made = [event(T0 + rng.randrange(10 * H), item_id=rng.choice("abcdefgh")) for _ in range(60)]
    newest_us = max(e["event_time"] for e in made)
    whole = record_of(plan, made)
    rng.shuffle(made)
    halves = [fold_all(plan, [[e] for e in part]) for part in (made[:25], made[25:])]
    merged = merge(plan, *halves)
    same_record(plan, whole, merged)
    for at_us in (newest_us, newest_us + 5 * H):
        for half_life, half_life_us in (("1h", H), ("1d", D)):
            for records in (whole, merged):
                found, expected = counts(plan, records, at_us, half_life), by_hand(made, at_us, half_life_us)
                assert list(found) == list(expected)
                assert list(found.values()) == pytest.approx(list(expected.values()), rel=1e-9)


def test_keys_keep_their_order_long_after_all_counts_came_to_nothing():
    plan = plan_for()
    records = record_of(plan, [event(T0, item_id=item) for item in "abb"])
    assert counts(plan, records, T0 + 5000 * H) == {"b": 0.0, "a": 0.0}


@pytest.mark.parametrize(("age_h", "there"), [(900, True), (963, True), (964, False), (5000, False)])
def test_a_key_is_forgotten_where_doubles_end(age_h, there):
    plan = plan_for()
    records = record_of(plan, [event(T0, item_id="old"), event(T0 + age_h * H, item_id="new")])
    assert ("old" in counts(plan, records, T0 + age_h * H)) == there
    assert "old" in counts(plan, records, T0 + age_h * H, "1d")


def test_keys_that_are_forgotten_do_not_count_among_those_that_are_kept():
    plan = plan_for(keys=2, k=2)
    old = record_of(plan, [event(T0, item_id=item) for item in "ab"])
    later = apply(plan, old, batch(plan, [event(T0 + 2000 * H, item_id=item) for item in "cdd"]))
    assert counts(plan, later, T0 + 2000 * H) == {"d": 2.0, "c": 1.0}


@pytest.mark.parametrize("keys", [1, 3, 10])
def test_no_key_is_too_high_nor_lower_than_promised_and_the_total_is_exact(keys):
    rng = random.Random(keys)
    plan = plan_for(keys=keys, k=keys)
    made = [event(T0 + rng.randrange(6 * H), item_id=f"i{min(int(rng.paretovariate(0.7)), 40)}") for _ in range(300)]
    newest_us = max(e["event_time"] for e in made)
    records = fold_all(plan, [made[begin : begin + 7] for begin in range(0, 300, 7)])
    for half_life, half_life_us in (("1h", H), ("1d", D)):
        exact = by_hand(made, newest_us, half_life_us)
        total = math.fsum(exact.values())
        found = counts(plan, records, newest_us, half_life)
        assert len(found) <= keys
        for item, count in found.items():
            assert exact[item] - total / (keys + 1) - 1e-9 <= count <= exact[item] + 1e-9


def test_the_rest_decays_as_the_keys_do():
    plan = plan_for(keys=1)
    records = record_of(plan, [event(T0, item_id=item) for item in "aab"])
    assert counts(plan, records, T0) == {"a": 1.0}
    later = apply(plan, records, batch(plan, [event(T0 + H, item_id="a")]))
    assert counts(plan, later, T0 + H) == {"a": 1.5}


def test_composite_and_numeric_keys_are_counted_too():
    plan = plan_of(features={"f": {**FEATURE, "by": ["amount", "bought"], "half_life": "1h"}})
    made = [event(T0, amount=-5, bought=True), event(T0 + M, amount=-5, bought=True), event(T0 + M, amount=7, bought=0)]
    found = features(plan, record_of(plan, made), T0 + M).sequences["f_decayed_count_by_1h"].of_user(0)
    assert (found["amount"], found["bought"]) == ([-5, 7], [1, 0])
    assert found["count"] == pytest.approx([1 + 2 ** (-1 / 60), 1.0], rel=1e-12)
