"""Keyed tiles: for each (user, tile start, track) how many events each key had, and the sum of a field if needed.

They lie on the time axis of their track (track_axes.py) and are rolled up on it; a tile holds a bounded number of
keys (keyed_rows.py). A group is a tile, packed as in tiles.py:

    group (int64)     user : 19 bits | start in seconds : 32 bits | track : 12 bits

A roll-up joins tiles and so may cut; tiles that never held more than the track's number of keys are exact.
"""

from __future__ import annotations

import numpy as np

from user_state.core.events import I64, Bool, Events
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
from user_state.core.pieces import KeyedTrack
from user_state.core.plan import Plan
from user_state.core.tiles import MAX_TRACKS, START_BITS, TRACK_BITS, USER_SHIFT, pack_keys, place_keys


def users_of(group: I64) -> I64:
    """Return (m,) the index of each group's user."""
    return group >> USER_SHIFT


def starts_s_of(group: I64) -> I64:
    """Return (m,) the first second of each group's tile; 0 for the lifetime tile."""
    return (group >> TRACK_BITS) & ((1 << START_BITS) - 1)


def tracks_of(group: I64) -> I64:
    """Return (m,) each group's index into `plan.keyed_tracks`."""
    return group & (MAX_TRACKS - 1)


def empty_keyed_tiles(plan: Plan, _users: int) -> KeyedRows:
    """Return no rows."""
    layout = plan.layout
    return KeyedRows.empty(height_of(layout.keyed_kinds), layout.keyed_width, np.int64)


def wanted_by(plan: Plan, track: KeyedTrack, events: Events, matched: list[Bool]) -> tuple[Bool, list[I64]]:
    """Return (which events (m,) the track takes, the columns (m,) of their keys)."""
    present, columns = key_columns(plan, track.by, events)
    wanted = matched[track.filter] & present
    return (wanted if track.of is None else wanted & events.has(plan, track.of)), columns


def lift_keyed_tiles(plan: Plan, events: Events, matched: list[Bool]) -> KeyedRows:
    """Return one row an event and track that wants it, unsorted, at the finest grain: the event's own second."""
    parts = [empty_keyed_tiles(plan, len(events.users))]
    height, width = len(parts[0].keys), len(parts[0].sums)
    for index, track in enumerate(plan.keyed_tracks):
        wanted, columns = wanted_by(plan, track, events, matched)
        rows = np.flatnonzero(wanted)
        sums = np.zeros((width, len(rows)))
        if track.of is not None:
            sums[0] = events.columns[track.of][rows]
        group = pack_keys(events.user[rows], events.time_us[rows] // 1_000_000, index)
        parts.append(KeyedRows(group, lift_keys(columns, height, rows), np.ones(len(rows), np.int64), sums))
    return side_by_side(parts)


def join_keyed_tiles(plan: Plan, a: KeyedRows, b: KeyedRows, clock_us: I64) -> KeyedRows:
    """Return the rows of both, placed on the time axis of each user's clock (n,), added up and cut."""
    rows = side_by_side([a, b])
    if len(rows) == 0:
        return rows
    group, kept = place_keys(plan.keyed_axes, rows.group, clock_us)
    rows = KeyedRows(group, rows.keys, rows.weight, rows.sums)
    if not kept.all():
        rows = rows.take(kept)
    most = np.array([one.most_keys for one in plan.keyed_tracks], np.int64)
    return cut(add_up(rows), lambda group: most[group & (MAX_TRACKS - 1)])


def recode_keyed_tiles(plan: Plan, rows: KeyedRows, becomes: I64) -> KeyedRows:
    """Return the rows with their string codes exchanged: code c for `becomes[c]`."""
    return recode_keys(rows, text_columns(plan.layout.keyed_kinds), tracks_of(rows.group), becomes)
