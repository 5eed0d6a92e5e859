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
from user_state.core.kll import Kll, unite
from user_state.core.plan import ApproxQuantilesOutput, Plan
from user_state.core.tile_items import join_items, run_heads
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
        sketches: (d,) of the track's k.
    """

    key: I64
    value: F64
    dense_key: I64
    sketches: tuple[Kll, ...]

    @classmethod
    def empty(cls) -> KllTiles:
        """Return no tiles."""
        none = np.empty(0, np.int64)
        return cls(none, np.empty(0), none, ())


def lift_klls(plan: Plan, events: Events, matched: list[Bool]) -> KllTiles:
    """Return one value an event and track that wants it, unsorted, in tiles of the event's own second."""
    keys, values = [np.empty(0, np.int64)], [np.empty(0)]
    for index, track in enumerate(plan.klls):
        rows = np.flatnonzero(matched[track.filter] & events.has(plan, track.of))
        keys.append(pack_keys(events.user[rows], events.time_us[rows] // 1_000_000, index))
        # Adding 0 makes -0 and 0 one number, whose place in a tile does not depend on which came first.
        values.append(events.columns[track.of][rows].astype(np.float64) + 0.0)
    return KllTiles(np.concatenate(keys), np.concatenate(values), np.empty(0, np.int64), ())


def join_klls(plan: Plan, a: KllTiles, b: KllTiles, clock_us: I64) -> KllTiles:
    """Return the tiles of both, placed on the time axis of each user's clock (n,), equal ones put together."""
    tracks = plan.klls
    if not tracks:
        return a
    both = np.concatenate((a.key, b.key)), np.concatenate((a.value, b.value))
    key, value = join_items(plan.kll_axes, *both, clock_us)
    dense_key, dense_kept = place_keys(plan.kll_axes, np.concatenate((a.dense_key, b.dense_key)), clock_us)
    heads = run_heads(key)
    sizes = np.diff(np.append(heads, len(key)))
    tile = key[heads]
    ks = np.array([track.k for track in tracks], np.int64)
    grown = (sizes > ks[tile & (MAX_TRACKS - 1)]) | np.isin(tile, dense_key[dense_kept])
    held: dict[int, list[Kll]] = {}
    for at, sketch in zip(dense_key.tolist(), (*a.sketches, *b.sketches), strict=True):
        held.setdefault(at, []).append(sketch)
    added = {
        at: value[begin : begin + size]
        for at, begin, size in zip(tile[grown].tolist(), heads[grown].tolist(), sizes[grown].tolist(), strict=True)
    }
    alive = np.union1d(dense_key[dense_kept], tile[grown])
    nothing = np.empty(0)
    sketches = tuple(
        _joined(tracks[at & (MAX_TRACKS - 1)].k, held.get(at, []), added.get(at, nothing)) for at in alive.tolist()
    )
    few = np.repeat(~grown, sizes)
    return KllTiles(key[few], value[few], alive, sketches)


def _joined(k: int, sketches: list[Kll], values: F64) -> Kll:
    return sketches[0] if len(sketches) == 1 and len(values) == 0 else unite(k, sketches, values)


@dataclass(frozen=True)
class Numbers:
    """What the tiles of one track hold, sorted by (user, value).

    Attributes:
        user, start_s: (m,) whose, and the first second of the tile.
        value: (m,) a number, from a tile of values or a sketch.
        weight: (m,) how many values it stands for.
        ends: (user, first second, least, greatest) of each sketch; what these were is known apart from its numbers.
    """

    user: I64
    start_s: I64
    value: F64
    weight: I64
    ends: tuple[tuple[int, int, float, float], ...]


def numbers_of(tiles: KllTiles, track: int) -> Numbers:
    """Return what the tiles of a track hold."""
    mine = tiles.key & (MAX_TRACKS - 1) == track
    key, value = tiles.key[mine], tiles.value[mine]
    weight = np.ones(len(value), np.int64)
    dense = np.flatnonzero(tiles.dense_key & (MAX_TRACKS - 1) == track).tolist()
    held = [(int(tiles.dense_key[row]), tiles.sketches[row]) for row in dense]
    if held:
        of_dense = np.array([at for at, _ in held], np.int64)
        key = np.concatenate((key, np.repeat(of_dense, [len(sketch.numbers) for _, sketch in held])))
        value = np.concatenate((value, *(sketch.numbers for _, sketch in held)))
        weight = np.concatenate((weight, *(sketch.weights for _, sketch in held)))
    order = np.argsort(value)
    user = (key >> USER_SHIFT)[order]
    # The second sort is cheap for short integers, and nearly all batches have no more users than that.
    order = order[np.argsort(user.astype(np.uint16) if user.max(initial=0) < 1 << 16 else user, kind="stable")]
    ends = tuple((at >> USER_SHIFT, _start_s(at), sketch.least, sketch.greatest) for at, sketch in held)
    return Numbers(key[order] >> USER_SHIFT, _start_s(key[order]), value[order], weight[order], ends)


def read_quantiles(numbers: Numbers, output: ApproxQuantilesOutput, since_s: int, users: int) -> F64:
    """Return (n, quantiles) of the values in tiles that start at or after `since_s`, 0 for lifetime."""
    quantiles = np.array(output.quantiles)
    inside = numbers.start_s >= since_s
    user, value, weight = numbers.user[inside], numbers.value[inside], numbers.weight[inside]
    found = np.full((users, len(quantiles)), output.empty)
    if len(value) == 0:
        return found
    begin, end = np.searchsorted(user, np.arange(users)), np.searchsorted(user, np.arange(users), side="right")
    reached = np.concatenate(([0], np.cumsum(weight)))
    seen = reached[end] - reached[begin]
    some = np.flatnonzero(seen > 0)
    rank = np.maximum(np.ceil(quantiles * seen[some, None] - ROUNDING).astype(np.int64), 1)
    found[some] = value[np.searchsorted(reached, reached[begin[some], None] + rank) - 1]
    for of_user, start_s, least, greatest in numbers.ends:
        if start_s >= since_s:
            row = found[of_user]
            row[quantiles == 0] = np.minimum(row[quantiles == 0], least)
            row[quantiles == 1] = np.maximum(row[quantiles == 1], greatest)
    return found


def _start_s(key: Any) -> Any:
    return key >> TRACK_BITS & ((1 << START_BITS) - 1)
