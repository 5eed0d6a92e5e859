"""Approximate quantiles: exact while tiles hold values, within the stated rank error when they hold sketches."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest

from tests.packed import Records, apply, features, merge
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of

SHARES = [0, 0.1, 0.25, 0.28, 0.5, 0.9, 1]


def plan_with(of="value", windows=("1h",), lateness="1h", quantiles=SHARES, **feature):
    made = {"aggregate": "approx_quantiles", "of": of, "quantiles": quantiles, "windows": list(windows), **feature}
    return plan_of(features={"f": made}, allowed_lateness=lateness)


def quantiles(plan, records, at_us, window="1h", user=0):
    return features(plan, records, at_us).arrays[f"f_approx_quantiles_{window}"][user].tolist()


def exactly(values):
    """Return the least value that at least a share of them do not exceed, with ranks in whole fractions."""
    ranks = [max(math.ceil(Fraction(str(share)) * len(values)), 1) for share in SHARES]
    with np.errstate(over="ignore"):
        return [float(np.float32(sorted(values)[rank - 1])) for rank in ranks]


CASES = {
    "one": [3.5],
    "two": [2.0, 1.0],
    "ties": [1.0, 2.0, 2.0, 2.0, 3.0],
    "zero and its negative": [0.0, -0.0, 1.0],
    "nulls are left out": [None, 1.0, None, 2.0],
    "huge and tiny": [1e300, -1e300, 5e-324, -5e-324, 0.1],
    "whose ranks are whole numbers": [float(n) for n in range(25)],
    "a hundred": [float(n * 37 % 100) for n in range(100)],
}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES.keys())
def test_few_values_have_exact_quantiles(values):
    plan = plan_with()
    records = record_of(plan, [event(T0 + n * S, value=value) for n, value in enumerate(values)])
    assert quantiles(plan, records, T0 + 5 * M) == exactly([v for v in values if v is not None])


def test_over_nothing_there_is_no_value_unless_a_default_is_given():
    for plan in (plan_with(), plan_with(default=-1.0)):
        empty = quantiles(plan, Records.empty(plan, 1), T0)
        assert empty == pytest.approx([-1.0 if plan.arrays[0].empty == -1 else math.nan] * 7, nan_ok=True)
        left = quantiles(plan, record_of(plan, [event(T0, value=1.0)]), T0 + D)
        assert left == pytest.approx(empty, nan_ok=True)


def test_whole_numbers_are_numbers():
    plan = plan_with("amount")
    values = [2**53 - 1, -5, 0, 7]
    records = record_of(plan, [event(T0, amount=value) for value in values])
    assert quantiles(plan, records, T0) == exactly(values)


def test_a_window_takes_in_the_whole_tile_at_its_old_edge_and_nothing_before():
    plan = plan_with(windows=("1h", "1d", "lifetime"), lateness="2d", quantiles=[0, 1])
    events = [event(T0 - 1, value=1.0), event(T0, value=2.0), event(T0 + 59 * S, value=9.0), event(T0 + H, value=3.0)]
    records = record_of(plan, events)
    assert [quantiles(plan, records, T0 + H, w) for w in ("1h", "1d", "lifetime")] == [[2, 9], [1, 9], [1, 9]]
    assert quantiles(plan, records, T0 + H + M - 1) == [2, 9]
    assert quantiles(plan, records, T0 + H + M) == [3, 3]
    assert quantiles(plan, records, T0 + H - 1) == [1, 9]


@pytest.mark.parametrize("seed", range(6))
def test_many_values_in_any_order_batching_and_merging_keep_to_the_rank_error(seed):
    """Ranks may be off by 2.5 times the stated error, which holds for 99 of 100: one failure in some million values."""
    rng = random.Random(seed)
    error = rng.choice([0.1, 0.05, 0.02])
    plan = plan_with(windows=("10m", "1h", "lifetime"), lateness="9d", error=error)
    most = plan.klls[0].k
    events = [
        event(T0 + 3 * H - int(3 * H * rng.random() ** 4), value=rng.choice([rng.gauss(0, 1), float(rng.randrange(5))]))
        for _ in range(40 * most)
    ]
    rng.shuffle(events)
    cuts = [0, *sorted(rng.sample(range(1, len(events)), 9)), len(events)]
    parts = [events[a:b] for a, b in itertools.pairwise(cuts)]
    folded = fold_all(plan, parts)
    merged = Records.empty(plan, 1)
    for part in rng.sample(parts, len(parts)):
        merged = merge(plan, record_of(plan, part), merged)
    at_us = T0 + 3 * H
    for window, since_us in (("10m", at_us - 10 * M), ("1h", at_us - H), ("lifetime", 0)):
        values = sorted(float(np.float32(e["value"])) for e in events if e["event_time"] >= since_us)
        for records in (folded, merged):
            found = quantiles(plan, records, at_us, window)
            assert (found[0], found[-1]) == (np.float32(values[0]), np.float32(values[-1]))
            for share, value in zip(SHARES[1:-1], found[1:-1], strict=True):
                below, at_most = np.searchsorted(values, value), np.searchsorted(values, value, side="right")
                slack = 2.5 * plan.arrays[0].error * len(values)
                assert below - slack <= share * len(values) <= at_most + slack, (window, share)


def test_users_and_tracks_side_by_side_do_not_mix():
    shared = {"aggregate": "approx_quantiles", "quantiles": [0.5], "windows": "1h", "of": "value"}
    plan = plan_of(
        features={
            "views": {**shared, "where": {"action": "view"}},
            "likes": {**shared, "where": {"action": "like"}},
            "rough": {**shared, "error": 0.1},
        }
    )
    events = [
        event(T0, f"u{user}", value=1000.0 * user + n, action="like" if n >= values // 2 else "view")
        for user, values in enumerate((4, 600, 40))
        for n in range(values)
    ]
    records = record_of(plan, events)
    arrays = features(plan, records, T0 + M).arrays
    for user, values in enumerate((4, 600, 40)):
        for name, middle in (("views", values / 4), ("likes", values * 3 / 4), ("rough", values / 2)):
            found = arrays[f"{name}_approx_quantiles_1h"][user, 0] - 1000 * user
            assert found == pytest.approx(middle, abs=1 + 0.25 * values if name == "rough" else 1 + 0.05 * values)


def test_what_no_window_sees_is_dropped():
    plan = plan_with(windows=("1h",), quantiles=[0.5])
    records = record_of(plan, [event(T0 + n, value=1.0) for n in range(1000)])
    later = apply(plan, records, batch(plan, [event(T0 + 2 * H, value=2.0)]))
    assert later.size == pytest.approx(record_of(plan, [event(T0 + 2 * H, value=2.0)]).size, abs=1)
    assert quantiles(plan, later, T0 + 2 * H) == [2.0]


def test_single_precision_is_used_where_it_loses_nothing():
    plan = plan_with(quantiles=[0.5])
    events = [event(T0 + n * M, value=n / 4) for n in range(40)]
    half, full = record_of(plan, events), record_of(plan, [*events, event(T0, value=0.1)])
    assert full.size - half.size == pytest.approx(41 * 8 - 40 * 4, abs=2)
    assert quantiles(plan, half, T0 + 40 * M) == [4.75]
