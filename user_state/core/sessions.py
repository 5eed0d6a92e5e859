"""Sessions: a user's events with no more than a gap between one and the next, as (first, last, how many) of each.

Two sessions of one (user, track) are one where no more than the gap lies between the end of the one and the start of
the other, so joining states is the union of intervals: sort by start, carry the greatest end so far along, begin a new
session where the next start lies more than a gap after it. An event is a session of its own until it is joined, and a
late one may join two. The union depends on the set of intervals only, so order and batching of events do not matter.

A session is kept apart while a window may still count it (its end lies in the longest window of any reading) or an
event that is not too late may still join it (its end is no more than `allowed_lateness` and the gap before the clock).
After that it is dropped or, for `lifetime`, added to its track's totals. So what `merge` joins must not be apart by
more than the lateness where a session crosses: of a chain of events that leads from a session already dropped to a
newer one, handed in by another record, the older part is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.outputs import SessionOutput
from user_state.core.pieces import SessionTrack
from user_state.core.plan import Plan
from user_state.durations import SECOND_US

TOTALS = 3
"""Numbers in a track's totals: sessions, microseconds from first to last event, events."""


@dataclass(frozen=True)
class Sessions:
    """The sessions of n users, sorted by (user, track, start).

    Attributes:
        user: (m,) index of the user.
        track: (m,) index into `plan.sessions`.
        start_us, end_us: (m,) times of the first and the last event.
        events: (m,) how many there are.
        totals: (n, tracks, TOTALS) of the sessions that are too old to be kept apart.
    """

    user: I64
    track: I64
    start_us: I64
    end_us: I64
    events: I64
    totals: I64

    @classmethod
    def empty(cls, users: int, tracks: int) -> Sessions:
        """Return no sessions of so many users."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, none, np.zeros((users, tracks, TOTALS), np.int64))

    def take(self, chosen: Bool | I64) -> Sessions:
        """Return the chosen rows, by mask or index, and all totals."""
        return Sessions(
            self.user[chosen],
            self.track[chosen],
            self.start_us[chosen],
            self.end_us[chosen],
            self.events[chosen],
            self.totals,
        )


def lift_sessions(plan: Plan, events: Events, matched: list[Bool]) -> Sessions:
    """Return one session an event and track that wants it, unsorted."""
    if not plan.sessions:
        return Sessions.empty(len(events.users), 0)
    rows = [np.flatnonzero(matched[track.filter]) for track in plan.sessions]
    row = np.concatenate(rows)
    time_us = events.time_us[row]
    return Sessions(
        events.user[row],
        np.repeat(np.arange(len(rows)), [len(of_track) for of_track in rows]),
        time_us,
        time_us,
        np.ones(len(row), np.int64),
        np.zeros((len(events.users), len(rows), TOTALS), np.int64),
    )


def join_sessions(plan: Plan, a: Sessions, b: Sessions, clock_us: I64) -> Sessions:
    """Return the sessions of both as of the users' clocks (n,), those joined that are one."""
    if not plan.sessions:
        return a
    both = Sessions(
        np.concatenate((a.user, b.user)),
        np.concatenate((a.track, b.track)),
        np.concatenate((a.start_us, b.start_us)),
        np.concatenate((a.end_us, b.end_us)),
        np.concatenate((a.events, b.events)),
        a.totals + b.totals,
    )
    tracks = len(plan.sessions)
    rows = _union(both, tracks, np.array([track.gap_us for track in plan.sessions], np.int64))
    horizon_us = np.stack([_horizon_us(plan, track, clock_us) for track in plan.sessions])
    old = rows.end_us < horizon_us[rows.track, rows.user]
    for_life = np.array([track.lifetime for track in plan.sessions], np.bool_)
    rows.totals[:, ~for_life] = 0
    if not old.any():
        return rows
    closed = rows.take(old & for_life[rows.track])
    sums = np.stack((np.ones_like(closed.events), closed.end_us - closed.start_us, closed.events), axis=1)
    np.add.at(rows.totals, (closed.user, closed.track), sums)
    return rows.take(~old)


def _horizon_us(plan: Plan, track: SessionTrack, clock_us: I64) -> I64:
    """Return (n,) the time before which a session that ended is neither counted by a window nor joined by an event."""
    joined_us = clock_us - plan.allowed_lateness_us - track.gap_us
    if track.horizon is None or track.horizon.reach_s is None:
        return joined_us
    oldest_s = clock_us // SECOND_US - plan.axis.skew_s - track.horizon.reach_s
    return np.minimum(joined_us, oldest_s // track.horizon.width_s * track.horizon.width_s * SECOND_US)


def _union(rows: Sessions, tracks: int, gap_us: I64) -> Sessions:
    """Return rows sorted by (user, track, start), those joined that are no more than their track's gap apart."""
    if len(rows.user) == 0:
        return rows
    cell = rows.user * tracks + rows.track
    order = np.lexsort((rows.start_us, cell))
    rows, cell = rows.take(order), cell[order]
    # Ranks by (cell, end) grow from cell to cell, so that one running maximum serves all of them.
    by_end = np.lexsort((rows.end_us, cell))
    rank = np.empty(len(cell), np.int64)
    rank[by_end] = np.arange(len(cell))
    reached_us = rows.end_us[by_end[np.maximum.accumulate(rank)]]
    apart = (cell[1:] != cell[:-1]) | (rows.start_us[1:] - reached_us[:-1] > gap_us[rows.track[1:]])
    heads = np.flatnonzero(np.concatenate(([True], apart)))
    if len(heads) == len(cell):
        return rows
    return Sessions(
        rows.user[heads],
        rows.track[heads],
        rows.start_us[heads],
        np.maximum.reduceat(rows.end_us, heads),
        np.add.reduceat(rows.events, heads),
        rows.totals,
    )


def read_sessions(
    plan: Plan, sessions: Sessions, outputs: Sequence[SessionOutput], since_us: Sequence[int], at_us: int, values: F64
) -> None:
    """Fill (n, outputs) at `at_us`, each of the sessions that end at or after its `since_us`, 0 for lifetime."""
    users = len(values)
    sums: dict[tuple[int, int], F64] = {}
    newest: dict[tuple[int, int], I64] = {}
    for column, (output, begin_us) in enumerate(zip(outputs, since_us, strict=True)):
        at = output.track, begin_us
        if output.aggregate.startswith("current"):
            if at not in newest:
                open_us = max(begin_us, at_us - plan.sessions[output.track].gap_us)
                newest[at] = _ended_since(sessions, output.track, open_us)
            values[:, column] = _current(sessions, newest[at], output, users)
            continue
        if at not in sums:
            sums[at] = _sum(sessions, output.track, begin_us, users)
        count, length_us, events = sums[at]
        match output.aggregate:
            case "session_count":
                value = count
            case "session_length_mean":
                value = length_us / SECOND_US / np.maximum(count, 1)
            case _:
                value = events / np.maximum(count, 1)
        values[:, column] = np.where(count > 0, value, output.empty)


def _sum(sessions: Sessions, track: int, since_us: int, users: int) -> F64:
    """Return (TOTALS, n) of the sessions of a track that end at or after `since_us`, 0 for lifetime."""
    rows = _ended_since(sessions, track, since_us)
    user = sessions.user[rows]
    numbers = (None, sessions.end_us[rows] - sessions.start_us[rows], sessions.events[rows])
    sums = np.stack([np.bincount(user, number, users) for number in numbers]).astype(np.float64)
    return sums + sessions.totals[:, track].T if since_us == 0 else sums


def _ended_since(sessions: Sessions, track: int, since_us: int) -> I64:
    """Return which sessions of a track end at or after `since_us`."""
    return np.flatnonzero((sessions.track == track) & (sessions.end_us >= since_us))


def _current(sessions: Sessions, rows: I64, output: SessionOutput, users: int) -> F64:
    """Return (n,) a number of the newest session of each user among the rows, `output.empty` without any."""
    values = np.full(users, output.empty)
    user = sessions.user[rows]
    # Rows ascend, and where an index comes twice the last assignment stands.
    if output.aggregate == "current_session_events":
        values[user] = sessions.events[rows]
    else:
        values[user] = (sessions.end_us[rows] - sessions.start_us[rows]) / SECOND_US
    return values
