"""Records of another layout, taken over: what still has the same definition stays, the rest starts empty or is dropped.

Definitions are compared by key (see `user_state.core.pieces`). Windows are not part of a key: a window that was made
longer fills as time passes, since what was rolled up or dropped before cannot come back. The layout says how much was
kept (`user_state.core.kept`), and `user_state.core.spec_change` which outputs miss something, and until when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.decays import DecayedNumbers
from user_state.core.events import I64, NULL_INT
from user_state.core.histories import LogRows
from user_state.core.hll_tiles import HllTiles
from user_state.core.keyed_decays import KeyedDecays
from user_state.core.keyed_rows import KeyedRows, height_of, with_height
from user_state.core.kll_tiles import KllTiles
from user_state.core.last_seen import LastSeenRows
from user_state.core.last_seen import pack_keys as pack_last_seen_keys
from user_state.core.layout import TIME_KIND, Layout
from user_state.core.logs import dtype_of, empty_rows, kinds_of
from user_state.core.pieces import Log
from user_state.core.plan import Plan
from user_state.core.pool import NULL_CODE
from user_state.core.profiles import DecayedBins
from user_state.core.ragged import begins_of, elements_of
from user_state.core.records import Records
from user_state.core.sessions import Sessions
from user_state.core.tile_values import width_of
from user_state.core.tiles import MAX_TRACKS, Tiles, pack_keys
from user_state.core.vectors import DecayedSums


def adopt(plan: Plan, records: Records, layout: Layout) -> Records:
    """Return `records`, which have `layout`, in the plan's layout."""
    logs = {held.key: (rows, held.fields) for held, rows in zip(layout.logs, records.logs, strict=True)}
    vectors = {held.key: part for held, part in zip(layout.vectors, records.vectors, strict=True)}
    decays = {held.key: part for held, part in zip(layout.decays, records.decays, strict=True)}
    profiles = {held.key: part for held, part in zip(layout.profiles, records.profiles, strict=True)}
    users = len(records)
    return Records(
        clock_us=records.clock_us,
        last_event_us=records.last_event_us,
        horizon_us=records.horizon_us,
        applied=records.applied,
        tiles=_adopt_tiles(plan, records.tiles, layout),
        logs=tuple(
            _adopt_log(plan, log, *logs[log.key]) if log.key in logs else empty_rows(kinds_of(plan, log))
            for log in plan.logs
        ),
        decays=tuple(
            decays.get(decay.key, DecayedNumbers.empty(users, len(decay.half_lives_us))) for decay in plan.decays
        ),
        vectors=tuple(
            vectors.get(v.key, DecayedSums.empty(users, len(v.half_lives_us), v.dimensions)) for v in plan.vectors
        ),
        last_seen=_adopt_last_seen(plan, records.last_seen, layout),
        profiles=tuple(
            profiles.get(p.key, DecayedBins.empty(users, len(p.half_lives_us), p.bins)) for p in plan.profiles
        ),
        sessions=_adopt_sessions(plan, records.sessions, layout, users),
        hlls=_adopt_hlls(plan, records.hlls, layout),
        klls=_adopt_klls(plan, records.klls, layout),
        keyed_tiles=_adopt_keyed_tiles(plan, records.keyed_tiles, layout),
        keyed_decays=_adopt_keyed_decays(plan, records.keyed_decays, layout),
        pool=records.pool,
    )


def changes(plan: Plan, layout: Layout) -> tuple[list[str], list[str]]:
    """Return (definitions that start empty, definitions that are dropped) when `layout` is taken over."""
    old, new = layout.keys, plan.layout.keys
    return sorted(new - old), sorted(old - new)


def _adopt_tiles(plan: Plan, tiles: Tiles, layout: Layout) -> Tiles:
    index_of = {track.key: index for index, track in enumerate(plan.tracks)}
    moved = np.array([index_of.get(track.key, -1) for track in layout.tracks], np.int64)
    width = width_of(plan.layout.track_kinds)
    if len(moved) == 0:
        return Tiles.empty(width)
    track = moved[tiles.track]
    kept = tiles.take(track >= 0)
    key = pack_keys(kept.user, kept.start_s, track[track >= 0])
    # The other layout may keep more numbers, or fewer, than any track of this plan; those of adopted tracks fit.
    values = np.zeros((width, len(key)))
    shared = min(width, len(kept.values))
    values[:shared] = kept.values[:shared]
    return Tiles(key, kept.count, values).take(np.argsort(key, kind="stable"))


def _adopt_last_seen(plan: Plan, rows: LastSeenRows, layout: Layout) -> LastSeenRows:
    index_of = {track.key: index for index, track in enumerate(plan.last_seen)}
    moved = np.array([index_of.get(track.key, -1) for track in layout.last_seen], np.int64)
    track = moved[rows.track]
    kept = rows.take(track >= 0)
    key = pack_last_seen_keys(kept.user, track[track >= 0])
    return LastSeenRows(key, kept.value, kept.second).take(np.argsort(key, kind="stable"))


def _adopt_keyed_tiles(plan: Plan, rows: KeyedRows, layout: Layout) -> KeyedRows:
    new = plan.layout
    rows = _moved_rows(rows, _moved([t.key for t in new.keyed_tiles], [t.key for t in layout.keyed_tiles]))
    sums = np.zeros((new.keyed_width, len(rows)))
    if len(sums) and len(rows.sums):
        sums[0] = rows.sums[0]
    return KeyedRows(rows.group, with_height(rows.keys, height_of(new.keyed_kinds)), rows.weight, sums)


def _adopt_keyed_decays(plan: Plan, part: KeyedDecays, layout: Layout) -> KeyedDecays:
    new = plan.layout
    moved = _moved([decay.key for decay in new.keyed_decays], [decay.key for decay in layout.keyed_decays])
    time_us = np.zeros((len(part.time_us), len(new.keyed_decays)), np.int64)
    time_us[:, moved[moved >= 0]] = part.time_us[:, moved >= 0]
    rows = _moved_rows(part.rows, moved)
    height = height_of(new.keyed_decay_kinds)
    return KeyedDecays(time_us, KeyedRows(rows.group, with_height(rows.keys, height), rows.weight, rows.sums))


def _moved_rows(rows: KeyedRows, moved: npt.NDArray[np.int64]) -> KeyedRows:
    """Return the rows of tracks that have a place, -1 being none, in that place; tracks are the groups' low bits."""
    if len(rows) == 0:
        return rows
    track = moved[rows.group & (MAX_TRACKS - 1)]
    group = rows.group & ~np.int64(MAX_TRACKS - 1) | track
    rows = KeyedRows(group, rows.keys, rows.weight, rows.sums).take(track >= 0)
    return rows.take(np.argsort(rows.group, kind="stable"))


def _adopt_log(plan: Plan, log: Log, rows: LogRows, fields: tuple[tuple[str, str], ...]) -> LogRows:
    columns: list[npt.NDArray[Any]] = []
    kept = {name: (kind, column) for (name, kind), column in zip(fields, rows.columns, strict=True)}
    for field in (plan.fields[index] for index in log.fields):
        kind, column = kept.get(field.name, (None, None))
        if column is not None and (kind == field.kind or (kind == TIME_KIND and field.kind == "int")):
            columns.append(column)
        elif field.name == plan.time_field:
            columns.append(rows.time_us)
        else:
            blank = {"string": NULL_CODE, "float": np.nan}.get(field.kind, NULL_INT)
            columns.append(np.full(len(rows.user), blank, dtype_of(field.kind)))
    return LogRows(rows.user, rows.time_us, rows.tie, tuple(columns))


def _adopt_sessions(plan: Plan, sessions: Sessions, layout: Layout, users: int) -> Sessions:
    index_of = {track.key: index for index, track in enumerate(plan.sessions)}
    adopted = Sessions.empty(users, len(plan.sessions))
    if not layout.sessions:
        return adopted
    moved = np.array([index_of.get(track.key, -1) for track in layout.sessions], np.int64)
    adopted.totals[:, moved[moved >= 0]] = sessions.totals[:, moved >= 0]
    track = moved[sessions.track]
    kept = sessions.take(track >= 0)
    track = track[track >= 0]
    moved_rows = Sessions(kept.user, track, kept.start_us, kept.end_us, kept.events, adopted.totals)
    return moved_rows.take(np.lexsort((kept.start_us, track, kept.user)))


def _adopt_hlls(plan: Plan, tiles: HllTiles, layout: Layout) -> HllTiles:
    moved = _moved([track.key for track in plan.hlls], [track.key for track in layout.hlls])
    key, order = _moved_keys(tiles.key, moved)
    dense_key, dense_order = _moved_keys(tiles.dense_key, moved)
    sizes = tiles.sizes[dense_order]
    flat = tiles.flat[elements_of(begins_of(tiles.sizes)[dense_order], sizes)]
    return HllTiles(key, tiles.coupon[order], dense_key, sizes, flat)


def _adopt_klls(plan: Plan, tiles: KllTiles, layout: Layout) -> KllTiles:
    moved = _moved([track.key for track in plan.klls], [track.key for track in layout.klls])
    key, order = _moved_keys(tiles.key, moved)
    dense_key, dense_order = _moved_keys(tiles.dense_key, moved)
    return KllTiles(key, tiles.value[order], dense_key, tiles.dense.take(dense_order))


def _moved(new: Sequence[str], old: Sequence[str]) -> I64:
    """Return for each of the old tracks its index among the new ones, -1 if it is gone."""
    index_of = {key: index for index, key in enumerate(new)}
    return np.array([index_of.get(key, -1) for key in old], np.int64)


def _moved_keys(key: I64, moved: I64) -> tuple[I64, I64]:
    """Return (keys with their tracks moved, ascending; the rows that they were), without tracks that are gone."""
    if len(moved) == 0:
        return key, np.arange(len(key))
    track = moved[key & (MAX_TRACKS - 1)]
    key = (key & ~np.int64(MAX_TRACKS - 1)) | track
    kept = np.flatnonzero(track >= 0)
    order = kept[np.argsort(key[kept], kind="stable")]
    return key[order], order
