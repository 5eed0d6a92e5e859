"""What goes by the wall clock of the spec's time zone, by brute force: active days, streaks, profiles."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from user_state.oracle.events import EPOCH
from user_state.oracle.question import Aggregate, Question, of_events, total

MOST_DAYS = 3660
"""How many active days are told apart, as documented: the latest ones."""
ONE_DAY = datetime.timedelta(days=1)


def local(time_us: int, zone: str) -> datetime.datetime:
    """Return what calendar and clock on a wall in the zone show."""
    return (EPOCH + datetime.timedelta(microseconds=time_us)).astimezone(ZoneInfo(zone))


@functools.lru_cache(maxsize=10_000)
def exists(date: datetime.date, zone: str) -> bool:
    """Return whether any moment of the date came to pass in the zone: Apia had no 2011-12-30."""
    begin = datetime.datetime.combine(date - ONE_DAY, datetime.time(), datetime.UTC)
    quarters = (begin + n * datetime.timedelta(minutes=15) for n in range(3 * 96))
    return any(moment.astimezone(ZoneInfo(zone)).date() == date for moment in quarters)


def _days(asked: Question) -> set[datetime.date]:
    """Return the dates in the window, of the latest dates of all events that match."""
    zone = asked.spec.timezone
    last_us: dict[datetime.date, int] = {}
    for event in asked.matching:  # oldest first
        last_us[local(event.time_us, zone).date()] = event.time_us
    latest = sorted(last_us, key=lambda date: (last_us[date] // 1_000_000, date))[-MOST_DAYS:]
    start_us = asked.start_us
    return {date for date in latest if start_us is None or last_us[date] >= start_us}


def _active_days(asked: Question) -> float:
    return float(len(_days(asked))) or asked.or_default(0.0)


def _streak_days(asked: Question) -> float:
    days = _days(asked)
    if not days:
        return asked.or_default(0.0)
    zone = asked.spec.timezone

    def before(date: datetime.date) -> datetime.date:
        date -= ONE_DAY
        return date if exists(date, zone) else before(date)

    date = local(asked.at_us, zone).date()
    if date not in days:
        date = before(date)
    length = 0
    while date in days:
        length += 1
        date = before(date)
    return float(length)


def _profile(asked: Question, bin_of: Sequence[int], bins: int) -> npt.NDArray[np.float64]:
    """Return each bin's share of the decayed events; ages are taken from the newest, which scales all bins alike."""
    if not asked.matching:
        return np.zeros(bins)
    newest_us = asked.matching[-1].time_us
    weights: list[list[float]] = [[] for _ in range(bins)]
    for event, place in zip(asked.matching, bin_of, strict=True):
        weights[place].append(2.0 ** (-(newest_us - event.time_us) / asked.half_life_us))
    whole = total([weight for of_bin in weights for weight in of_bin])
    return np.array([total(of_bin) / whole for of_bin in weights])


def _local_times(asked: Question) -> list[datetime.datetime]:
    return [local(event.time_us, asked.spec.timezone) for event in asked.matching]


def _hour_of_day(asked: Question) -> npt.NDArray[np.float64]:
    return _profile(asked, [time.hour for time in _local_times(asked)], 24)


def _day_of_week(asked: Question) -> npt.NDArray[np.float64]:
    return _profile(asked, [time.weekday() for time in _local_times(asked)], 7)


CALENDAR = {
    "active_days": Aggregate(_active_days, of_events),
    "streak_days": Aggregate(_streak_days, of_events),
    "hour_of_day": Aggregate(_hour_of_day, of_events),
    "day_of_week": Aggregate(_day_of_week, of_events),
}
