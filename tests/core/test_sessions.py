"""Sessions by inactivity gap: where they part, what joins them, when they leave, and what is kept of old ones."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from tests.packed import Records, apply, merge
from tests.trying import (
    T0,
    D,
    H,
    M,
    S,
    batch,
    event,
    fold_all,
    plan_of,
    record_of,
    same_record,
    spec_of,
    value_of,
)
from user_state import oracle

ALL = [
    "session_count",
    "session_length_mean",
    "session_events_mean",
    "current_session_length",
    "current_session_events",
]


def parts_with(gap="10m", windows=("1h",), lateness="1h", **feature):
    made = {"aggregate": ALL, "gap": gap, "windows": list(windows), **feature}
    return {"features": {"f": made}, "allowed_lateness": lateness}


def plan_with(**wanted):
    return plan_of(**parts_with(**wanted))


def said(plan, records, at_us, window="1h"):
    return [value_of(plan, records, f"f_{aggregate}_{window}", at_us) for aggregate in ALL]


NAN = math.nan
CASES = {
    # times of events; reading time; count, mean length, mean events, current length, current events
    "nothing": ([], T0, [0, NAN, NAN, 0, 0]),
    "one event": ([T0], T0, [1, 0, 1, 0, 1]),
    "exactly the gap apart": ([T0, T0 + 10 * M], T0 + 10 * M, [1, 600, 2, 600, 2]),
    "a microsecond more than the gap": ([T0, T0 + 10 * M + 1], T0 + 11 * M, [2, 0, 1, 0, 1]),
    "a chain longer than the gap": ([T0 + n * 9 * M for n in range(5)], T0 + 36 * M, [1, 2160, 5, 2160, 5]),
    "at one moment": ([T0] * 3, T0, [1, 0, 3, 0, 3]),
    "to the microsecond": ([T0, T0 + 1], T0 + 1, [1, 1e-6, 2, 1e-6, 2]),
    "ended a gap ago": ([T0, T0 + M], T0 + 11 * M, [1, 60, 2, 60, 2]),
    "ended a microsecond more than a gap ago": ([T0, T0 + M], T0 + 11 * M + 1, [1, 60, 2, 0, 0]),
    "ahead of the reading": ([T0 + M], T0 + 1, [1, 0, 1, 0, 1]),
    "two, the newer one current": ([T0, T0 + M, T0 + 20 * M], T0 + 21 * M, [2, 30, 1.5, 0, 1]),
    "last event in the window's first microsecond": ([T0 - 5 * M, T0], T0 + H, [1, 300, 2, 0, 0]),
    "last event a microsecond before the window": ([T0 - 5 * M, T0 - 1], T0 + H, [0, NAN, NAN, 0, 0]),
}


@pytest.mark.parametrize(("times_us", "at_us", "expected"), CASES.values(), ids=CASES.keys())
def test_sessions_of_a_window(times_us, at_us, expected):
    plan = plan_with()
    records = record_of(plan, map(event, times_us)) if times_us else Records.empty(plan, 1)
    assert said(plan, records, at_us) == pytest.approx(expected, rel=2**-23, nan_ok=True)


def test_a_gap_longer_than_the_window_makes_no_session_current_that_the_window_does_not_hold():
    plan = plan_with(gap="2h")
    records = record_of(plan, [event(T0)])
    assert said(plan, records, T0 + H) == [1, 0, 1, 0, 1]
    assert said(plan, records, T0 + 61 * M) == pytest.approx([0, NAN, NAN, 0, 0], nan_ok=True)


def test_a_default_stands_for_every_number_of_no_session():
    plan = plan_with(default=-1.0)
    assert said(plan, Records.empty(plan, 1), T0) == [-1.0] * 5
    assert said(plan, record_of(plan, [event(T0)]), T0 + 30 * M) == [1, 0, 1, -1, -1]


def ever(plan, records, at_us):
    """Return how many sessions there were, and what they come to: seconds and events."""
    count, length_s, events, *_ = said(plan, records, at_us, "lifetime")
    return count, pytest.approx(count * length_s, rel=1e-6), pytest.approx(count * events, rel=1e-6)


def test_a_late_event_joins_two_sessions_and_one_that_is_too_far_from_both_is_its_own():
    plan = plan_with(windows=("lifetime",))
    apart = [[event(T0), event(T0 + 20 * M)], [event(T0 + 40 * M + 1)]]
    records, at_us = fold_all(plan, apart), T0 + 41 * M
    assert ever(plan, records, at_us) == (3, 0, 3)
    joined = apply(plan, records, batch(plan, [event(T0 + 10 * M)]))
    assert ever(plan, joined, at_us) == (2, 1200, 4)
    alone = apply(plan, records, batch(plan, [event(T0 + 30 * M + 1)]))
    assert ever(plan, alone, at_us) == (3, 600, 4)


def test_a_merge_joins_sessions_that_reach_into_one_another():
    plan = plan_with(gap="1m", windows=("lifetime",))
    long = record_of(plan, [event(T0 + n * M) for n in range(11)])
    inside = record_of(plan, [event(T0 + 3 * M + 30 * S), event(T0 + 11 * M)])
    beyond = record_of(plan, [event(T0 + 12 * M + 1)])
    for parts in itertools.permutations((long, inside, beyond)):
        merged = merge(plan, merge(plan, parts[0], parts[1]), parts[2])
        assert ever(plan, merged, T0 + 13 * M) == (2, 660, 14)


def test_only_events_that_pass_the_filter_are_in_sessions_and_gaps_are_kept_apart():
    shared = {"aggregate": "session_count", "windows": "1h"}
    plan = plan_of(
        features={
            "a": {**shared, "gap": "1m", "where": {"action": "view"}},
            "b": {**shared, "gap": "10m", "where": {"action": "view"}},
            "c": {**shared, "gap": "600s", "where": {"action": "like"}},
        }
    )
    assert len(plan.sessions) == 3
    records = record_of(plan, [event(T0), event(T0 + 2 * M), event(T0 + 3 * M, action="like")])
    assert [value_of(plan, records, f"{name}_session_count_1h", T0 + 3 * M) for name in "abc"] == [2, 1, 1]


def test_features_of_one_filter_and_gap_share_their_sessions():
    shared = {"windows": "1h", "gap": "10m"}
    plan = plan_of(
        features={
            "a": {**shared, "aggregate": ["session_count", "current_session_events"]},
            "b": {**shared, "aggregate": "session_length_mean", "gap": "600s", "windows": ["1d", "lifetime"]},
        }
    )
    assert len(plan.sessions) == 1
    assert (plan.sessions[0].horizon.text, plan.sessions[0].lifetime) == ("1d", True)


@pytest.mark.parametrize(("lateness", "kept_us"), [("10m", 62 * M), ("1h", 70 * M)])
def test_a_session_is_kept_until_neither_a_window_nor_a_late_event_can_reach_it(lateness, kept_us):
    """An hour's window is read a skew of a minute back; a late event reaches the lateness and the gap back."""
    plan = plan_with(lateness=lateness)
    records = record_of(plan, [event(T0)])
    at_the_edge = apply(plan, records, batch(plan, [event(T0 + kept_us - M)]))
    assert at_the_edge.size > records.size
    beyond = apply(plan, records, batch(plan, [event(T0 + kept_us + S)]))
    assert beyond.size == records.size


def test_old_sessions_are_summed_up_for_a_lifetime():
    plan = plan_with(windows=("1h", "lifetime"))
    events = [event(T0 + day * D + n * M) for day in range(50) for n in range(3)]
    records = fold_all(plan, [events[n : n + 7] for n in range(0, len(events), 7)])
    assert said(plan, records, T0 + 49 * D + 2 * M, "lifetime") == [50, 120, 3, 120, 3]
    assert said(plan, records, T0 + 49 * D + 2 * M) == [1, 120, 3, 120, 3]
    assert said(plan, records, T0 + 99 * D, "lifetime") == [50, 120, 3, 0, 0]


def test_a_records_size_does_not_depend_on_how_long_a_user_has_been_there():
    plan = plan_with(windows=("1h", "1d"))
    sizes = []
    records = Records.empty(plan, 1)
    for day in range(40):
        records = apply(plan, records, batch(plan, [event(T0 + day * D + n * H) for n in range(12)]))
        sizes.append(records.size)
    assert max(sizes[2:]) <= max(sizes[:2]) + 2  # of the number of events


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_what_is_not_too_late_makes_the_same_sessions_as_brute_force(seed):
    rng = random.Random(seed)
    parts = parts_with(gap=rng.choice(["1s", "1m", "10m"]), lateness="1h")
    plan, spec = plan_of(**parts), spec_of(**parts).spec
    users = [f"u{n}" for n in range(4)]
    made = [event(T0 + rng.randrange(H), rng.choice(users)) for _ in range(200)]
    once = record_of(plan, sorted(made, key=lambda e: users.index(e["user_id"])))
    rng.shuffle(made)
    records = record_of(plan, [event(T0, user) for user in users])  # one of each, so that users line up
    once = merge(plan, once, records)
    for begin in range(0, 200, 30):
        some = made[begin : begin + 30]
        assert {e["user_id"] for e in some} == set(users)
        folded = batch(plan, sorted(some, key=lambda e: users.index(e["user_id"])))
        records = apply(plan, records, folded)
    same_record(plan, once, records)
    for index, user in enumerate(users):
        times = [e["event_time"] for e in made if e["user_id"] == user] + [T0]
        applied = [oracle.AppliedEvent(t, n, t, {"action": "view"}) for n, t in enumerate(times)]
        expected = oracle.features(spec, applied, T0 + H).scalars
        for name, value in expected.items():
            assert value_of(plan, records, name, T0 + H, index) == pytest.approx(value, nan_ok=True)


def test_a_session_costs_eleven_bytes():
    plan = plan_with(windows=("1d",))
    sizes = []
    for sessions in (1, 2, 41):
        records = record_of(plan, [event(T0 + n * 11 * M) for n in range(sessions)])
        sizes.append(records.size)
    assert np.diff(sizes).tolist() == pytest.approx([11, 39 * 11], abs=2)
