"""Approximate distinct counts: exact while small, within the stated error after, whatever the order of arrival."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from tests.packed import Records, apply, merge, packed
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of, value_of
from user_state.native import ReadingProgram
from user_state.plan.hll import most_coupons
from user_state.plan.reading_program import compile_program


def plan_with(of="item_id", windows=("1h",), lateness="1h", **feature):
    made = {"aggregate": "approx_distinct", "of": of, "windows": list(windows), **feature}
    return plan_of(features={"f": made}, allowed_lateness=lateness)


def count(plan, records, at_us, window="1h", user=0):
    return value_of(plan, records, f"f_approx_distinct_{window}", at_us, user)


CASES = {
    "nothing": ("item_id", [], 0),
    "one": ("item_id", ["a"], 1),
    "one often": ("item_id", ["a"] * 50, 1),
    "nulls are left out": ("item_id", [None, "a", None], 1),
    "only nulls": ("item_id", [None], 0),
    "an empty text is a value": ("item_id", ["", "\0", "a", ""], 3),
    "texts beyond ASCII": ("item_id", ["\u6f22", "\U0001f389", "e", "\u00e9"], 4),
    "whole numbers": ("amount", [0, 1, -1, 2**63 - 1, -(2**63) + 1, 0], 5),
    "fractions": ("value", [0.0, -0.0, 1e300, -1e300, 5e-324, 0.1], 5),
    "booleans": ("bought", [True, False, True, None], 2),
    "times": ("event_time", [T0, T0 + 1, T0 + 1], 2),
}


@pytest.mark.parametrize(("of", "values", "expected"), CASES.values(), ids=CASES.keys())
def test_few_values_are_counted_exactly(of, values, expected):
    plan = plan_with(of)
    events = [event(value) if of == "event_time" else event(**{of: value}) for value in values]
    records = record_of(plan, events) if events else Records.empty(plan, 1)
    assert count(plan, records, T0 + M) == expected


def test_a_default_stands_for_nothing():
    plan = plan_with(default=-1.0)
    assert count(plan, Records.empty(plan, 1), T0) == -1
    assert count(plan, record_of(plan, [event(T0, item_id="a")]), T0) == 1


def test_a_window_takes_in_the_whole_tile_at_its_old_edge_and_nothing_before():
    plan = plan_with(windows=("1h", "1d", "lifetime"), lateness="2d")
    events = [event(T0 - 1, item_id="before"), event(T0, item_id="first"), event(T0 + 59 * S, item_id="same tile")]
    records = record_of(plan, [*events, event(T0 + 30 * M, item_id="first")])
    at_us = T0 + H
    assert [count(plan, records, at_us, w) for w in ("1h", "1d", "lifetime")] == [2, 3, 3]
    assert count(plan, records, at_us + M - 1) == 2
    assert count(plan, records, at_us + M) == 1
    assert count(plan, records, at_us - 1) == 3


@pytest.mark.parametrize("values", [1, 255, 256, 257, 3000])
@pytest.mark.parametrize("spread_s", [1, 3000])
def test_any_number_of_values_in_one_tile_or_many_is_within_the_error(values, spread_s):
    plan = plan_with(windows=("1h", "lifetime"))
    error = plan.scalars[0].error
    events = [event(T0 + n * spread_s * S // values, item_id=f"i{n}") for n in range(values)]
    records = record_of(plan, events * 2)
    for window in ("1h", "lifetime"):
        exact = values <= 256 or spread_s > 1
        bound = 1e-3 * values if exact else 5 * error * values
        assert count(plan, records, T0 + H, window) == pytest.approx(values, abs=bound)


def test_coupons_become_registers_at_the_same_number_of_values_in_any_order():
    plan = plan_with(error=0.1)
    most = most_coupons(plan.hlls[0].lg_k)
    events = [event(T0 + n, item_id=f"i{n}") for n in range(most + 1)]
    just_fits = fold_all(plan, [[e] for e in events[:most]])
    whole = fold_all(plan, [events])
    assert whole.size < just_fits.size + 4
    for order in (events, events[::-1]):
        assert fold_all(plan, [[e] for e in order]).blobs == whole.blobs


@pytest.mark.parametrize("seed", range(8))
def test_any_order_batching_and_merging_gives_the_same_state_to_the_bit(seed):
    rng = random.Random(seed)
    plan = plan_of(
        features={
            "f": {
                "aggregate": "approx_distinct",
                "of": "item_id",
                "error": rng.choice([0.1, 0.05]),
                "windows": ["10m", "1h", "lifetime"],
            },
            "g": {"aggregate": "approx_distinct", "of": "amount", "error": 0.1, "windows": ["5h"]},
        },
        allowed_lateness="9d",
    )
    events = [
        event(T0 + int(3 * H * rng.random() ** 4), item_id=f"i{rng.randrange(300)}", amount=rng.randrange(100))
        for _ in range(900)
    ]
    whole = record_of(plan, events)
    rng.shuffle(events)
    cuts = [0, *sorted(rng.sample(range(1, 900), 6)), 900]
    parts = [events[a:b] for a, b in itertools.pairwise(cuts)]
    assert fold_all(plan, parts).blobs == whole.blobs
    merged = Records.empty(plan, 1)
    for part in rng.sample(parts, len(parts)):
        merged = merge(plan, record_of(plan, part), merged)
    assert merged.blobs == whole.blobs
    assert count(plan, merged, T0 + 3 * H, "lifetime") == count(plan, whole, T0 + 3 * H, "lifetime")


def test_users_and_tracks_side_by_side_do_not_mix():
    plan = plan_of(
        features={
            "views": {"aggregate": "approx_distinct", "of": "item_id", "where": {"action": "view"}, "windows": "1h"},
            "likes": {"aggregate": "approx_distinct", "of": "item_id", "where": {"action": "like"}, "windows": "1h"},
            "rough": {"aggregate": "approx_distinct", "of": "item_id", "error": 0.1, "windows": "1h"},
        }
    )
    events = [
        event(T0, f"u{user}", item_id=f"i{n}", action="like" if n % 3 == 0 else "view")
        for user, values in enumerate((3, 900, 30))
        for n in range(values)
    ]
    records = record_of(plan, events)
    for user, values in enumerate((3, 900, 30)):
        for name, exact in (("views", values - values // 3), ("likes", values // 3), ("rough", values)):
            found = value_of(plan, records, f"{name}_approx_distinct_1h", T0 + M, user)
            assert math.isclose(found, exact, rel_tol=0.5 if name == "rough" else 0.12), (user, name)


def test_old_values_are_rolled_up_and_dropped():
    plan = plan_with(windows=("1h", "1d"), lateness="1h")
    records = Records.empty(plan, 1)
    sizes = []
    for day in range(30):
        events = [event(T0 + day * D + n * M, item_id=f"i{n % 50}") for n in range(300)]
        records = apply(plan, records, batch(plan, events))
        sizes.append(records.size)
    assert max(sizes[2:]) <= max(sizes[:2]) + 2  # of the number of events
    assert count(plan, records, T0 + 29 * D + 5 * H, "1d") == 50


def test_a_records_registers_take_half_a_byte_each():
    plan = plan_with()
    records = record_of(plan, [event(T0, item_id=f"i{n}") for n in range(5000)])
    one = record_of(plan, [event(T0, item_id="i")]).size
    assert 1024 - 20 < records.size - one < 1024 + 40
    few = record_of(plan, [event(T0 + n * M, item_id=f"i{n}") for n in range(40)])
    assert few.size - one == pytest.approx(39 * (5 + 4), abs=2)


def test_more_windows_than_two_bytes_can_count_are_counted_each():
    """A coupon and the number of its window are put together to one number: neither may spill into the other."""
    plan = plan_with(windows=("1h",))
    windows = 2**16 + 10
    hour_s, minute_s = 3600, 60
    described = compile_program(plan, whole=True).described | {"layout": plan.layout.fingerprint, "columns": windows}
    distinct = [(at, 0, (hour_s + minute_s * at, minute_s), 0.0) for at in range(windows)]
    program = ReadingProgram({**described, "distinct": distinct})
    records = record_of(plan, [event(T0, item_id="a"), event(T0 + M, item_id="b"), event(T0 + M, item_id="a")])
    # All windows hold both; an hour and a half later the shortest thirty hold none.
    for at_us, least in ((T0 + M, 2), (T0 + H + 30 * M, 0)):
        filled, wrong = program.features(packed(plan).native, records.blobs, np.array([at_us]))
        assert not wrong
        values = filled[0][0]
        assert (values[0], values[-1]) == (least, 2)
        assert (np.diff(values) >= 0).all()
