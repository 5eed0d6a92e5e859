"""Tiles: equal keys are joined, old ones rolled up or dropped, whoever else is in the batch."""

import numpy as np
import pytest

from tests.packed import Records, apply, merge
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of, value_of

VIEWS = {"aggregate": "count", "windows": ["10m", "1h"]}


def counted(**feature):
    return plan_of(features={"f": {"aggregate": "count", "windows": ["1h"], **feature}})


def test_events_of_one_tile_are_one_row():
    one = record_of(counted(), [event(T0)]).size
    assert record_of(counted(), [event(T0), event(T0 + 59 * S)]).size == one
    assert record_of(counted(), [event(T0), event(T0 + 60 * S)]).size > one


def test_a_batch_of_events_that_nothing_counts_leaves_no_rows():
    plan = counted(where={"action": "like"})
    one, many = record_of(plan, [event(T0)]), record_of(plan, [event(T0 + n * M) for n in range(50)])
    assert (one.size, one.heads.applied.tolist(), many.heads.applied.tolist()) == (many.size, [1], [50])


def test_records_of_different_numbers_of_users_are_not_merged():
    plan = counted()
    with pytest.raises(ValueError, match="as many records"):
        merge(plan, Records.empty(plan, 1), Records.empty(plan, 2))


def test_two_users_of_a_batch_do_not_see_each_others_events():
    plan = counted()
    records = record_of(plan, [event(T0, "a"), event(T0, "b"), event(T0 + S, "a")])
    assert [value_of(plan, records, "f_count_1h", T0 + M, user) for user in (0, 1)] == [2, 1]


def test_each_users_tiles_age_by_their_own_clock():
    plan = plan_of(features={"f": VIEWS})
    records = record_of(plan, [event(T0 + 30 * S, "a"), event(T0 + 30 * S, "b"), event(T0 + 20 * M, "b")])
    alone = [record_of(plan, [event(T0 + 30 * S)]), record_of(plan, [event(T0 + 30 * S), event(T0 + 20 * M)])]
    assert records.blobs == [blob for record in alone for blob in record.blobs]


def test_a_track_drops_what_only_longer_windows_of_others_still_see():
    plan = plan_of(
        features={
            "short": {"aggregate": "count", "where": {"action": "like"}, "windows": ["10m"]},
            "long": {"aggregate": "count", "where": {"action": "view"}, "windows": ["1d"]},
        }
    )
    records = record_of(plan, [event(T0, action="like"), event(T0, action="view"), event(T0 + H)])
    assert records.size == record_of(plan, [event(T0, action="view"), event(T0 + H)]).size


@pytest.mark.parametrize(("window", "left"), [("1h", 0), ("lifetime", 1)])
def test_an_event_that_left_every_window_is_kept_for_a_lifetime_only(window, left):
    plan = plan_of(features={"f": {"aggregate": "count", "windows": [window, "10m"]}})
    records = apply(plan, record_of(plan, [event(T0)]), batch(plan, [event(T0 + 30 * D)]))
    assert (records.size > record_of(plan, [event(T0 + 30 * D)]).size) == left
    assert value_of(plan, records, f"f_count_{window}", T0 + 30 * D) == 1 + left


def test_a_count_beyond_one_byte_survives_being_stored():
    plan = counted()
    for events in (254, 255, 256, 70_000):
        records = record_of(plan, [event(T0) for _ in range(events)])
        assert value_of(plan, records, "f_count_1h", T0) == events


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("sum", 5.0),
        ("mean", 1.25),
        ("min", -2.5),
        ("max", 4.0),
        ("variance", 5.5625),
        ("stddev", 5.5625**0.5),
    ],
)
def test_nulls_take_no_part_in_what_is_made_of_a_field(aggregate, expected):
    plan = counted(aggregate=[aggregate], of="value")
    values = [None, 1.5, -2.5, None, 2.0, 4.0]
    records = record_of(plan, [event(T0 + i * M, value=v) for i, v in enumerate(values)])
    assert value_of(plan, records, f"f_{aggregate}_1h", T0 + 10 * M) == pytest.approx(expected, rel=2**-23)


@pytest.mark.parametrize("aggregate", ["sum", "mean", "min", "max"])
def test_values_are_added_at_full_precision_at_every_prefix(aggregate):
    """Event by event, through bytes each time, against numpy over all events so far."""
    rng = np.random.default_rng(5)
    plan = counted(aggregate=[aggregate], of="value", windows=["lifetime"])
    values = rng.normal(size=60) * 10.0 ** rng.integers(-3, 4, 60)
    reference = {"sum": np.sum, "mean": np.mean, "min": np.min, "max": np.max}[aggregate]
    records = Records.empty(plan, 1)
    for n, value in enumerate(values, 1):
        records = apply(plan, records, batch(plan, [event(T0 + n * H, value=float(value))]))
        found = value_of(plan, records, f"f_{aggregate}_lifetime", T0 + n * H)
        assert found == pytest.approx(reference(values[:n]), rel=1e-6)


@pytest.mark.parametrize("aggregate", ["variance", "stddev", "skew", "kurtosis"])
def test_moments_equal_numpy_at_every_prefix(aggregate):
    rng = np.random.default_rng(6)
    plan = counted(aggregate=[aggregate], of="value", windows=["lifetime"])
    values = 1000 + rng.gamma(2.0, size=60)
    records = Records.empty(plan, 1)
    for n, value in enumerate(values, 1):
        records = apply(plan, records, batch(plan, [event(T0 + n * H, value=float(value))]))
        d = values[:n] - values[:n].mean()
        m2 = (d**2).mean()
        expected = {
            "variance": m2,
            "stddev": m2**0.5,
            "skew": (d**3).mean() / m2**1.5 if n > 1 else 0.0,
            "kurtosis": (d**4).mean() / m2**2 - 3 if n > 1 else 0.0,
        }[aggregate]
        found = value_of(plan, records, f"f_{aggregate}_lifetime", T0 + n * H)
        assert found == pytest.approx(expected, rel=1.1e-6, abs=1e-9)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6 / 7, -1e-9])
@pytest.mark.parametrize("times", [1, 3, 7, 10, 1000])
def test_equal_values_do_not_vary(value, times):
    aggregates = ["variance", "stddev", "skew", "kurtosis"]
    plan = counted(aggregate=aggregates, of="value")
    records = record_of(plan, [event(T0 + i * S, value=value) for i in range(times)])
    found = {a: value_of(plan, records, f"f_{a}_1h", T0 + times * S) for a in aggregates}
    assert found == dict.fromkeys(aggregates, 0.0)


@pytest.mark.parametrize("aggregate", ["sum", "mean", "decayed_sum"])
def test_values_too_large_to_add_come_to_infinity_and_leave_the_record_readable(aggregate):
    over = {"half_life": "1h"} if aggregate == "decayed_sum" else {"windows": ["1h"]}
    plan = plan_of(features={"f": {"aggregate": [aggregate], "of": "value", **over}})
    records = record_of(plan, [event(T0, value=1.7e308), event(T0, value=1.6e308)])
    assert value_of(plan, records, f"f_{aggregate}_1h", T0) == np.inf


def test_squares_too_large_for_floats_leave_the_record_readable():
    plan = counted(aggregate=["variance", "kurtosis"], of="value")
    records = record_of(plan, [event(T0, value=1e300), event(T0, value=-1e300)])
    assert not np.isfinite(value_of(plan, records, "f_variance_1h", T0))
    assert not np.isfinite(value_of(plan, records, "f_kurtosis_1h", T0))
    later = apply(plan, records, batch(plan, [event(T0 + 2 * H, value=1.0)]))
    assert value_of(plan, later, "f_variance_1h", T0 + 2 * H) == 0


def test_a_shorter_window_of_wider_tiles_may_begin_before_a_longer_one():
    features = {
        "both": {"aggregate": ["count", "max"], "of": "value", "windows": ["1d", "25h"]},
        "alone": {"aggregate": "sum", "of": "value", "windows": ["1d"]},
    }
    plan = plan_of(features=features, tiles={"1d": "12h", "25h": "1h"})
    records = fold_all(plan, [[event(T0 - 20 * H, value=5.0)], [event(T0 + 12 * H - 3 * M, value=1.0)]])
    found = {o.name: value_of(plan, records, o.name, T0 + 12 * H - M) for o in plan.scalars}
    expected = {"both_count_1d": 2, "both_count_25h": 1, "both_max_1d": 5, "both_max_25h": 1, "alone_sum_1d": 6}
    assert found == expected
