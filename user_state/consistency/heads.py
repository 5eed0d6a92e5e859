"""What a user's record said of its time after each event of history: clock, last event, number of applied events."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.state.events import Events
from user_state.state.outcome import Outcome

Head = tuple[int, int, int]
"""Clock and last event, microseconds UTC, and applied events."""
NOTHING: Head = (0, 0, 0)


@dataclass
class Timeline:
    """One user's record over history.

    Attributes:
        rows: which events were applied, by place in the order of arrival, ascending.
        arrived_us: when each arrived.
        heads: what the record said after each.
        forgets_us: when Redis forgets it unless another event comes.
    """

    rows: list[int]
    arrived_us: list[int]
    heads: list[Head]
    forgets_us: list[int]

    def head(self, visible: int, at_us: int) -> Head:
        """Return what a record of the events before place `visible` says at a time."""
        last = bisect_left(self.rows, visible) - 1
        return NOTHING if last < 0 or at_us >= self.forgets_us[last] else self.heads[last]

    def place_of(self, head: Head, near: int) -> int | None:
        """Return a place `visible` at which the record says this: the latest up to `near`, else the first later."""
        if head == NOTHING:
            return self.rows[0] if self.rows else near
        found = [place for place, one in zip(self.rows, self.heads, strict=True) if one == head]
        before = [place + 1 for place in found if place < near]
        return before[-1] if before else (found[0] + 1 if found else None)


def timelines(events: Events, outcome: npt.NDArray[np.int8], retention_us: int, delay_us: int) -> list[Timeline]:
    """Return the timelines of all users of events in order of arrival."""
    made = [Timeline([], [], [], []) for _ in events.users]
    applied = np.flatnonzero(outcome == Outcome.APPLIED)
    columns = (applied, events.user[applied], events.published_us[applied], events.time_us[applied])
    for row, user, published_us, time_us in zip(*(one.tolist() for one in columns), strict=True):
        one = made[user]
        before = one.heads[-1] if one.heads and published_us + delay_us < one.forgets_us[-1] else NOTHING
        head = (max(before[0], published_us), max(before[1], time_us), before[2] + 1)
        one.rows.append(row)
        one.arrived_us.append(published_us + delay_us)
        one.heads.append(head)
        one.forgets_us.append(head[1] + retention_us)
    return made
