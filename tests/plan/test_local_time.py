"""Local days, hours and weekdays are those that a calendar and a clock on the wall show."""

import datetime
import random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from user_state.plan.local_time import LocalTime
from user_state.spec.time_zones import utc_offsets

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns")
LEAVING_OUT_DATES = {
    "Pacific/Apia": ["2011-12-30"],
    "Pacific/Kwajalein": ["1993-08-21"],
    "Pacific/Kiritimati": ["1994-12-31"],
}


def local_time(zone):
    return LocalTime(zone, *utc_offsets(zone))


def moments(zone):
    """Return seconds around every change of the zone, around its midnights, and anywhere."""
    rng = random.Random(1)
    near = [t + d for t in utc_offsets(zone)[0] for d in (-86_400, -3600, -1, 0, 1, 1800, 3600, 86_400)]
    anywhere = [rng.randrange(4_102_444_800) for _ in range(2_000)]
    midnights = [s - s % 86_400 - offset for s in anywhere[:200] for offset in set(utc_offsets(zone)[1])]
    return np.array([s for s in near + anywhere + midnights + [m - 1 for m in midnights] if 0 <= s < 4_102_444_800])


@pytest.mark.parametrize("zone", [*ZONES, *LEAVING_OUT_DATES])
def test_hours_weekdays_and_dates_are_those_of_zoneinfo(zone):
    seconds = moments(zone)
    walls = [datetime.datetime.fromtimestamp(s, ZoneInfo(zone)) for s in seconds.tolist()]
    time = local_time(zone)
    assert time.hours(seconds).tolist() == [wall.hour for wall in walls]
    assert time.weekdays(seconds).tolist() == [wall.weekday() for wall in walls]
    gone = [datetime.date.fromisoformat(date) for date in LEAVING_OUT_DATES.get(zone, [])]
    begin = datetime.date(1970, 1, 1)
    dates = [wall.date() for wall in walls]
    assert not set(dates) & set(gone)
    assert time.days(seconds).tolist() == [(d - begin).days - sum(g < d for g in gone) for d in dates]


@pytest.mark.parametrize("zone", [*ZONES, *LEAVING_OUT_DATES])
def test_days_follow_one_another_without_gaps(zone):
    every_half_hour = np.arange(0, 45 * 365 * 86_400, 1800)
    days = local_time(zone).days(every_half_hour)
    assert set(np.diff(days)) <= {-1, 0, 1}
    assert (len(np.unique(days)), days[-1] - days[0]) == (days.max() - days.min() + 1, days.max() - days.min())


def test_clocks_set_back_across_midnight_put_an_hour_of_a_day_between_two_of_the_next():
    midnight = int(datetime.datetime(2010, 11, 7, tzinfo=ZoneInfo("America/St_Johns")).timestamp())
    days = local_time("America/St_Johns").days(midnight + np.array([-1, 0, 59, 60, 60 + 59 * 60 - 1, 60 + 59 * 60]))
    assert (days - days[0]).tolist() == [0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 27, 23), (10, 30, 25), (7, 1, 24)])
def test_a_day_is_as_long_as_its_clocks_make_it(month, day, hours):
    zone = ZoneInfo("Europe/Berlin")
    begin = int(datetime.datetime(2022, month, day, tzinfo=zone).timestamp())
    days = local_time("Europe/Berlin").days(np.arange(begin - 86_400, begin + 2 * 86_400))
    assert (days == days[86_400]).sum() == hours * 3600


def test_no_times_have_no_days():
    none = np.empty(0, np.int64)
    assert local_time("Pacific/Apia").days(none).tolist() == LocalTime().hours(none).tolist() == []
