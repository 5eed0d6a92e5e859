"""Active days and streaks go by the wall clock of the spec's zone.

Every number is given by hand, and brute force must say the same.
"""

import datetime
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.messages import told
from tests.packed import apply, features
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of
from user_state.plan.local_time import LocalTime

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def clock(zone, text, fold=0):
    """Return in microseconds the moment at which a clock on a wall in the zone shows `text`."""
    wall = datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return (wall - EPOCH) // datetime.timedelta(microseconds=1)


def days(zone, *windows):
    wanted = {"aggregate": ["active_days", "streak_days"], "windows": list(windows or ("lifetime",))}
    return {"timezone": zone, "features": {"f": wanted}}


NOON, LAST = "12:00:00", "23:59:59.999999"
STREAKS = {
    "nothing": ("UTC", [], f"2022-05-05 {NOON}", (0, 0)),
    "today": ("UTC", ["2022-05-05 00:00:00"], f"2022-05-05 {LAST}", (1, 1)),
    "twice a day": ("UTC", ["2022-05-05 00:00:00", f"2022-05-05 {LAST}"], f"2022-05-05 {LAST}", (1, 1)),
    "yesterday": ("UTC", ["2022-05-04 00:00:00"], f"2022-05-05 {LAST}", (1, 1)),
    "the day before": ("UTC", [f"2022-05-03 {LAST}"], "2022-05-05 00:00:00", (1, 0)),
    "today after a gap": (
        "UTC",
        ["2022-05-02 12:00", "2022-05-03 12:00", "2022-05-05 12:00"],
        "2022-05-05 12:00",
        (3, 1),
    ),
    "a gap before": ("UTC", ["2022-05-01 12:00", "2022-05-03 12:00", "2022-05-04 12:00"], "2022-05-05 12:00", (3, 2)),
    "across a year": ("UTC", ["2021-12-31 12:00", "2022-01-01 12:00"], "2022-01-01 12:00", (2, 2)),
    "across a leap day": (
        "UTC",
        ["2024-02-28 12:00", "2024-02-29 12:00", "2024-03-01 12:00"],
        "2024-03-01 12:00",
        (3, 3),
    ),
    "a clock ahead": (
        "UTC",
        ["2022-05-04 12:00", "2022-05-05 12:00", "2022-05-06 00:00:30"],
        f"2022-05-05 {LAST}",
        (3, 2),
    ),
    "a clock ahead and nothing today": (
        "UTC",
        ["2022-05-04 12:00", "2022-05-06 00:00:30"],
        f"2022-05-05 {LAST}",
        (2, 1),
    ),
    "a clock ahead alone": ("UTC", ["2022-05-06 00:00:30"], f"2022-05-05 {LAST}", (1, 0)),
    "later today": ("UTC", ["2022-05-05 12:00:30"], "2022-05-05 12:00", (1, 1)),
    "midnight in Kolkata": ("Asia/Kolkata", [f"2022-05-04 {LAST}", "2022-05-05 00:00:00"], "2022-05-05 12:00", (2, 2)),
    "a day of 23 hours": (
        "Europe/Berlin",
        [f"2022-03-26 {LAST}", "2022-03-27 00:00:00", f"2022-03-27 {LAST}", "2022-03-28 00:00:00"],
        f"2022-03-28 {LAST}",
        (3, 3),
    ),
    "23 hours missed": ("Europe/Berlin", [f"2022-03-26 {LAST}", "2022-03-28 00:00:00"], "2022-03-28 00:00:00", (2, 1)),
    "a day of 25 hours": (
        "Europe/Berlin",
        [f"2022-10-29 {LAST}", "2022-10-30 00:00:00", f"2022-10-30 {LAST}", "2022-10-31 00:00:00"],
        f"2022-11-01 {LAST}",
        (3, 3),
    ),
    "25 hours are one day": (
        "Europe/Berlin",
        ["2022-10-30 00:00:00", f"2022-10-30 {LAST}"],
        f"2022-10-31 {LAST}",
        (1, 1),
    ),
    "the other side of the sea": (
        "America/New_York",
        ["2022-03-12 23:30", "2022-03-13 00:30", "2022-03-13 23:30", "2022-03-14 00:30"],
        "2022-03-14 23:59",
        (3, 3),
    ),
    "half an hour forward": (
        "Australia/Lord_Howe",
        [f"2022-10-01 {LAST}", "2022-10-02 02:30", f"2022-10-02 {LAST}", "2022-10-03 00:00"],
        "2022-10-03 12:00",
        (3, 3),
    ),
    "half an hour back": (
        "Australia/Lord_Howe",
        [f"2022-04-02 {LAST}", f"2022-04-03 {LAST}", "2022-04-04 00:00"],
        "2022-04-04 00:00",
        (3, 3),
    ),
    "a date that was left out": (
        "Pacific/Apia",
        [f"2011-12-28 {LAST}", f"2011-12-29 {LAST}", "2011-12-31 00:00"],
        "2011-12-31 12:00",
        (3, 3),
    ),
    "the day before was left out": ("Pacific/Apia", ["2011-12-29 00:00:00"], f"2011-12-31 {LAST}", (1, 1)),
    "a day after one left out missed": ("Pacific/Apia", [f"2011-12-29 {LAST}"], "2012-01-01 00:00:00", (1, 0)),
    "back across midnight": (
        "America/St_Johns",
        ["2010-11-07 00:00:30", "2010-11-06 23:30"],
        "2010-11-07 12:00",
        (2, 2),
    ),
}


@pytest.mark.parametrize(("zone", "times", "at", "expected"), STREAKS.values(), ids=STREAKS.keys())
def test_days_go_by_the_wall_clock_and_a_streak_lives_until_a_whole_day_passes(zone, times, at, expected):
    events = [event(clock(zone, text)) for text in times]
    assert tuple(told(days(zone), events, clock(zone, at)).values()) == expected


def test_the_hour_that_clocks_repeat_is_of_one_day():
    zone = "Europe/Berlin"
    events = [event(clock(zone, "2022-10-30 02:30", fold)) for fold in (0, 1)]
    assert events[1]["event_time"] - events[0]["event_time"] == H
    assert list(told(days(zone), events, clock(zone, "2022-10-30 12:00")).values()) == [1, 1]


def test_the_same_moments_are_other_days_in_another_zone():
    events = [event(T0 - 1), event(T0)]
    assert told(days("UTC"), events, T0)["f_active_days_lifetime"] == 2
    assert told(days("Europe/Berlin"), events, T0)["f_active_days_lifetime"] == 1


def test_a_late_event_that_fills_a_gap_joins_two_streaks():
    parts = days("Europe/Berlin")
    plan = plan_of(**parts)
    at = [clock("Europe/Berlin", f"2022-03-{day} 23:30") for day in (24, 25, 26, 28, 29, 27)]
    events = [event(time_us) for time_us in at]
    before = fold_all(plan, [[one] for one in events[:-1]])
    assert told(parts, events[:-1], at[4], before)["f_streak_days_lifetime"] == 2
    after = apply(plan, before, batch(plan, events[-1:]))
    assert told(parts, events, at[4], after)["f_streak_days_lifetime"] == 6


def test_a_day_is_in_a_window_if_its_last_event_is_and_a_streak_is_no_longer_than_its_window():
    parts = days("UTC", "1d", "3d", "30d")
    events = [event(T0 - n * D) for n in range(6)]
    assert list(told(parts, events, T0).values()) == [2, 4, 6, 2, 4, 6]
    assert list(told(parts, events, T0 + 2 * H).values()) == [1, 3, 6, 1, 3, 6]


@pytest.mark.parametrize("missed_s", [0, 1, 10, 59])
def test_a_reading_before_the_clock_sees_the_days_its_window_covers(missed_s):
    """A day's event at the old edge of a window is not dropped while a reading within the skew may want it."""
    parts = days("UTC", "3d")
    events = [event(T0 - 3 * D), event(T0 + missed_s * S + H - M)]
    assert told(parts, events, T0 + missed_s * S + H - 2 * M)["f_active_days_3d"] == 2


def test_the_latest_3660_days_are_kept():
    parts = days("UTC")
    events = [event(T0 - n * D) for n in range(3_700)]
    assert list(told(parts, events, T0).values()) == [3660, 3660]


def test_a_second_a_day_is_all_that_days_cost():
    plan = plan_of(**days("Europe/Berlin", "30d"))
    records = record_of(plan, [event(T0 - n * H) for n in range(24 * 30)])
    one_a_day = record_of(plan, [event(T0 - n * D) for n in range(33)])
    assert records.size <= one_a_day.size + 2  # of the number of events


def test_two_stored_days_that_are_one_by_todays_rules_count_once_and_become_one():
    """A zone's rules may have changed between writing and reading: days follow from seconds, so they still agree."""
    plan = plan_of(**days("UTC"))
    records = record_of(plan, [event(T0 - 10 * M), event(T0 + 10 * M)])
    changed = replace(plan, local_time=LocalTime("UTC", (), (3600,)), layout=plan.layout)
    vars(changed).pop("prepared", None)
    assert features(plan, records, T0 + 10 * M).values[0].tolist() == [2, 2]
    assert features(changed, records, T0 + 10 * M).values[0].tolist() == [1, 1]
    joined = apply(changed, records, batch(changed, [event(T0 + D)]))
    assert features(changed, joined, T0 + D).values[0].tolist() == [2, 2]
