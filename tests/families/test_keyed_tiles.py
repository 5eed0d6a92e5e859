"""Counts, sums, shares and entropy by key, over windows."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest

from tests.packed import Records, apply, features, merge, migrated
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of, same_record, value_of

BY_ITEM = {"aggregate": ["count_by", "share_by", "entropy_by"], "by": "item_id", "windows": ["1h", "lifetime"]}


def table(plan, records, name, at_us=T0 + M, user=0):
    return features(plan, records, at_us).sequences[name].of_user(user)


def counts(plan, records, name, at_us=T0 + M):
    found = table(plan, records, name, at_us)
    *fields, number = found
    return dict(zip(zip(*(found[field] for field in fields), strict=True), found[number], strict=True))


def items(text, **fields):
    """Return a view of each item named by a letter, in one second of T0."""
    return [event(T0 + n, item_id=letter, **fields) for n, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("text", "listed", "shares", "entropy"),
    [
        ("", [], [], 0.0),
        ("a", ["a"], [1.0], 0.0),
        ("aaaa", ["a"], [1.0], 0.0),
        ("ab", ["a", "b"], [0.5, 0.5], math.log(2)),
        ("ba", ["a", "b"], [0.5, 0.5], math.log(2)),
        ("bbca", ["b", "a", "c"], [0.5, 0.25, 0.25], 1.5 * math.log(2)),
    ],
)
def test_keys_are_listed_by_count_and_equal_ones_by_name(text, listed, shares, entropy):
    plan = plan_of(features={"f": BY_ITEM, "all": {"aggregate": "count", "windows": "1h"}})
    records = record_of(plan, [event(T0), *items(text)])  # an event without an item has no part
    tally = Counter(text)
    for window in ("1h", "lifetime"):
        expected = {"item_id": listed, "count": [tally[item] for item in listed]}
        assert table(plan, records, f"f_count_by_{window}") == expected
        assert table(plan, records, f"f_share_by_{window}") == {"item_id": listed, "share": shares}
        assert value_of(plan, records, f"f_entropy_by_{window}", T0 + M) == pytest.approx(entropy, rel=2**-23)
        if entropy == 0:
            assert value_of(plan, records, f"f_entropy_by_{window}", T0 + M) == 0.0


def test_texts_are_ordered_by_code_point_whatever_came_first():
    plan = plan_of(features={"f": {"aggregate": "top_k", "by": "item_id", "k": 64, "windows": "1h"}})
    texts = ["b", "a", "", "B", "\u00e9", "z", "\U0001f389", "\uffff", "aa", "\u6f22"]
    records = record_of(plan, [event(T0 + n, item_id=text) for n, text in enumerate(texts)])
    assert table(plan, records, "f_top_k_1h") == sorted(texts)
    assert table(plan, records, "f_top_k_1h") == sorted(texts)


def test_numbers_are_ordered_by_size_and_false_before_true():
    by_amount = {"aggregate": "top_k", "by": "amount", "k": 9, "windows": "1h"}
    plan = plan_of(features={"f": by_amount, "g": {**by_amount, "by": "bought"}})
    amounts = [3, -1, 0, 2**63 - 1, -(2**63) + 1, 10]
    records = record_of(plan, [event(T0 + n, amount=amount, bought=n == 0) for n, amount in enumerate(amounts)])
    assert table(plan, records, "f_top_k_1h") == sorted(amounts)
    assert table(plan, records, "g_top_k_1h") == [False, True]


def test_a_key_of_several_fields_needs_all_of_them():
    plan = plan_of(features={"f": {"aggregate": "count_by", "by": ["action", "bought", "amount"], "windows": "1h"}})
    made = [
        event(T0, action="view", bought=True, amount=1),
        event(T0, action="view", bought=True, amount=1),
        event(T0, action="view", bought=False, amount=1),
        event(T0, action="like", bought=True, amount=-1),
        event(T0, action="view", bought=None, amount=1),
        event(T0, action="view", bought=True, amount=None),
    ]
    expected = {
        "action": ["view", "like", "view"],
        "bought": [True, True, False],
        "amount": [1, -1, 1],
        "count": [2, 1, 1],
    }
    assert table(plan, record_of(plan, made), "f_count_by_1h") == expected
    assert table(plan, record_of(plan, made), "f_count_by_1h") == expected


def test_tables_of_a_field_leave_out_events_without_it_and_go_in_order_of_count():
    keyed = {"aggregate": ["sum_by", "mean_by", "count_by"], "by": "item_id", "of": "value", "windows": "1h"}
    plan = plan_of(features={"f": keyed})
    made = [
        *(event(T0, item_id="few", value=v) for v in (100.0, None, None)),
        *(event(T0, item_id="many", value=v) for v in (1.0, -4.0)),
        event(T0, item_id="none"),
    ]
    records = record_of(plan, made)
    assert table(plan, records, "f_sum_by_1h") == {"item_id": ["many", "few"], "sum": [-3.0, 100.0]}
    assert table(plan, records, "f_mean_by_1h") == {"item_id": ["many", "few"], "mean": [-1.5, 100.0]}
    assert table(plan, records, "f_count_by_1h") == {"item_id": ["many", "few"], "count": [2, 1]}


@pytest.mark.parametrize(("measure", "listed"), [("count", ["a", "b"]), ("sum", ["b", "c"]), ("mean", ["c", "b"])])
def test_top_k_goes_by_count_sum_or_mean(measure, listed):
    of = {} if measure == "count" else {"of": "value"}
    keyed = {"aggregate": "top_k", "by": "item_id", "k": 2, "measure": measure, "windows": "1h", **of}
    plan = plan_of(features={"f": keyed})
    made = [
        *(event(T0, item_id="a", value=1.0) for _ in range(3)),
        *(event(T0, item_id="b", value=5.0) for _ in range(2)),
        event(T0, item_id="c", value=7.0),
        event(T0, item_id="d", value=-7.0),
    ]
    assert table(plan, record_of(plan, made), "f_top_k_1h") == listed


def test_sums_that_differ_by_how_they_were_added_are_equal():
    keyed = {"aggregate": "top_k", "by": "item_id", "k": 2, "measure": "sum", "of": "value", "windows": "1h"}
    plan = plan_of(features={"f": keyed})
    made = [event(T0, item_id="b", value=v) for v in (0.1, 0.2)] + [event(T0, item_id="a", value=0.3)]
    assert table(plan, record_of(plan, made), "f_top_k_1h") == ["a", "b"]


@pytest.mark.parametrize(("k", "keys", "listed"), [(None, None, 10), (None, 3, 3), (7, None, 7), (1, 50, 1)])
def test_as_many_keys_are_listed_as_asked_for_ten_if_nobody_asks(k, keys, listed):
    asked = {name: number for name, number in (("k", k), ("keys", keys)) if number is not None}
    plan = plan_of(features={"f": {"aggregate": "count_by", "by": "amount", "windows": "1h", **asked}})
    for distinct in (1, listed, 3 if keys == 3 else 12):
        records = record_of(plan, [event(T0 + n, amount=n) for n in range(distinct)])
        padded = features(plan, records, T0).sequences["f_count_by_1h"]
        assert padded.columns["count"].shape == (1, listed)
        assert padded.length.tolist() == [min(listed, distinct)]


@pytest.mark.parametrize(("age_us", "inside"), [(H, True), (H + M - 1, True), (H + M, False), (0, True), (-M, True)])
def test_a_window_reaches_back_to_the_edge_of_its_tile(age_us, inside):
    """At one microsecond before a minute is full, the window's oldest minute is the 61st."""
    plan = plan_of(features={"f": {"aggregate": ["count_by", "share_by"], "by": "item_id", "windows": ["1h"]}})
    at_us = T0 + M - 1
    records = record_of(plan, [event(at_us - age_us, item_id="a"), event(at_us, item_id="b")])
    expected = ["a", "b"] if inside else ["b"]
    assert table(plan, records, "f_count_by_1h", at_us)["item_id"] == expected
    assert table(plan, records, "f_share_by_1h", at_us)["share"] == [1 / len(expected)] * len(expected)


def test_users_and_features_do_not_mix():
    keyed = {"aggregate": "count_by", "windows": "1h"}
    plan = plan_of(
        features={"f": {**keyed, "by": "item_id"}, "g": {**keyed, "by": "action", "where": {"item_id": "a"}}}
    )
    made = [
        event(T0, "u", item_id="a", action="x"),
        event(T0, "v", item_id="b", action="a"),
        event(T0, "v", item_id="a"),
    ]
    records = record_of(plan, made)
    assert table(plan, records, "f_count_by_1h", user=0) == {"item_id": ["a"], "count": [1]}
    assert table(plan, records, "f_count_by_1h", user=1) == {"item_id": ["a", "b"], "count": [1, 1]}
    assert table(plan, records, "g_count_by_1h", user=0) == {"action": ["x"], "count": [1]}
    assert table(plan, records, "g_count_by_1h", user=1) == {"action": ["view"], "count": [1]}


def test_a_spec_without_keys_keeps_none():
    plan = plan_of()
    assert record_of(plan, items("abc")).size == record_of(plan, items("aaa")).size
    assert "keyed" not in plan.layout.to_json()


def test_features_of_the_same_events_share_a_track_that_keeps_as_many_keys_as_any_asks_for():
    keyed = {"by": "item_id", "where": {"action": "view"}}
    plan = plan_of(
        features={
            "a": {**keyed, "aggregate": ["count_by", "share_by", "entropy_by"], "windows": ["1h"], "keys": 5},
            "b": {**keyed, "aggregate": ["top_k"], "k": 70, "keys": 90, "windows": ["1d", "lifetime"]},
            "c": {**keyed, "aggregate": ["sum_by", "mean_by"], "of": "value", "windows": ["1h"]},
        }
    )
    assert [
        (track.of is None, track.most_keys, [window.text for window in track.windows]) for track in plan.keyed_tracks
    ] == [(True, 90, ["1h", "1d", "lifetime"]), (False, 64, ["1h"])]


def test_rows_that_no_window_needs_any_more_are_dropped():
    plan = plan_of(features={"f": {"aggregate": "count_by", "by": "item_id", "windows": ["10m", "1h"]}})
    records = record_of(plan, [event(T0 + n * M, item_id="a") for n in range(600)])
    assert records.size <= record_of(plan, [event(T0 + n * M, item_id="a") for n in range(530, 600)]).size
    assert counts(plan, records, "f_count_by_1h", T0 + 599 * M) == {("a",): 61}


# Above the bound


BOUNDED = {"aggregate": ["count_by", "share_by"], "by": "item_id", "k": 4, "keys": 4, "windows": ["1h", "lifetime"]}


def test_as_many_keys_as_a_tile_keeps_are_exact_and_one_more_costs_each_as_much_as_the_lightest():
    plan = plan_of(features={"f": BOUNDED})
    exactly = record_of(plan, items("aaaabbbccd"))
    assert counts(plan, exactly, "f_count_by_1h") == {("a",): 4, ("b",): 3, ("c",): 2, ("d",): 1}
    more = apply(plan, exactly, batch(plan, items("e")))
    assert counts(plan, more, "f_count_by_1h") == {("a",): 3, ("b",): 2, ("c",): 1}
    assert counts(plan, more, "f_share_by_1h") == {("a",): 3 / 11, ("b",): 2 / 11, ("c",): 1 / 11}


def test_keys_that_lie_in_different_tiles_meet_in_the_one_they_are_rolled_up_to():
    plan = plan_of(features={"f": {**BOUNDED, "windows": ["10m", "lifetime"]}})
    few = record_of(plan, items("aabb"))
    later = [event(T0 + 30 * M, item_id=item) for item in "cddde"]
    records = apply(plan, few, batch(plan, later))
    assert counts(plan, records, "f_count_by_10m", T0 + 30 * M) == {("c",): 1, ("d",): 3, ("e",): 1}
    assert counts(plan, records, "f_count_by_lifetime", T0 + 30 * M)[("d",)] == 3
    rolled = apply(plan, records, batch(plan, [event(T0 + 2 * D, item_id="a")]))
    assert counts(plan, rolled, "f_count_by_lifetime", T0 + 2 * D) == {("a",): 2, ("b",): 1, ("d",): 2}


def test_the_rest_is_one_further_key_to_entropy():
    plan = plan_of(features={"f": {"aggregate": "entropy_by", "by": "item_id", "keys": 2, "windows": "1h"}})
    records = record_of(plan, items("aaabbc"))  # a 2, b 1, and 3 of the rest
    expected = -sum(p * math.log(p) for p in (2 / 6, 1 / 6, 3 / 6))
    assert value_of(plan, records, "f_entropy_by_1h", T0) == pytest.approx(expected, rel=2**-23)


@pytest.mark.parametrize("keys", [1, 5, 20])
def test_no_batching_misses_more_of_a_key_than_promised_and_totals_are_exact(keys):
    """Against brute force, through bytes each time, over tiles that are rolled up while they are too full."""
    rng = random.Random(keys)
    windows = ["10m", "1h", "lifetime"]
    keyed = {"by": "item_id", "keys": keys, "k": keys, "windows": windows}
    plan = plan_of(
        features={
            "f": {**keyed, "aggregate": ["count_by", "share_by"]},
            "g": {**keyed, "aggregate": ["sum_by"], "of": "amount"},
        }
    )
    made = [
        event(T0 + rng.randrange(2 * H), item_id=f"i{min(int(rng.paretovariate(0.6)), 60)}", amount=2)
        for _ in range(600)
    ]
    clock_us = max(e["event_time"] for e in made)
    rows = list(made)
    rng.shuffle(rows)
    parts = [list(group) for _, group in itertools.groupby(rows, key=lambda e: rng.randrange(3) > 0)]
    half = len(parts) // 2
    records = merge(plan, fold_all(plan, parts[:half]), fold_all(plan, parts[half:]))
    for window, reach_us, width_us in (("10m", 10 * M, 10 * S), ("1h", H, M), ("lifetime", None, None)):
        first_us = 0 if reach_us is None else (clock_us - reach_us) // width_us * width_us
        inside = Counter(e["item_id"] for e in made if e["event_time"] >= first_us)
        n = sum(inside.values())
        found = counts(plan, records, f"f_count_by_{window}", clock_us)
        shares = counts(plan, records, f"f_share_by_{window}", clock_us)
        sums = counts(plan, records, f"g_sum_by_{window}", clock_us)
        assert len(found) <= keys
        assert list(found.values()) == sorted(found.values(), reverse=True)
        for (item,), count in found.items():
            assert inside[item] - n / (keys + 1) <= count <= inside[item]
            assert shares[(item,)] == count / n
            assert sums[(item,)] == pytest.approx(2 * count)
        least = min(found.values()) if len(found) == keys else 0
        assert all((item,) in found or count - n / (keys + 1) <= least for item, count in inside.items())


def test_what_was_never_above_the_bound_does_not_depend_on_how_it_came():
    rng = random.Random(5)
    plan = plan_of(features={"f": {**BOUNDED, "keys": 6, "windows": ["10m", "1h", "lifetime"]}})
    made = [event(T0 + rng.randrange(4 * H), item_id=rng.choice("abcdef")) for _ in range(80)]
    whole = record_of(plan, made)
    for _ in range(5):
        rng.shuffle(made)
        records = Records.empty(plan, 1)
        for one in made:
            records = apply(plan, records, batch(plan, [one]))
        same_record(plan, whole, records)


def test_a_changed_number_of_keys_goes_on_from_the_tiles_there_are():
    few, many = (plan_of(features={"f": {**BOUNDED, "keys": keys}}) for keys in (4, 8))
    assert few.layout.keys == many.layout.keys
    records = apply(many, migrated(many, few, record_of(few, items("aaabbbccd"))), batch(many, items("efgh")))
    back = apply(few, migrated(few, many, records), batch(few, items("a")))
    assert counts(few, back, "f_count_by_1h") == {("a",): 3, ("b",): 2, ("c",): 1}


def test_a_large_batch_of_users_costs_no_loop_over_rows():
    """Each of 300 users has keys of their own, and is cut by themselves."""
    plan = plan_of(features={"f": {**BOUNDED, "windows": ["1h"]}})
    made = [event(T0 + n, f"u{user}", item_id=f"{user}-{n % 6}") for user in range(300) for n in range(user % 13)]
    records = record_of(plan, made)
    found = features(plan, records, T0 + M).sequences["f_count_by_1h"]
    for index, user in enumerate(u for u in range(300) if u % 13):
        tally = Counter(n % 6 for n in range(user % 13))
        less = sorted(tally.values(), reverse=True)[4] if len(tally) > 4 else 0
        left = sorted((-(count - less), f"{user}-{key}") for key, count in tally.items() if count > less)[:4]
        assert found.of_user(index) == {"item_id": [key for _, key in left], "count": [-count for count, _ in left]}
    assert np.asarray(found.length).shape == (len([u for u in range(300) if u % 13]),)
