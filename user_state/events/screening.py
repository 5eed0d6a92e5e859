"""What is decided of an event where it is decoded, before it travels any further: by the plan and the wall clock alone.

In this order, the first that holds:

    IGNORED      no output of the plan wants it
    EXPIRED      its event time lies `retention` or more before the wall clock: its record would expire as it is written
    FROM_FUTURE  its publish time lies more than `clock_tolerance_us` after the wall clock: as the user's clock it would
                 make what the user does next too late, for as long as it is ahead
    PASSED       none of these

The wall clock is an argument: whoever reads asks it once for all events of a pull.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from user_state.durations import SECOND_US, format_duration
from user_state.plan.plan import Plan
from user_state.state.event_batch import EventBatch
from user_state.state.events import Events
from user_state.state.relevant import relevant

LEAST_CLOCK_TOLERANCE_US = 60 * SECOND_US
"""Clocks of machines differ, whatever a spec says of phones."""
DAY_US = 86_400 * SECOND_US
KEEPING_DAYS = (180, 365, 730, 1825, 3650, 7300, 18_250, 36_500)
"""Values for `retention` that are suggested to whoever has older events."""


class Screened(IntEnum):
    """What is decided of an event: see the top of this file."""

    PASSED = 0
    IGNORED = 1
    EXPIRED = 2
    FROM_FUTURE = 3


def clock_tolerance_us(plan: Plan) -> int:
    """Return how far ahead of the wall clock a publish time may be, microseconds: `max_clock_skew`, or a minute."""
    return max(plan.max_clock_skew_us, LEAST_CLOCK_TOLERANCE_US)


def screen(plan: Plan, events: Events | EventBatch, now_us: int) -> npt.NDArray[np.int8]:
    """Return (m,) a `Screened` an event; `now_us` is the wall clock as they are read, microseconds UTC."""
    screened = np.full(len(events), Screened.PASSED, np.int8)
    screened[events.published_us > now_us + clock_tolerance_us(plan)] = Screened.FROM_FUTURE
    screened[events.time_us <= now_us - plan.retention_us] = Screened.EXPIRED
    screened[~relevant(plan, events)] = Screened.IGNORED
    return screened


def ahead_detail(plan: Plan, published_us: int, now_us: int) -> str:
    """Return why an event with this publish time is refused.

    >>> from types import SimpleNamespace
    >>> ahead_detail(SimpleNamespace(max_clock_skew_us=300_000_000), 10**15 + 40 * DAY_US, 10**15)
    "the publish time is 40d ahead of this machine's clock, and may be at most 5m; one of the two clocks is wrong"
    """
    return (
        f"the publish time is {roughly(published_us - now_us)} ahead of this machine's clock, and may be at most"
        f" {format_duration(clock_tolerance_us(plan))}; one of the two clocks is wrong"
    )


def keeping_days(ages_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (m,) for each age the shortest of KEEPING_DAYS that is longer, the longest if none is.

    >>> keeping_days(np.array([0, 180 * DAY_US - 1, 180 * DAY_US, 10**17])).tolist()
    [180, 180, 365, 36500]
    """
    days = np.array(KEEPING_DAYS, np.int64)
    at = np.searchsorted(days * DAY_US, ages_us, side="right")
    return np.asarray(days[np.minimum(at, len(days) - 1)], np.int64)


def roughly(duration_us: int) -> str:
    """Return a duration in whole units, of the largest that it has one of.

    >>> roughly(301_000_000), roughly(90_000 * SECOND_US), roughly(999_999)
    ('5m', '1d', '0s')
    """
    seconds = duration_us // SECOND_US
    for unit, unit_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= unit_s:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds}s"
