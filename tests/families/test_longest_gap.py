"""Longest gaps: what lies between which events, and how late events make two gaps of one."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_every_aggregation import CASES, feature_of
from tests.folded import FoldedRecord, folded_of
from tests.packed import VERSION
from tests.random_worlds import QUICK, World, reading_times, worlds
from tests.trying import T0, D, H, M, S, event, plan_of, row, spec_of
from user_state import oracle
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.state.records import PackedRecords

GAP = {"aggregate": "longest_gap", "windows": ["10m", "1h", "1d", "lifetime"]}
HOUR = "f_longest_gap_1h"


def gap_plan(lateness: str = "1h", **keys: Any) -> Plan:
    return plan_of(features={"f": {**GAP, **keys}}, allowed_lateness=lateness, max_clock_skew="1m")


def gap_of(*offsets_us: int, at_us: int = T0 + H - M, name: str = HOUR, **keys: Any) -> float:
    """Return the longest gap of events at T0 and so much later, in one batch."""
    return folded_of(gap_plan(**keys), [[event(T0 + offset_us) for offset_us in offsets_us]]).value(name, at_us)


@pytest.mark.parametrize("offsets_us", [(), (0,)])
def test_of_fewer_than_two_events_it_is_the_default(offsets_us: tuple[int, ...]) -> None:
    other = event(T0, action="skip")
    for default, expected in (({}, math.nan), ({"default": 0}, 0.0), ({"default": -1}, -1.0)):
        plan = gap_plan(where={"action": "view"}, **default)
        record = folded_of(plan, [[other, *(event(T0 + offset) for offset in offsets_us)]])
        np.testing.assert_equal(record.value(HOUR, T0 + M), expected)


def test_it_is_the_longest_time_between_two_that_follow_each_other_in_seconds() -> None:
    assert gap_of(0, 2 * M, 9 * M, 10 * M) == 420
    assert gap_of(0, 1) == pytest.approx(1e-6)


def test_events_at_one_time_are_a_gap_of_zero_apart() -> None:
    assert gap_of(0, 0) == 0
    assert gap_of(0, 0, 0, 5 * S) == 5


def test_the_time_since_the_last_event_is_no_gap() -> None:
    """That is what `recency` is for: a gap has an event at either end."""
    assert gap_of(0, M, at_us=T0 + 40 * M) == 60
    assert math.isnan(gap_of(0, at_us=T0 + 40 * M))


def test_a_gap_counts_from_the_first_event_in_the_window() -> None:
    """Tiles of an hour are a minute wide: at T0 + 1h + 1m the window begins with the event a minute after T0."""
    record = folded_of(gap_plan(), [[event(T0 + at) for at in (M - 1, M, 31 * M, 40 * M)]])
    assert [record.value(HOUR, T0 + H + M - 1 + late) for late in (0, 1)] == [1800, 1800]
    assert record.value(HOUR, T0 + H + 2 * M) == 540
    record = folded_of(gap_plan(), [[event(T0 + at) for at in (M - 1, 31 * M, 40 * M)]])
    assert [record.value(HOUR, T0 + H + M - 1 + late) for late in (0, 1)] == [pytest.approx(1800), 540]


def test_a_late_event_makes_two_gaps_of_one() -> None:
    record = FoldedRecord(gap_plan())
    rows = [row(record.plan, event(T0 + at), T0 + 50 * M) for at in (0, 50 * M, 20 * M, 45 * M, 10 * M, 33 * M)]
    found = []
    for one in rows:
        record.arrive([one])
        found.append(record.value("f_longest_gap_1d", T0 + 50 * M))
    np.testing.assert_equal(found, [math.nan, 3000, 1800, 1500, 1500, 780])


@pytest.mark.parametrize(("before_us", "outcome", "gap_s"), [(0, "applied", 1800), (1, "too_late", 3600)])
def test_an_event_exactly_as_late_as_is_allowed_splits_a_gap_and_none_that_is_later(
    before_us: int, outcome: str, gap_s: float
) -> None:
    """The clock is an hour after the middle of the gap: the times on both sides of it are still known apart."""
    record = FoldedRecord(gap_plan())
    for at_us in (T0, T0 + H, T0 + 90 * M):
        record.arrive([row(record.plan, event(at_us))])
    late = row(record.plan, event(T0 + 30 * M - before_us), T0 + 60 * M)
    assert record.arrive([late]) == [outcome]
    assert record.value("f_longest_gap_1d", T0 + 90 * M) == gap_s


def test_gaps_that_no_event_can_split_any_more_live_in_tiles_and_roll_up_with_them() -> None:
    """Two events an hour for ten days: what is older than the lateness takes a tile and no times."""
    plan = gap_plan(windows=["1h", "1d", "7d", "lifetime"])
    record, sizes = FoldedRecord(plan), []
    for hour in range(240):
        record.arrive([row(plan, event(T0 + hour * H + at)) for at in (0, 7 * M)])
        sizes.append(len(record.blob or b""))
    assert sizes[-1] == max(sizes[200:]) == min(sizes[200:]) or max(sizes[200:]) - min(sizes[200:]) < 100
    now = T0 + 239 * H + 8 * M
    assert record.values(now) == {
        f"f_longest_gap_{w}": (420 if w == "1h" else 3180) for w in ("1h", "1d", "7d", "lifetime")
    }


@pytest.mark.slow
def test_a_cap_on_remembered_ids_bounds_the_times_that_are_kept_apart() -> None:
    """A flood of events at different times: the horizon moves up, and what is before it is closed."""
    plan = plan_of(features={"f": GAP}, allowed_lateness="1d", seen_ids_cap=100)
    record, rng = FoldedRecord(plan), random.Random(3)
    times = sorted(rng.randrange(20 * H) for _ in range(3000))
    for begin in range(0, len(times), 50):
        record.arrive([row(plan, event(T0 + at)) for at in times[begin : begin + 50]])
    assert len(record.blob or b"") < 8 * (100 + 50) + 28 * sum(plan.gap_axes.most_tiles)
    expected = max(later - earlier for earlier, later in itertools.pairwise(times)) / 1e6
    assert record.value("f_longest_gap_1d", T0 + 20 * H) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_in_every_case_brute_force_says_the_same(case: str) -> None:
    loaded = spec_of(features={"f": feature_of("longest_gap"), "all": {"aggregate": "count", "windows": "1h"}})
    plan = compile_plan(loaded)
    made = [event(at["time_us"], **{k: v for k, v in at.items() if k != "time_us"}) for at in CASES[case]]
    record, decoder = FoldedRecord(plan), EventDecoder(plan, loaded.schema)
    for one in made:
        record.arrive([decoder.row(one, None)])
    applied = oracle.replay(loaded.spec, [oracle.Arrival(one) for one in made]).applied["u"]
    clock_us = max(one.published_us for one in applied)
    leaving = {one["event_time"] + reach + after for one in made for reach in (H, H + M) for after in (-1, 0, 1)}
    for at_us in {*reading_times(loaded, clock_us, clock_us), *(time for time in leaving if time >= clock_us)}:
        assert_same(record, oracle.features(loaded.spec, applied, at_us).scalars, at_us)


@pytest.mark.slow
@given(worlds(most=30, only="longest_gap"), st.lists(st.integers(0, 30), max_size=5))
@settings(QUICK, max_examples=80)
def test_any_stream_in_any_batches_comes_to_what_brute_force_says(world: World, cuts: list[int]) -> None:
    plan, spec = compile_plan(world.spec), world.spec.spec
    decoder = EventDecoder(plan, world.spec.schema)
    users: dict[str, FoldedRecord] = {}
    edges = [0, *sorted(min(cut, len(world.arrivals)) for cut in cuts), len(world.arrivals)]
    for begin, end in itertools.pairwise(edges):
        rows: dict[str, list[Any]] = {}
        for arrival in world.arrivals[begin:end]:
            if oracle.replay(spec, [arrival]).bins != ["ignored"]:
                one = decoder.row(arrival.event, arrival.published_us)
                rows.setdefault(one[0], []).append(one)
        for user, of_user in rows.items():
            users.setdefault(user, FoldedRecord(plan)).arrive(of_user)
    for user, applied in oracle.replay(spec, world.arrivals).applied.items():
        clock_us, newest_us = max(e.published_us for e in applied), max(e.time_us for e in applied)
        for at_us in reading_times(world.spec, clock_us, newest_us):
            assert_same(users[user], oracle.features(spec, applied, at_us).scalars, at_us)


@pytest.mark.slow
@given(st.randoms(use_true_random=False), st.integers(2, 60), st.sampled_from(["10m", "1h", "1d"]))
@settings(QUICK, max_examples=60)
def test_no_order_and_no_batching_of_the_same_events_changes_a_byte(rng: random.Random, count: int, late: str) -> None:
    """As long as admission would let them in: all are within the lateness of each other's clocks."""
    plan = gap_plan(late)
    reach_us = {"10m": 10 * M, "1h": H, "1d": D}[late]
    newest = event(T0 + reach_us, event_id="newest")
    made = [newest] + [event(T0 + rng.randrange(reach_us), event_id=f"{n}") for n in range(count)]
    blobs = set()
    for _ in range(3):
        rng.shuffle(made)
        record, at = FoldedRecord(plan), 0
        while at < len(made):
            size = rng.randrange(1, 9)
            record.arrive([row(plan, one) for one in made[at : at + size]])
            at += size
        blobs.add(record.blob)
    assert len(blobs) == 1


def merged(plan: Plan, of_a: list[int], of_b: list[int]) -> FoldedRecord:
    """Return the record that two records of events at these times are merged to, each folded event by event."""
    parts = []
    for times in (of_a, of_b):
        part = FoldedRecord(plan)
        for time_us in sorted(times):
            part.arrive([row(plan, event(time_us))])
        parts.append(part)
    record = FoldedRecord(plan)
    (record.blob,), wrong = PackedRecords(plan).merge([parts[0].blob], [parts[1].blob], [VERSION])
    assert wrong == {}
    return record


def longest_s(times: list[int]) -> float:
    return max(later - earlier for earlier, later in itertools.pairwise(sorted(times))) / 1e6


@pytest.mark.slow
def test_records_of_events_one_after_the_other_merge_exactly() -> None:
    rng = random.Random(1)
    times = sorted(T0 + rng.randrange(6 * D) for _ in range(300))
    for cut in (1, 150, 299):
        for halves in ((times[:cut], times[cut:]), (times[cut:], times[:cut])):
            record = merged(gap_plan(windows=["lifetime", "7d"]), *halves)
            for window in ("lifetime", "7d"):
                assert record.value(f"f_longest_gap_{window}", times[-1]) == pytest.approx(longest_s(times), rel=1e-6)


def test_records_of_events_that_alternate_merge_exactly_while_none_is_too_old_to_be_split() -> None:
    rng = random.Random(2)
    times = [T0 + rng.randrange(D) for _ in range(100)]
    record = merged(gap_plan("1d"), times[::2], times[1::2])
    assert record.value("f_longest_gap_1d", max(times)) == pytest.approx(longest_s(times), rel=1e-6)


def test_records_whose_old_events_alternate_merge_to_a_gap_that_is_never_too_short() -> None:
    """Which of one's gaps the other's events lie in is not known any more: the longest of either stands."""
    rng, too_long = random.Random(3), 0
    for _ in range(20):
        times = [T0 + rng.randrange(6 * D) for _ in range(rng.randrange(2, 40))]
        halves = times[::2], times[1::2]
        found = merged(gap_plan(windows=["lifetime"]), *halves).value("f_longest_gap_lifetime", max(times))
        assert found >= longest_s(times) * (1 - 1e-6)
        too_long += found > longest_s(times) * (1 + 1e-6)
    assert too_long > 0


def assert_same(record: FoldedRecord, expected: dict[str, float], at_us: int) -> None:
    found = record.values(at_us)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], np.float32(value), rtol=1e-6, err_msg=f"{name} at {at_us}")
