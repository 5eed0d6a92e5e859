"""Tiles: for each (user, start, track) how many events there were, and the sum of a field.

Rows are kept sorted by a key that packs all three, so that folding, merging and rolling up are one operation:
put rows side by side, place them on the time axis of the user's clock, and add up equal keys. Addition is
associative and commutative, so neither order nor batching of events matters.

    key (int64)     user : 19 bits | start in seconds : 32 bits | track : 12 bits
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.plan import Plan, Track

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
        total: (m,) sum of the track's field; 0 for tracks without one.
    """

    key: I64
    count: I64
    total: F64

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
    def empty(cls) -> Tiles:
        """Return no rows."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def pack_keys(user: I64, start_s: I64, track: I64 | int) -> I64:
    """Return (m,) sort keys of their parts."""
    return (user << USER_SHIFT) | (start_s << TRACK_BITS) | track


def lift_tiles(plan: Plan, events: Events, matched: list[Bool]) -> Tiles:
    """Return one row an event and track that wants it, unsorted, at the finest grain: the event's own second."""
    keys: list[I64] = []
    totals: list[F64] = []
    second = events.time_us // 1_000_000
    for index, track in enumerate(plan.tracks):
        wanted = matched[track.filter]
        if track.of is not None:
            wanted = wanted & events.has(plan, track.of)
        rows = np.flatnonzero(wanted)
        keys.append(pack_keys(events.user[rows], second[rows], index))
        values = np.zeros(len(rows)) if track.of is None else events.columns[track.of][rows].astype(np.float64)
        totals.append(values)
    key = np.concatenate(keys) if keys else np.empty(0, np.int64)
    total = np.concatenate(totals) if totals else np.empty(0, np.float64)
    return Tiles(key, np.ones(len(key), np.int64), total)


def join_tiles(plan: Plan, parts: list[Tiles], clock_us: I64) -> Tiles:
    """Return the rows of all parts, placed on the time axis of each user's clock (n,), equal keys added up."""
    key = np.concatenate([part.key for part in parts])
    count = np.concatenate([part.count for part in parts])
    total = np.concatenate([part.total for part in parts])
    if len(key) == 0:
        return Tiles(key, count, total)
    rows = Tiles(key, count, total)
    user, track = rows.user, rows.track
    cuts = plan.axis.cuts_s(clock_us)
    start_s, kept = plan.axis.place(rows.start_s, [cut[user] for cut in cuts])
    kept &= start_s >= _horizons_s(plan, clock_us)[track, user]
    key = pack_keys(user, start_s, track)
    if not kept.all():
        key, count, total = key[kept], count[kept], total[kept]
        if len(key) == 0:
            return Tiles.empty()
    order = np.argsort(key, kind="stable")
    key = key[order]
    heads = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return Tiles(key[heads], np.add.reduceat(count[order], heads), np.add.reduceat(total[order], heads))


def _horizons_s(plan: Plan, clock_us: I64) -> I64:
    """Return (tracks, n) the tile start before which a track's rows are read by none of its outputs."""
    clock_s = clock_us // 1_000_000 - plan.axis.skew_s
    return np.stack([_horizon_s(track, clock_s) for track in plan.tracks])


def _horizon_s(track: Track, clock_s: I64) -> I64:
    if track.lifetime or track.horizon is None or track.horizon.reach_s is None:
        return np.zeros_like(clock_s)
    # At least 1: the lifetime tile, at 0, is no business of a track that nobody reads over a lifetime.
    start_s = (clock_s - track.horizon.reach_s) // track.horizon.width_s * track.horizon.width_s
    return np.maximum(start_s, 1)


def sum_windows(tiles: Tiles, users: int, tracks: int, starts_s: npt.NDArray[np.int64]) -> tuple[F64, F64]:
    """Return (counts, totals), each (users, windows, tracks), of the rows at or after each window's start.

    `starts_s` (windows,) must ascend: the longest window first.
    """
    windows = len(starts_s)
    # A row belongs to every window that starts at or before it: put it in the shortest, then sum over longer ones.
    shortest = np.searchsorted(starts_s, tiles.start_s, side="right") - 1
    inside = shortest >= 0
    cell = ((tiles.user * windows + shortest) * tracks + tiles.track)[inside]
    size = users * windows * tracks
    shape = (users, windows, tracks)
    counts = np.bincount(cell, tiles.count[inside].astype(np.float64), size).reshape(shape)
    totals = np.bincount(cell, tiles.total[inside], size).reshape(shape)
    return _from_shortest(counts), _from_shortest(totals)


def _from_shortest(cells: npt.NDArray[Any]) -> F64:
    return np.asarray(np.cumsum(cells[:, ::-1], axis=1)[:, ::-1], np.float64)
