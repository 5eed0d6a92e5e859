"""Local days, hours and weekdays of instants, by bisection in a table of a time zone's offsets from UTC.

    local second   t + offset(t)
    date           local second // 86400, days since 1970-01-01
    day            date, less the dates before it that the zone left out

Days are numbered so that one follows the other: Apia had no 2011-12-30, so the 31st is the day after the 29th there.
Days of 23 and 25 hours are as long as the clocks on the wall made them. Where clocks went back across midnight, an
hour of a day may lie between two hours of the next: days do not always ascend with time.

`user_state.spec.time_zones` makes the table; there is no calendar library in the core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.plan.lazily import cached_property

I64 = npt.NDArray[np.int64]
DAY_S = 86_400
MONDAY_BEFORE_1970 = 3
"""1970-01-01 was a Thursday, three days after a Monday."""


@dataclass(frozen=True)
class LocalTime:
    """A time zone.

    Attributes:
        zone: its name.
        transitions_s: seconds UTC at which its offset changes, ascending.
        offsets_s: its offsets from UTC in seconds, one more than transitions: the first holds before them all.
    """

    zone: str = "UTC"
    transitions_s: tuple[int, ...] = ()
    offsets_s: tuple[int, ...] = (0,)

    @cached_property
    def _table(self) -> tuple[I64, I64]:
        return np.array(self.transitions_s, np.int64), np.array(self.offsets_s, np.int64)

    @cached_property
    def _left_out(self) -> I64:
        """The dates that do not exist, since clocks went from their first midnight or before to their last or after."""
        dates: list[int] = []
        for at_s, before_s, after_s in zip(self.transitions_s, self.offsets_s[:-1], self.offsets_s[1:], strict=True):
            dates += range(-(-(at_s + before_s) // DAY_S), (at_s + after_s) // DAY_S)
        return np.array(dates, np.int64)

    def local_s(self, second: I64) -> I64:
        """Return (m,) local seconds since 1970-01-01 of seconds UTC (m,)."""
        transitions, offsets = self._table
        if len(transitions) == 0:
            return np.asarray(second + offsets[0], np.int64)
        return np.asarray(second + offsets[np.searchsorted(transitions, second, side="right")], np.int64)

    def days(self, second: I64) -> I64:
        """Return (m,) the local days that seconds UTC (m,) are in, numbered without gaps.

        >>> LocalTime().days(np.array([0, 86399, 86400])).tolist()
        [0, 0, 1]
        """
        date = self.local_s(second) // DAY_S
        return np.asarray(date - np.searchsorted(self._left_out, date), np.int64) if len(self._left_out) else date

    def hours(self, second: I64) -> I64:
        """Return (m,) the local hours of the day, 0 to 23, of seconds UTC (m,)."""
        return np.asarray(self.local_s(second) % DAY_S // 3600, np.int64)

    def weekdays(self, second: I64) -> I64:
        """Return (m,) the local days of the week, Monday being 0, of seconds UTC (m,).

        >>> LocalTime().weekdays(np.array([0, 3 * 86400, 4 * 86400])).tolist()
        [3, 6, 0]
        """
        return np.asarray((self.local_s(second) // DAY_S + MONDAY_BEFORE_1970) % 7, np.int64)
