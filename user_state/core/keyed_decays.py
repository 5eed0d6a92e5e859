"""Decayed counts by key at one half-life a track (forward decay; vectors.py has the source).

    C(key) = sum over events of the key of w 2^-((T - t)/H), as seen at a reference time T, the track's newest event's

w is 1, or the event's weight, which is above 0.

Read at `at` it is C 2^-((at - T)/H). A change of T scales all keys of a track alike, so the cut to a bounded number of
keys (keyed_rows.py) and its bound carry over, the total being the track's decayed count. A group is a user's track:

    group (int64)     user : 51 bits | track : 12 bits

A key whose count has come to less than FORGOTTEN is dropped: it is near to where doubles end, about 963 half-lives
after a single event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.keyed_rows import (
    KeyedRows,
    add_up,
    cut,
    height_of,
    key_columns,
    lift_keys,
    recode_keys,
    side_by_side,
    text_columns,
)
from user_state.core.pieces import KeyedDecay
from user_state.core.plan import Plan
from user_state.core.tiles import MAX_TRACKS, TRACK_BITS
from user_state.core.weights import event_weights

FORGOTTEN = 1e-290


@dataclass(frozen=True)
class KeyedDecays:
    """Decayed counts of n users.

    Attributes:
        time_us: (n, tracks) reference times T; 0 where there is nothing.
        rows: m rows, their weights being C.
    """

    time_us: I64
    rows: KeyedRows

    @classmethod
    def empty(cls, users: int, kinds_of: tuple[tuple[str, ...], ...]) -> KeyedDecays:
        """Return counts of nothing, given the kinds of the columns of each track's keys."""
        rows = KeyedRows.empty(height_of(kinds_of), 0, np.float64)
        return cls(np.zeros((users, len(kinds_of)), np.int64), rows)

    @property
    def user(self) -> I64:
        """(m,) the index of each row's user."""
        return self.rows.group >> TRACK_BITS

    @property
    def track(self) -> I64:
        """(m,) each row's index into `plan.keyed_decays`."""
        return self.rows.group & (MAX_TRACKS - 1)


def wanted_by(plan: Plan, decay: KeyedDecay, events: Events, matched: list[Bool]) -> tuple[Bool, list[I64]]:
    """Return (which events (m,) the track takes, the columns (m,) of their keys)."""
    present, columns = key_columns(plan, decay.by, events)
    weighing = event_weights(events, decay.weight_field, decay.weights) > 0
    return matched[decay.filter] & present & weighing, columns


def lift_keyed_decays(plan: Plan, events: Events, matched: list[Bool]) -> KeyedDecays:
    """Return the decayed counts of a batch of events alone, one row an event and track that wants it, unsorted."""
    lifted = KeyedDecays.empty(len(events.users), plan.layout.keyed_decay_kinds)
    parts, height = [lifted.rows], len(lifted.rows.keys)
    for index, decay in enumerate(plan.keyed_decays):
        wanted, columns = wanted_by(plan, decay, events, matched)
        rows = np.flatnonzero(wanted)
        user, time_us = events.user[rows], events.time_us[rows]
        newest_us = lifted.time_us[:, index]
        np.maximum.at(newest_us, user, time_us)
        weight = event_weights(events, decay.weight_field, decay.weights)[rows]
        weight = weight * np.exp2(-(newest_us[user] - time_us) / decay.half_life_us)
        keys = lift_keys(columns, height, rows)
        parts.append(KeyedRows(user << TRACK_BITS | index, keys, weight, np.empty((0, len(rows)))))
    return KeyedDecays(lifted.time_us, side_by_side(parts))


def join_keyed_decays(plan: Plan, a: KeyedDecays, b: KeyedDecays, _clock_us: I64) -> KeyedDecays:
    """Return the decayed counts of both, as seen at the later reference time, added up and cut."""
    time_us = np.maximum(a.time_us, b.time_us)
    if len(a.rows) + len(b.rows) == 0:
        return KeyedDecays(time_us, a.rows)
    half_lives_us = np.array([decay.half_life_us for decay in plan.keyed_decays], np.float64)
    rows = add_up(side_by_side([_seen_at(part, time_us, half_lives_us) for part in (a, b)]))
    lasting = rows.weight >= FORGOTTEN
    if not lasting.all():
        rows = rows.take(lasting)
    most = np.array([decay.most_keys for decay in plan.keyed_decays], np.int64)
    return KeyedDecays(time_us, cut(rows, lambda group: most[group & (MAX_TRACKS - 1)]))


def _seen_at(part: KeyedDecays, time_us: I64, half_lives_us: F64) -> KeyedRows:
    rows, user, track = part.rows, part.user, part.track
    age_us = time_us[user, track] - part.time_us[user, track]
    with np.errstate(over="ignore", invalid="ignore"):
        weight = rows.weight * np.exp2(-age_us / half_lives_us[track])
    return KeyedRows(rows.group, rows.keys, weight, rows.sums)


def recode_keyed_decays(plan: Plan, part: KeyedDecays, becomes: I64) -> KeyedDecays:
    """Return the counts with their string codes exchanged: code c for `becomes[c]`."""
    texts = text_columns(plan.layout.keyed_decay_kinds)
    return KeyedDecays(part.time_us, recode_keys(part.rows, texts, part.track, becomes))
