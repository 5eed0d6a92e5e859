"""Logs: the last K by (event time, id), whatever the order of arrival."""

import itertools

import pytest
import xxhash

from tests.packed import Records, apply, features
from tests.trying import T0, H, M, S, batch, event, plan_of, record_of

RECENT = {"recent": {"fields": ["item_id", "event_time"], "last": 3}}


def items(plan, records, at_us=T0 + M, name="recent", user=0):
    entries = features(plan, records, at_us).sequences[name].of_user(user)
    return entries["item_id"] if isinstance(entries, dict) else entries


def test_newest_come_first_and_older_than_the_kth_are_forgotten():
    plan = plan_of(sequences=RECENT)
    records = record_of(plan, [event(T0 + i * S, item_id=f"i{i}") for i in (2, 0, 4, 1, 3)])
    assert items(plan, records) == ["i4", "i3", "i2"]
    assert features(plan, records, T0).sequences["recent"].of_user(0)["event_time"][0] == T0 + 4 * S


def test_fewer_than_k_are_not_padded_for_one_user_and_padded_side_by_side():
    plan = plan_of(sequences=RECENT)
    records = record_of(plan, [event(T0, "a", item_id="x"), event(T0, "b", item_id="y"), event(T0 + S, "b")])
    padded = features(plan, records, T0).sequences["recent"]
    assert padded.length.tolist() == [1, 2]
    assert padded.columns["item_id"].tolist() == [["x", None, None], [None, "y", None]]
    assert padded.of_user(1)["item_id"] == [None, "y"]


def test_events_of_one_microsecond_are_ordered_by_the_hash_of_their_id():
    plan = plan_of(sequences={"recent": {"fields": ["item_id"], "last": 3}})
    ids = [f"id{i}" for i in range(5)]
    expected = sorted(ids, key=lambda i: xxhash.xxh64_intdigest(i.encode()), reverse=True)[:3]
    for order in itertools.permutations(ids):
        records = Records.empty(plan, 1)
        for part in (order[:2], order[2:]):
            records = apply(plan, records, batch(plan, [event(T0, "u", i, item_id=i) for i in part]))
        assert items(plan, records) == expected


def test_an_event_older_than_the_kth_changes_nothing_and_one_between_moves_it_out():
    plan = plan_of(sequences=RECENT)
    records = record_of(plan, [event(T0 + i * S, item_id=f"i{i}") for i in (2, 4, 6)])
    older = apply(plan, records, batch(plan, [event(T0 + S, item_id="i1")]))
    between = apply(plan, records, batch(plan, [event(T0 + 3 * S, item_id="i3")]))
    assert (items(plan, older), items(plan, between)) == (["i6", "i4", "i2"], ["i6", "i4", "i3"])


@pytest.mark.parametrize(("age_us", "seen"), [(10 * M - 1, True), (10 * M, True), (10 * M + 1, False)])
def test_within_counts_to_the_microsecond(age_us, seen):
    plan = plan_of(sequences={"recent": {"fields": ["item_id"], "last": 3, "within": "10m"}})
    records = record_of(plan, [event(T0, item_id="x")])
    assert items(plan, records, T0 + age_us) == (["x"] if seen else [])


@pytest.mark.parametrize(("at_us", "seen"), [(T0 + H, True), (T0 + H + M - 1, True), (T0 + H + M, False)])
def test_last_k_sees_as_far_as_its_windows_first_tile(at_us, seen):
    feature = {"aggregate": "last_k", "of": "item_id", "k": 2, "windows": ["1h", "lifetime"]}
    plan = plan_of(features={"f": feature})
    records = record_of(plan, [event(T0, item_id="x"), event(T0, item_id=None)])
    assert items(plan, records, at_us, "f_last_k_1h") == (["x"] if seen else [])
    assert items(plan, records, at_us, "f_last_k_lifetime") == ["x"]


def test_outputs_of_one_filter_share_a_log_of_the_larger_size():
    plan = plan_of(
        sequences={
            "short": {"fields": ["item_id"], "last": 2},
            "long": {"fields": ["item_id", "action"], "last": 4},
        }
    )
    assert [(log.cap, len(log.fields)) for log in plan.logs] == [(4, 2)]
    records = record_of(plan, [event(T0 + i * S, item_id=f"i{i}") for i in range(6)])
    assert items(plan, records, name="short") == ["i5", "i4"]
    assert items(plan, records, name="long") == ["i5", "i4", "i3", "i2"]


def test_rows_that_no_output_can_see_any_more_are_dropped():
    plan = plan_of(sequences={"recent": {"fields": ["item_id"], "last": 9, "within": "10m"}})
    skew_us = plan.max_clock_skew_us
    for later_us, left in ((10 * M + skew_us, 2), (10 * M + skew_us + 1, 1)):
        records = record_of(plan, [event(T0, item_id="x"), event(T0 + later_us, item_id="y")])
        assert len(records.histories.logs[0].user) == left


@pytest.mark.parametrize("years", [1, 8, 9, 40])
def test_rows_years_apart_are_stored_to_the_microsecond(years):
    plan = plan_of(sequences=RECENT)
    old_us = T0 + 1
    new_us = old_us + years * 365 * 24 * H + 7
    records = record_of(plan, [event(old_us), event(new_us)])
    assert records.histories.logs[0].time_us.tolist() == [old_us, new_us]


@pytest.mark.parametrize("distinct", [1, 254, 255, 256, 257, 600])
def test_any_number_of_distinct_strings_is_stored(distinct):
    plan = plan_of(sequences={"recent": {"fields": ["item_id", "action"], "last": 600}})
    made = [event(T0 + i * S, item_id=None if i == 7 else f"i{i % distinct}") for i in range(600)]
    records = record_of(plan, made)
    assert items(plan, records, T0 + H) == [e["item_id"] for e in reversed(made)]


@pytest.mark.parametrize("beyond", [0, 1, 500])
def test_more_distinct_strings_than_two_bytes_can_number_are_stored(beyond):
    sequences = {
        f"s{i}": {"fields": ["item_id", "action", "value"], "last": last, "where": {"amount": i}}
        for i, last in enumerate((10_000, 10_000, 10_000, 2767))
    }
    plan = plan_of(sequences={**sequences, "more": {"fields": ["item_id"], "last": 501, "where": {"amount": 4}}})
    kept = [i for i, sequence in enumerate(sequences.values()) for _ in range(sequence["last"])] + [4] * (1 + beyond)
    made = [event(T0 + n, item_id=f"i{n}", action=f"a{n}", amount=amount) for n, amount in enumerate(kept)]
    records = record_of(plan, made)
    assert len(records.histories.pool) == 65_535 + beyond
    read = features(plan, records, T0 + H).sequences
    assert read["s3"].of_user(0)["action"] == [e["action"] for e in reversed(made) if e["amount"] == 3]
    assert read["more"].of_user(0)["item_id"] == [e["item_id"] for e in reversed(made) if e["amount"] == 4]
