"""Which events of history are folded, as far as an event says it by itself; the first that holds is its fate.

    other_users    not of the share of users that is asked for
    after_until    published from the time on at which the stream takes over
    ignored        no output of the plan wants it
    expired        `retention` old as it arrived: at its publish time
    from_future    published ahead of the wall clock by more than clocks differ; or event time more than
                   `max_clock_skew` after the publish time
    too_late       event time more than `allowed_lateness` before the publish time

History arrives in order of publishing, so that nothing is too late by its user's clock, and what is left is applied or
a duplicate, as long as the ids of the user are not more than `seen_ids_cap`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.events.screening import ahead_detail, clock_tolerance_us
from user_state.history.event_source import Found, Refused
from user_state.history.user_share import below
from user_state.plan.plan import Plan
from user_state.state.events import U64
from user_state.state.relevant import relevant

OTHER_USERS, AFTER_UNTIL, IGNORED, EXPIRED = "other_users", "after_until", "ignored", "expired"
FROM_FUTURE, TOO_LATE = "from_future", "too_late"
DETAIL = {
    TOO_LATE: "the event time is more than allowed_lateness before the publish time",
    FROM_FUTURE: "the event time is more than max_clock_skew after its publish time",
}


@dataclass(frozen=True)
class Judged:
    """What becomes of some events as they are read.

    Attributes:
        kept: (m,) which of them are folded.
        counts: the others, by fate; of the events that there are.
        refused: the messages of those that are dead letters, and of what is no event.
        latest_us: the latest publish time of those that are folded, 0 if none is.
    """

    kept: Any
    counts: Counter[str]
    refused: list[Refused]
    latest_us: int


class Judge:
    """Judges the events of one plan.

    Args:
        plan: what records hold.
        now_us: the wall clock as the backfill began, microseconds UTC.
        until_us: events published from then on are left to the stream; None: all are read.
        user_share: the share of users that is asked for, above 0 and up to 1.
    """

    def __init__(self, plan: Plan, now_us: int, until_us: int | None = None, user_share: float = 1.0) -> None:
        self._plan = plan
        self._now_us = now_us
        self._until_us = until_us
        self._below = below(user_share)

    def judge(self, found: Found, hashes: U64) -> Judged:
        """Return what becomes of events; `hashes` (m,) are those of their users."""
        plan, events = self._plan, found.events
        time_us, published_us = events.time_us, events.published_us
        latest = int(published_us.max(initial=0))
        counts: Counter[str] = Counter()
        kept = np.ones(len(events), np.bool_)
        refused = list(found.letters)

        def leave_out(fate: str, which: Any) -> Any:
            nonlocal kept
            chosen = kept & which
            if (number := int(chosen.sum())) > 0:
                counts[fate] += number
                kept = kept & ~chosen
            return chosen

        if self._below < 1 << 32:
            leave_out(OTHER_USERS, (hashes >> np.uint64(32)) >= np.uint64(self._below))
        if self._until_us is not None and latest >= self._until_us:
            leave_out(AFTER_UNTIL, published_us >= self._until_us)
        leave_out(IGNORED, ~relevant(plan, events))
        behind_us = published_us - time_us
        leave_out(EXPIRED, behind_us >= plan.retention_us)
        latest_ok_us = self._now_us + clock_tolerance_us(plan)
        if latest > latest_ok_us:
            for at in np.flatnonzero(leave_out(FROM_FUTURE, published_us > latest_ok_us)).tolist():
                detail = ahead_detail(plan, int(published_us[at]), self._now_us)
                refused.append(_refused(found, at, FROM_FUTURE, detail))
        for fate, which in (
            (FROM_FUTURE, behind_us < -plan.max_clock_skew_us),
            (TOO_LATE, behind_us > plan.allowed_lateness_us),
        ):
            chosen = np.flatnonzero(leave_out(fate, which)).tolist()
            refused += [_refused(found, at, fate, DETAIL[fate]) for at in chosen]
        return Judged(kept, counts, refused, int(published_us[kept].max(initial=0)))


def _refused(found: Found, at: int, reason: str, detail: str) -> Refused:
    if found.message is None:
        raise ValueError("expected a source that knows the messages of its events")
    return Refused(found.message(at), reason, detail)
