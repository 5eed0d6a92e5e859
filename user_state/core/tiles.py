"""Tiles: for each (user, start, track) how many events there were, and what the track's kind keeps of their field.

Rows are kept sorted by a key that packs all three, so that folding, merging and rolling up are one operation:
put rows side by side, place them on their track's time axis (track_axes.py) as of the user's clock, and join equal
keys. Joining is associative and commutative, so neither order nor batching of events matters.

    key (int64)     user : 19 bits | start in seconds : 32 bits | track : 12 bits
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.plan import Plan
from user_state.core.tile_values import join_values, lift_values, width_of
from user_state.core.track_axes import TrackAxes

TRACK_BITS = 12
START_BITS = 32
USER_SHIFT = TRACK_BITS + START_BITS
MAX_USERS = 1 << 19
MAX_TRACKS = 1 << TRACK_BITS


@dataclass(frozen=True)
class Tiles:
    """Rows sorted by key, each key once.

    Attributes:
        key: (m,) user, start and track, packed.
        count: (m,) events.
        values: (width, m) the numbers that the track's kind keeps; 0 in columns it does not use.
    """

    key: I64
    count: I64
    values: F64

    @property
    def user(self) -> I64:
        """(m,) index of the user."""
        return self.key >> USER_SHIFT

    @property
    def start_s(self) -> I64:
        """(m,) first second of the tile; 0 for the lifetime tile."""
        return (self.key >> TRACK_BITS) & ((1 << START_BITS) - 1)

    @property
    def track(self) -> I64:
        """(m,) index into `plan.tracks`."""
        return self.key & (MAX_TRACKS - 1)

    @classmethod
    def empty(cls, width: int) -> Tiles:
        """Return no rows."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((width, 0)))

    def take(self, chosen: Bool | I64) -> Tiles:
        """Return the chosen rows, by mask or index."""
        return Tiles(self.key[chosen], self.count[chosen], self.values[:, chosen])


def pack_keys(user: I64, start_s: I64, track: I64 | int) -> I64:
    """Return (m,) sort keys of their parts."""
    return (user << USER_SHIFT) | (start_s << TRACK_BITS) | track


def lift_tiles(plan: Plan, events: Events, matched: list[Bool]) -> Tiles:
    """Return one row an event and track that wants it, unsorted, at the finest grain: the event's own second."""
    width = width_of(plan.layout.track_kinds)
    keys: list[I64] = [np.empty(0, np.int64)]
    values: list[F64] = [np.empty((width, 0))]
    second = events.time_us // 1_000_000
    for index, track in enumerate(plan.tracks):
        wanted = matched[track.filter]
        if track.of is not None:
            wanted = wanted & events.has(plan, track.of)
        if track.of is not None and track.between is not None:
            least, end = track.between
            wanted = wanted & (events.columns[track.of] >= least) & (events.columns[track.of] < end)
        rows = np.flatnonzero(wanted)
        field = None if track.of is None else events.columns[track.of][rows].astype(np.float64)
        keys.append(pack_keys(events.user[rows], second[rows], index))
        values.append(lift_values(track.kind, field, width, len(rows)))
    key = np.concatenate(keys)
    return Tiles(key, np.ones(len(key), np.int64), np.concatenate(values, axis=1))


def join_tiles(plan: Plan, a: Tiles, b: Tiles, clock_us: I64) -> Tiles:
    """Return the rows of both, placed on the time axis of each user's clock (n,), equal keys joined."""
    rows = Tiles(
        np.concatenate((a.key, b.key)),
        np.concatenate((a.count, b.count)),
        np.concatenate((a.values, b.values), axis=1),
    )
    if len(rows.key) == 0:
        return rows
    key, kept = place_keys(plan.track_axes, rows.key, clock_us)
    rows = Tiles(key, rows.count, rows.values)
    if not kept.all():
        rows = rows.take(kept)
    if len(rows.key) == 0:
        return rows
    rows = rows.take(np.argsort(rows.key, kind="stable"))
    heads = np.flatnonzero(np.concatenate(([True], rows.key[1:] != rows.key[:-1])))
    if len(heads) == len(rows.key):
        return rows
    kinds = plan.layout.track_kinds
    return Tiles(
        rows.key[heads],
        np.add.reduceat(rows.count, heads),
        join_values(rows.track, kinds, rows.count, rows.values, heads),
    )


def place_keys(axes: TrackAxes, key: I64, clock_us: I64) -> tuple[I64, Bool]:
    """Return (keys (m,) placed on their tracks' axes as of the users' clocks (n,), whether an output reads them)."""
    user, start_s, track = key >> USER_SHIFT, (key >> TRACK_BITS) & ((1 << START_BITS) - 1), key & (MAX_TRACKS - 1)
    start_s, kept = axes.place(user, start_s, track, clock_us)
    return pack_keys(user, start_s, track), kept
