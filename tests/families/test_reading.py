"""Reading: a window's old edge, readings around the clock, and what nothing comes to."""

import math

import numpy as np
import pytest

from tests.packed import Records, features
from tests.trying import T0, D, H, M, S, event, plan_of, record_of, value_of

COUNT = {"f": {"aggregate": "count", "windows": ["1h"]}}


@pytest.mark.parametrize(
    ("at_us", "counted"),
    [
        (T0 + H - 1, 1),
        (T0 + H, 1),
        (T0 + H + M - 1, 1),
        (T0 + H + M, 0),
    ],
)
def test_an_event_on_a_tile_edge_leaves_when_the_next_tile_begins(at_us, counted):
    plan = plan_of(features=COUNT)
    assert value_of(plan, record_of(plan, [event(T0)]), "f_count_1h", at_us) == counted


@pytest.mark.parametrize(("at_us", "counted"), [(T0 + H - 1, 1), (T0 + H, 0)])
def test_an_event_just_before_a_tile_edge_leaves_when_that_edge_is_a_window_ago(at_us, counted):
    plan = plan_of(features=COUNT)
    assert value_of(plan, record_of(plan, [event(T0 - 1)]), "f_count_1h", at_us) == counted


@pytest.mark.parametrize("behind_us", [0, 1, 30 * S, M])
def test_reading_up_to_the_skew_before_the_clock_sees_what_a_window_ending_there_covers(behind_us):
    """The clock has moved on, yet nothing that such a reading needs was rolled up or dropped."""
    plan = plan_of(features={"f": {"aggregate": "count", "windows": ["10m", "1h"]}})
    clock_us = T0 + 3 * H
    at_us = clock_us - behind_us
    times = [at_us - H - M - 1, at_us - H, at_us - H + 1, at_us - 10 * M, at_us - 5 * M, clock_us]
    times = [t // (10 * S) * 10 * S for t in times]
    records = record_of(plan, [event(t) for t in times])
    for window_us, width_us, name in ((10 * M, 10 * S, "f_count_10m"), (H, M, "f_count_1h")):
        start_us = (at_us - window_us) // width_us * width_us
        assert value_of(plan, records, name, at_us) == sum(t >= start_us for t in times)


def test_events_after_the_reading_time_count():
    plan = plan_of(features=COUNT)
    assert value_of(plan, record_of(plan, [event(T0)]), "f_count_1h", T0 - M) == 1


def test_a_user_who_stops_acting_decays_without_being_written():
    plan = plan_of(features={"f": {"aggregate": "count", "windows": ["10m", "1h", "1d", "lifetime"]}})
    records = record_of(plan, [event(T0)])
    at = {T0: [1, 1, 1, 1], T0 + 20 * M: [0, 1, 1, 1], T0 + 2 * H: [0, 0, 1, 1], T0 + 9 * D: [0, 0, 0, 1]}
    assert {at_us: features(plan, records, at_us).values[0].tolist() for at_us in at} == at


EVERY_AGGREGATE = (
    *("count", "sum", "mean", "min", "max", "variance", "stddev", "skew", "kurtosis"),
    *("recency", "first_seen", "gap_mean"),
)
NOTHING = {"count": 0.0, "sum": 0.0}


@pytest.mark.parametrize("aggregate", EVERY_AGGREGATE)
@pytest.mark.parametrize("window", ["1h", "lifetime"])
def test_nothing_comes_to_zero_or_nan_or_the_specs_default(aggregate, window):
    of = {} if aggregate in ("count", "recency", "first_seen", "gap_mean") else {"of": "value"}
    feature = {"aggregate": aggregate, "windows": [window], **of}
    for default, expected in ((None, NOTHING.get(aggregate, math.nan)), (-7.0, -7.0), (0.0, 0.0)):
        plan = plan_of(features={"f": feature if default is None else {**feature, "default": default}})
        np.testing.assert_equal(value_of(plan, Records.empty(plan, 1), f"f_{aggregate}_{window}", T0), expected)
        if window == "1h":
            left = record_of(plan, [event(T0, value=1.0), event(T0, value=1.0)])
            np.testing.assert_equal(value_of(plan, left, f"f_{aggregate}_1h", T0 + D), expected)


@pytest.mark.parametrize("aggregate", ["decayed_count", "decayed_sum"])
def test_a_decay_of_nothing_is_zero_or_the_specs_default(aggregate):
    of = {"of": "value"} if aggregate == "decayed_sum" else {}
    for default in (0.0, 5.0):
        plan = plan_of(features={"f": {"aggregate": aggregate, "half_life": "1h", "default": default, **of}})
        assert value_of(plan, Records.empty(plan, 1), f"f_{aggregate}_1h", T0) == default


def test_a_default_stands_for_no_value_and_not_for_zero():
    plan = plan_of(features={"f": {"aggregate": ["sum", "mean"], "of": "value", "windows": ["1h"], "default": -1.0}})
    records = record_of(plan, [event(T0, value=2.0), event(T0, value=-2.0)])
    assert features(plan, records, T0).values.tolist() == [[0.0, 0.0]]


def test_a_gap_needs_two_events():
    plan = plan_of(features={"f": {"aggregate": "gap_mean", "windows": ["1h"]}})
    events = [event(T0), event(T0 + 10 * S), event(T0 + 16 * S)]
    values = [value_of(plan, record_of(plan, events[:n]), "f_gap_mean_1h", T0 + M) for n in (1, 2, 3)]
    np.testing.assert_equal(values, [math.nan, 10.0, 8.0])


def test_recency_and_first_seen_are_seconds_to_the_reading_time_and_never_negative():
    plan = plan_of(features={"f": {"aggregate": ["recency", "first_seen"], "windows": ["1h"]}})
    records = record_of(plan, [event(T0), event(T0 + 10 * S + 250_000)])
    assert features(plan, records, T0 + M).values.tolist() == [[49.75, 60.0]]
    assert features(plan, records, T0 + 5 * S).values.tolist() == [[0.0, 5.0]]


def test_unknown_users_stand_beside_known_ones_with_empty_sequences_and_zero_embeddings():
    plan = plan_of(
        features={**COUNT, "k": {"aggregate": "last_k", "of": "value", "k": 2, "windows": ["1h"]}},
        sequences={"s": {"fields": ["item_id", "amount", "bought"], "last": 2}},
        embeddings={"e": {"kind": "decayed_mean", "of": "item_id", "dimensions": 4, "half_life": "1h"}},
    )
    found = features(plan, Records.empty(plan, 2), T0)
    assert found.values.tolist() == [[0.0], [0.0]]
    assert found.sequences["k_last_k_1h"].of_user(1) == []
    assert found.sequences["s"].of_user(0) == {"item_id": [], "amount": [], "bought": []}
    assert found.embeddings["e_1h"].tolist() == [[0.0] * 4] * 2


def test_no_users_have_no_rows():
    plan = plan_of(features=COUNT, sequences={"s": {"fields": ["item_id"], "last": 2}})
    found = features(plan, Records.empty(plan, 0), T0)
    assert found.values.shape == (0, 1)
    assert found.sequences["s"].columns["item_id"].shape == (0, 2)
