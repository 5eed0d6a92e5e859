"""Approximate quantiles: for each (user, tile, track) the field's values, or a KLL sketch once there are more than k.

Tiles lie on the time axis of their track (track_axes.py) and are rolled up by putting their values together, or
by merging their sketches (user_state/core/kll.py). Whether a tile holds values or a sketch depends on how many there
are, hence on the set of its events alone; what a sketch has kept of them is drawn by lot, within its error.

A window is read by putting all its tiles' numbers side by side, each with how many it stands for. The q-quantile is the
least number that at least a share q of the values do not exceed; 0 and 1 are the least and the greatest value, exactly.
While all tiles of a window hold values, every quantile is exact. Otherwise each sketch's rank is off by at most its
error times what it has seen (in 99 of 100 cases), so the whole is off by no more than that share of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.kll import Kll, Klls, unite
from user_state.core.ordering import order_by_number
from user_state.core.outputs import ApproxQuantilesOutput
from user_state.core.plan import Plan
from user_state.core.ragged import run_heads
from user_state.core.tile_items import join_items
from user_state.core.tiles import MAX_TRACKS, START_BITS, TRACK_BITS, USER_SHIFT, pack_keys, place_keys

ROUNDING = 1e-9
"""Ranks that are whole numbers but for the rounding of `share * count` are taken for those."""


@dataclass(frozen=True)
class KllTiles:
    """The tiles of n users; no tile is both among the values and among the sketches.

    Attributes:
        key: (m,) user, start and track of a value's tile, packed as in `tiles.py`; ascending.
        value: (m,) ascending within a tile.
        dense_key: (d,) user, start and track of tiles that hold sketches; ascending.
        dense: (d,) the sketches, of the track's k.
    """

    key: I64
    value: F64
    dense_key: I64
    dense: Klls

    @property
    def sketches(self) -> tuple[Kll, ...]:
        """(d,) the sketches, one by one."""
        return tuple(self.dense.listed(range(len(self.dense))))

    @classmethod
    def empty(cls) -> KllTiles:
        """Return no tiles."""
        return cls.of_values(np.empty(0, np.int64), np.empty(0))

    @classmethod
    def of_values(cls, key: I64, value: F64) -> KllTiles:
        """Return tiles without sketches."""
        return cls(key, value, np.empty(0, np.int64), Klls.of(()))


def lift_klls(plan: Plan, events: Events, matched: list[Bool]) -> KllTiles:
    """Return one value an event and track that wants it, unsorted, in tiles of the event's own second."""
    keys, values = [np.empty(0, np.int64)], [np.empty(0)]
    for index, track in enumerate(plan.klls):
        rows = np.flatnonzero(matched[track.filter] & events.has(plan, track.of))
        keys.append(pack_keys(events.user[rows], events.time_us[rows] // 1_000_000, index))
        # Adding 0 makes -0 and 0 one number, whose place in a tile does not depend on which came first.
        values.append(events.columns[track.of][rows].astype(np.float64) + 0.0)
    return KllTiles.of_values(np.concatenate(keys), np.concatenate(values))


def join_klls(plan: Plan, a: KllTiles, b: KllTiles, clock_us: I64) -> KllTiles:
    """Return the tiles of both, placed on the time axis of each user's clock (n,), equal ones put together."""
    tracks = plan.klls
    if not tracks:
        return a
    both = np.concatenate((a.key, b.key)), np.concatenate((a.value, b.value))
    key, value = join_items(plan.kll_axes, *both, clock_us)
    heads = run_heads(key)
    sizes = np.diff(np.append(heads, len(key)))
    tile = key[heads]
    grown = sizes > np.array([track.k for track in tracks], np.int64)[tile & (MAX_TRACKS - 1)]
    if len(a.dense_key) + len(b.dense_key) == 0 and not grown.any():
        return KllTiles.of_values(key, value)
    dense_key, dense_kept = place_keys(plan.kll_axes, np.concatenate((a.dense_key, b.dense_key)), clock_us)
    order = np.flatnonzero(dense_kept)
    order = order[np.argsort(dense_key[order], kind="stable")]
    dense_key, dense = dense_key[order], a.dense.beside(b.dense).take(order)
    grown |= np.isin(tile, dense_key)
    again = np.zeros(len(dense_key), np.bool_)
    again[1:] = dense_key[1:] == dense_key[:-1]
    again[:-1] |= again[1:]
    again |= np.isin(dense_key, tile[grown])
    # Few tiles change in a batch: those are united one by one, the others stay the columns they are.
    held: dict[int, list[Kll]] = {}
    changed = np.flatnonzero(again).tolist()
    for at, sketch in zip(dense_key[again].tolist(), dense.listed(changed), strict=True):
        held.setdefault(at, []).append(sketch)
    added = {
        at: value[begin : begin + size]
        for at, begin, size in zip(tile[grown].tolist(), heads[grown].tolist(), sizes[grown].tolist(), strict=True)
    }
    united = list(dict.fromkeys((*held, *added)))
    nothing = np.empty(0)
    fresh = Klls.of([unite(tracks[at & (MAX_TRACKS - 1)].k, held.get(at, []), added.get(at, nothing)) for at in united])
    alive = np.concatenate((dense_key[~again], np.array(united, np.int64)))
    order = np.argsort(alive)
    few = np.repeat(~grown, sizes)
    return KllTiles(key[few], value[few], alive[order], dense.take(np.flatnonzero(~again)).beside(fresh).take(order))


@dataclass(frozen=True)
class Ends:
    """The least and the greatest number that each sketch saw, with its user and the first second of its tile."""

    user: I64
    start_s: I64
    least: F64
    greatest: F64


@dataclass(frozen=True)
class Numbers:
    """What the tiles of one track hold, sorted by (user, value).

    Attributes:
        user, start_s: (m,) whose, and the first second of the tile.
        value: (m,) a number, from a tile of values or a sketch.
        weight: (m,) how many values it stands for.
        ends: the least and the greatest that sketches saw, known apart from their numbers.
    """

    user: I64
    start_s: I64
    value: F64
    weight: I64
    ends: Ends


def numbers_of(tiles: KllTiles, track: int) -> Numbers:
    """Return what the tiles of a track hold."""
    key, value = tiles.key, tiles.value
    mine = key & (MAX_TRACKS - 1) == track
    if not mine.all():
        key, value = key[mine], value[mine]
    weight = np.ones(len(value), np.int64)
    rows = np.flatnonzero(tiles.dense_key & (MAX_TRACKS - 1) == track)
    dense_key = tiles.dense_key[rows]
    if len(rows):
        dense = tiles.dense if len(rows) == len(tiles.dense) else tiles.dense.take(rows)
        key = np.concatenate((key, np.repeat(dense_key, dense.counts)))
        value, weight = np.concatenate((value, dense.numbers)), np.concatenate((weight, dense.weights))
    order = order_by_number(key >> USER_SHIFT, value)
    key = key.take(order)
    ends = Ends(dense_key >> USER_SHIFT, _start_s(dense_key), tiles.dense.least[rows], tiles.dense.greatest[rows])
    return Numbers(key >> USER_SHIFT, _start_s(key), value.take(order), weight.take(order), ends)


def read_quantiles(numbers: Numbers, output: ApproxQuantilesOutput, since_s: int, users: int) -> F64:
    """Return (n, quantiles) of the values in tiles that start at or after `since_s`, 0 for lifetime."""
    quantiles = np.array(output.quantiles)
    inside = numbers.start_s >= since_s
    user, value, weight = numbers.user, numbers.value, numbers.weight
    if not inside.all():
        user, value, weight = user[inside], value[inside], weight[inside]
    found = np.full((users, len(quantiles)), output.empty)
    if len(value) == 0:
        return found
    edges = np.searchsorted(user, np.arange(users + 1))
    begin, end = edges[:-1], edges[1:]
    reached = np.zeros(len(weight) + 1, np.int64)
    weight.cumsum(out=reached[1:])
    seen = reached[end] - reached[begin]
    some = np.flatnonzero(seen > 0)
    rank = np.maximum(np.ceil(quantiles * seen[some, None] - ROUNDING).astype(np.int64), 1)
    found[some] = value[np.searchsorted(reached, reached[begin[some], None] + rank) - 1]
    ends, extremes = numbers.ends, ((0, np.minimum, "least"), (1, np.maximum, "greatest"))
    sketches = np.flatnonzero(ends.start_s >= since_s)
    for share, further, name in extremes if len(sketches) else ():
        for column in np.flatnonzero(quantiles == share).tolist():
            further.at(found[:, column], ends.user[sketches], getattr(ends, name)[sketches])
    return found


def _start_s(key: Any) -> Any:
    return key >> TRACK_BITS & ((1 << START_BITS) - 1)
