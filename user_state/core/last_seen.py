"""Last seen: for each (user, track, value) the last second at which the value was seen.

A value lies in a window if and only if it was last seen at or after the window's start. So one set of rows answers
exactly, for any window, how many distinct values there were. There are two kinds of tracks:

    values   the values of a field: 64 bits each, xxh64 of a string, the bits of a number
    days     the local days with an event; the day follows from the second, so it is not kept beside it

A track keeps at most `cap` rows of a user, the newest by (second, value). What is among the newest of a whole is among
the newest of each part that has it, so that is a function of the set of events. A window that has more than `cap`
values is cut down to exactly `cap` of them: its count says "at least".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

from user_state.core.events import I64, Bool, Events
from user_state.core.histories import newer_rows
from user_state.core.layout import LAST_SEEN_KINDS
from user_state.core.nested_windows import take_over
from user_state.core.plan import Plan
from user_state.core.pool import NULL_CODE

TRACK_BITS = 32
TRACK_MASK = (1 << TRACK_BITS) - 1
FOREVER_S = 1 << 40
VALUES, DAYS = LAST_SEEN_KINDS


@dataclass(frozen=True)
class LastSeenRows:
    """Rows sorted by user, track and value or day, each once.

    Attributes:
        key: (m,) user << 32 | track.
        value: (m,) the value's 64 bits, as a signed number; 0 in tracks of days.
        second: (m,) when it was last seen.
    """

    key: I64
    value: I64
    second: I64

    @property
    def user(self) -> I64:
        """(m,) index of the user."""
        return self.key >> TRACK_BITS

    @property
    def track(self) -> I64:
        """(m,) index into `plan.last_seen`."""
        return self.key & TRACK_MASK

    @classmethod
    def empty(cls) -> LastSeenRows:
        """Return no rows."""
        none = np.empty(0, np.int64)
        return cls(none, none, none)

    def take(self, chosen: Bool | I64) -> LastSeenRows:
        """Return the chosen rows, by mask or index."""
        return LastSeenRows(self.key[chosen], self.value[chosen], self.second[chosen])


def pack_keys(user: I64, track: I64 | int) -> I64:
    """Return (m,) keys of their parts."""
    return (user << TRACK_BITS) | track


def lift_last_seen(plan: Plan, events: Events, matched: list[Bool]) -> LastSeenRows:
    """Return one row an event and track that wants it, unsorted."""
    if not plan.last_seen:
        return LastSeenRows.empty()
    second = events.time_us // 1_000_000
    bits_of: dict[int, I64] = {}
    keys, values, seconds = [], [], []
    for index, track in enumerate(plan.last_seen):
        wanted = matched[track.filter]
        if track.of is not None:
            wanted = wanted & events.has(plan, track.of)
            if track.of not in bits_of:
                bits_of[track.of] = _bits(plan, events, track.of)
        rows = np.flatnonzero(wanted)
        keys.append(pack_keys(events.user[rows], index))
        values.append(np.zeros(len(rows), np.int64) if track.of is None else bits_of[track.of][rows])
        seconds.append(second[rows])
    return LastSeenRows(np.concatenate(keys), np.concatenate(values), np.concatenate(seconds))


def _bits(plan: Plan, events: Events, field: int) -> I64:
    """Return (m,) the 64 bits that stand for each event's value of a field; anything for nulls."""
    column: npt.NDArray[np.int64] = events.columns[field]
    match plan.fields[field].kind:
        case "string":
            codes, code_of_row = np.unique(column, return_inverse=True)
            hashes = [0 if c == NULL_CODE else xxhash.xxh64_intdigest(events.pool[c].encode()) for c in codes.tolist()]
            return np.array(hashes, np.uint64).view(np.int64)[code_of_row]
        case "float":
            # Adding 0 makes -0.0, which equals 0.0, the same value.
            return (column + 0.0).view(np.int64)
        case _:
            return column


def join_last_seen(plan: Plan, a: LastSeenRows, b: LastSeenRows, clock_us: I64) -> LastSeenRows:
    """Return the rows of both that some window of a reading can see, given users' clocks (n,), up to each cap."""
    if not plan.last_seen:
        return a
    rows = _unite(settle(plan, a), settle(plan, b))
    if len(rows.key) == 0:
        return rows
    track = rows.track
    reach_s = np.array([FOREVER_S if t.reach_s is None else t.reach_s for t in plan.last_seen], np.int64)
    oldest_s = (clock_us // 1_000_000 - plan.axis.skew_s)[rows.user] - reach_s[track]
    # What is out of reach is older than what is not, so it makes no difference to what a cap keeps.
    kept = (rows.second >= oldest_s) & _under_cap(plan, rows, track)
    value = np.where(_keeps_values(plan)[track], rows.value, 0)
    rows = LastSeenRows(rows.key, value, rows.second)
    return rows if kept.all() else rows.take(kept)


def settle(plan: Plan, rows: LastSeenRows) -> LastSeenRows:
    """Return rows sorted by (key, value), each pair once with its last second; in tracks of days the value is the day.

    Stored rows are so already, but for days under other rules than today's: zones change theirs.
    """
    if len(rows.key) == 0:
        return rows
    of_days = ~_keeps_values(plan)[rows.track]
    if of_days.any():
        value = rows.value.copy()
        value[of_days] = plan.local_time.days(rows.second[of_days])
        rows = LastSeenRows(rows.key, value, rows.second)
    same_key = rows.key[1:] == rows.key[:-1]
    if bool(((rows.key[1:] > rows.key[:-1]) | (same_key & (rows.value[1:] > rows.value[:-1]))).all()):
        return rows
    rows = rows.take(np.lexsort((rows.second, rows.value, rows.key)))
    differs = (rows.key[1:] != rows.key[:-1]) | (rows.value[1:] != rows.value[:-1])
    return rows.take(np.append(differs, True))


def _keeps_values(plan: Plan) -> Bool:
    return np.array([track.kind == VALUES for track in plan.last_seen], np.bool_)


def _unite(a: LastSeenRows, b: LastSeenRows) -> LastSeenRows:
    """Return the rows of both, which are settled, settled.

    The shorter is looked up in the longer and put in where it is new: folding a few events into long records costs
    little more than copying them.
    """
    if len(a.key) < len(b.key):
        a, b = b, a
    if len(b.key) == 0:
        return a
    low, end = np.searchsorted(a.key, b.key, side="left"), np.searchsorted(a.key, b.key, side="right")
    high = end.copy()
    for _ in range(int((high - low).max()).bit_length()):
        middle = (low + high) // 2
        # Where nothing is left to search, `middle` may point behind the last row, and what it finds is not used.
        below = a.value[np.minimum(middle, len(a.key) - 1)] < b.value
        open_ = low < high
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    found = (low < end) & (a.value[np.minimum(low, len(a.key) - 1)] == b.value)
    second = a.second.copy()
    second[low[found]] = np.maximum(second[low[found]], b.second[found])
    new, at = ~found, low[~found]
    return LastSeenRows(
        np.insert(a.key, at, b.key[new]), np.insert(a.value, at, b.value[new]), np.insert(second, at, b.second[new])
    )


def _under_cap(plan: Plan, rows: LastSeenRows, track: I64) -> Bool:
    """Return (m,) which rows are among the newest of their user and track, as many as its cap allows."""
    cap = np.array([track.cap for track in plan.last_seen], np.int64)[track]
    under = np.ones(len(rows.key), np.bool_)
    heads = np.flatnonzero(np.append(True, rows.key[1:] != rows.key[:-1]))
    held = np.diff(np.append(heads, len(rows.key)))
    if (held <= cap[heads]).all():
        return under
    crowded = np.flatnonzero(np.repeat(held > cap[heads], held))
    order = crowded[np.lexsort((rows.value[crowded], rows.second[crowded], rows.key[crowded]))]
    under[order] = newer_rows(rows.key[order]) < cap[order]
    return under


def count_windows(plan: Plan, rows: LastSeenRows, users: int, starts_s: I64) -> I64:
    """Return (users, windows, tracks) how many settled rows were last seen at or after each window's start.

    `starts_s` (windows,) must ascend: the longest window first.
    """
    windows, tracks = len(starts_s), len(plan.last_seen)
    shortest = np.searchsorted(starts_s, rows.second, side="right") - 1
    inside = shortest >= 0
    cell = ((rows.user * windows + shortest) * tracks + rows.track)[inside]
    count = np.bincount(cell, minlength=users * windows * tracks).reshape(users, windows, tracks)
    take_over(count.swapaxes(0, 1))
    return count


def streaks(plan: Plan, rows: LastSeenRows, users: int, start_s: int, at_us: int) -> I64:
    """Return (users,) the lengths of runs of consecutive days with an event at or after `start_s`.

    A run counts if it ends on the local day of `at_us` or on the day before; later days have no part in it.

    Args:
        plan: has the time zone.
        rows: those of one track of days, settled.
        users: n.
        start_s: the first second of the window.
        at_us: the reading time.
    """
    today = int(plan.local_time.days(np.array([at_us // 1_000_000]))[0])
    taken = rows.take((rows.second >= start_s) & (rows.value <= today))
    user, day = taken.user, taken.value
    length = np.zeros(users, np.int64)
    if len(user) == 0:
        return length
    breaks = (user[1:] != user[:-1]) | (day[1:] != day[:-1] + 1)
    heads = np.flatnonzero(np.append(True, breaks))
    lasts = np.append(heads[1:], len(user)) - 1
    # Of a user's runs only the last can reach today or yesterday.
    alive = day[lasts] >= today - 1
    length[user[lasts][alive]] = (lasts - heads + 1)[alive]
    return length
