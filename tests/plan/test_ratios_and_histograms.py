"""Ratios with and without a prior, and histograms at their edges."""

import math

import numpy as np
import pytest

from tests.packed import Records, features
from tests.trying import T0, M, S, event, fold_all, plan_of, record_of, value_of

LIKES, VIEWS = {"aggregate": "count", "where": {"action": "like"}}, {"aggregate": "count", "where": {"action": "view"}}


def ratio_of(**more):
    return plan_of(
        features={"ctr": {"aggregate": "ratio", "numerator": LIKES, "denominator": VIEWS, "windows": ["1h"], **more}}
    )


def actions(likes, views):
    return [event(T0 + n * S, action="like" if n < likes else "view") for n in range(likes + views)]


@pytest.mark.parametrize(
    ("likes", "views", "expected"),
    [(1, 4, 0.25), (0, 4, 0.0), (3, 0, math.nan), (0, 0, math.nan), (5, 2, 2.5)],
)
def test_a_ratio_without_a_prior(likes, views, expected):
    plan = ratio_of()
    found = value_of(plan, record_of(plan, [*actions(likes, views), event(action="skip")]), "ctr_ratio_1h", T0 + M)
    assert found == pytest.approx(expected, nan_ok=True)


def test_a_prior_is_what_is_expected_of_nothing_and_yields_to_what_is_seen():
    plan = ratio_of(prior={"rate": 0.05, "weight": 20})
    assert value_of(plan, Records.empty(plan, 1), "ctr_ratio_1h", T0) == pytest.approx(0.05)
    assert value_of(plan, record_of(plan, actions(1, 20)), "ctr_ratio_1h", T0 + M) == pytest.approx((1 + 1) / (20 + 20))


def test_a_ratio_over_nothing_is_its_default():
    assert value_of(ratio_of(default=-1.0), Records.empty(ratio_of(), 1), "ctr_ratio_1h", T0) == -1.0


def test_a_ratio_larger_than_any_number_is_its_default():
    plan = ratio_of(denominator={"aggregate": "sum", "of": "value"}, default=-1.0)
    record = record_of(plan, [event(action="like", value=5e-324)])
    assert value_of(plan, record, "ctr_ratio_1h", T0 + M) == -1.0


def test_the_filter_of_the_ratio_and_of_its_part_must_both_accept():
    plan = ratio_of(where={"item_id": "a"})
    made = [
        event(action="like", item_id="a"),
        event(action="like", item_id="b"),
        event(item_id="a"),
        event(item_id="b"),
    ]
    assert value_of(plan, record_of(plan, made), "ctr_ratio_1h", T0) == 1.0


def test_the_parts_of_a_ratio_share_tiles_with_features_of_the_same_definition():
    views = {"aggregate": "count", "where": {"action": "view"}, "windows": ["1h"]}
    ratio = {"aggregate": "ratio", "numerator": LIKES, "denominator": VIEWS, "windows": ["1h"]}
    assert len(plan_of(features={"views": views, "ctr": ratio}).tracks) == 2


@pytest.mark.parametrize(
    ("value", "place"), [(-1e300, 0), (-0.1, 0), (0.0, 1), (-0.0, 1), (9.999, 1), (10.0, 2), (1e300, 2)]
)
def test_an_edge_belongs_to_the_bin_above_it(value, place):
    plan = plan_of(features={"f": {"aggregate": "histogram", "of": "value", "edges": [0.0, 10.0], "windows": ["1h"]}})
    found = features(plan, record_of(plan, [event(value=value), event(value=None)]), T0).arrays["f_histogram_1h"]
    assert found.tolist() == [[float(n == place) for n in range(3)]]


def test_a_histogram_counts_what_lies_in_each_window():
    plan = plan_of(
        features={"f": {"aggregate": "histogram", "of": "amount", "edges": [5], "windows": ["10m", "lifetime"]}}
    )
    records = fold_all(plan, [[event(T0 + n * M, amount=n)] for n in range(30)])
    found = features(plan, records, T0 + 29 * M).arrays
    np.testing.assert_array_equal(found["f_histogram_10m"], [[0, 11]])
    np.testing.assert_array_equal(found["f_histogram_lifetime"], [[5, 25]])
