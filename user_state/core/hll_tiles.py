"""Approximate distinct counts: for each (user, tile, track) the values seen, as coupons while they are few.

A tile holds a set of coupons until registers are shorter, and registers from then on (user_state/core/coupons.py).
Which of the two it holds depends on how many coupons it has, hence on the set of its events, as both do; so joining is
commutative and associative to the bit. Tiles lie on the time axis of their track (track_axes.py), and are rolled up
by union. A window is read by uniting its tiles: exact but for coupons that collide while none of them holds
registers, within the error of those otherwise.

Coupons are rows side by side, joined by one sort for all users and tracks. Registers are arrays of their own, and only
those are touched that something is joined to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from user_state.core.coupons import COUPON_BITS, Registers, coupons_of, estimate, most_coupons, put_coupons
from user_state.core.events import F64, I64, Bool, Events
from user_state.core.plan import HllTrack, Plan
from user_state.core.tile_items import join_items, run_heads
from user_state.core.tiles import MAX_TRACKS, START_BITS, TRACK_BITS, USER_SHIFT, pack_keys, place_keys


@dataclass(frozen=True)
class HllTiles:
    """The tiles of n users; no tile is both among the coupons and among the registers.

    Attributes:
        key: (m,) user, start and track of a coupon's tile, packed as in `tiles.py`; ascending.
        coupon: (m,) ascending within a tile, each once.
        dense_key: (d,) user, start and track of tiles that hold registers; ascending.
        registers: (d,) arrays (2^lg_k,) of the track's lg_k; not to be changed.
    """

    key: I64
    coupon: I64
    dense_key: I64
    registers: tuple[Registers, ...]

    @classmethod
    def empty(cls) -> HllTiles:
        """Return no tiles."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, ())


def lift_hlls(plan: Plan, events: Events, matched: list[Bool]) -> HllTiles:
    """Return one coupon an event and track that wants it, unsorted, in tiles of the event's own second."""
    none = np.empty(0, np.int64)
    keys, coupons = [none], [none]
    wanted = [matched[track.filter] & events.has(plan, track.of) for track in plan.hlls]
    for field in {track.of: None for track in plan.hlls}:
        mine = [index for index, track in enumerate(plan.hlls) if track.of == field]
        of_row = _coupons(plan, events, field, np.logical_or.reduce([wanted[index] for index in mine]))
        for index in mine:
            rows = np.flatnonzero(wanted[index])
            keys.append(pack_keys(events.user[rows], events.time_us[rows] // 1_000_000, index))
            coupons.append(of_row[rows])
    return HllTiles(np.concatenate(keys), np.concatenate(coupons), none, ())


def _coupons(plan: Plan, events: Events, field: int, wanted: Bool) -> I64:
    """Return (m,) the coupon of each event's field, 0 for those not wanted; each value is hashed once."""
    values, which = np.unique(events.columns[field][wanted], return_inverse=True)
    listed = values.tolist()
    if plan.fields[field].kind == "string":
        listed = [events.pool[code] for code in listed]
    coupons = np.zeros(len(events), np.int64)
    coupons[wanted] = coupons_of(listed)[which]
    return coupons


def join_hlls(plan: Plan, a: HllTiles, b: HllTiles, clock_us: I64) -> HllTiles:
    """Return the tiles of both, placed on the time axis of each user's clock (n,), equal ones united."""
    tracks = plan.hlls
    if not tracks:
        return a
    both = np.concatenate((a.key, b.key)), np.concatenate((a.coupon, b.coupon))
    key, coupon = join_items(plan.hll_axes, *both, clock_us)
    again = (key[1:] == key[:-1]) & (coupon[1:] == coupon[:-1])
    if again.any():
        first = np.concatenate(([True], ~again))
        key, coupon = key[first], coupon[first]
    dense_key, dense_kept = place_keys(plan.hll_axes, np.concatenate((a.dense_key, b.dense_key)), clock_us)
    heads = run_heads(key)
    sizes = np.diff(np.append(heads, len(key)))
    tile = key[heads]
    most = np.array([most_coupons(track.lg_k) for track in tracks], np.int64)
    grown = (sizes > most[tile & (MAX_TRACKS - 1)]) | np.isin(tile, dense_key[dense_kept])
    united: dict[int, Registers] = {}
    own: set[int] = set()
    for at, registers in zip(dense_key.tolist(), (*a.registers, *b.registers), strict=True):
        if at not in united:
            united[at] = registers
        else:
            united[at] = np.maximum(united[at], registers)
            own.add(at)
    for at, begin, size in zip(tile[grown].tolist(), heads[grown].tolist(), sizes[grown].tolist(), strict=True):
        if at not in own:
            held = united.get(at)
            united[at] = _registers(tracks[at & (MAX_TRACKS - 1)]) if held is None else held.copy()
        put_coupons(united[at], coupon[begin : begin + size])
    alive = np.union1d(dense_key[dense_kept], tile[grown])
    few = np.repeat(~grown, sizes)
    return HllTiles(key[few], coupon[few], alive, tuple(united[at] for at in alive.tolist()))


def _registers(track: HllTrack) -> Registers:
    return np.zeros(1 << track.lg_k, np.uint8)


def count_distinct(plan: Plan, sketches: HllTiles, users: int, asked: Sequence[tuple[int, int]]) -> F64:
    """Return (n, asked) how many distinct values each user has, for every (track, first second of a window)."""
    tracks = len(plan.hlls)
    starts = np.unique(np.array([start_s for _, start_s in asked], np.int64))
    windows = len(starts)
    # A coupon belongs to every window that begins at or before its tile; of its tiles the newest says which: the one
    # in the shortest window. Cell, coupon and window fit one number as long as counts for all cells fit memory.
    window = np.searchsorted(starts, _start_s(sketches.key), side="right") - 1
    cell = (sketches.key >> USER_SHIFT) * tracks + (sketches.key & (MAX_TRACKS - 1))
    bits = windows.bit_length()
    packed = np.sort(((cell << COUPON_BITS | sketches.coupon) << bits | (windows - 1 - window))[window >= 0])
    packed = packed[run_heads(packed >> bits)]
    window, cell = windows - 1 - (packed & ((1 << bits) - 1)), packed >> (bits + COUPON_BITS)
    coupon = packed >> bits & ((1 << COUPON_BITS) - 1)
    counts = np.bincount(cell * windows + window, minlength=users * tracks * windows).reshape(users, tracks, windows)
    counts = np.cumsum(counts[:, :, ::-1], axis=2)[:, :, ::-1]
    place = np.searchsorted(starts, [start_s for _, start_s in asked])
    found = np.stack([counts[:, track, w] for (track, _), w in zip(asked, place, strict=True)], axis=1).astype(float)
    dense_start = _start_s(sketches.dense_key)
    dense_cell = (sketches.dense_key >> USER_SHIFT) * tracks + (sketches.dense_key & (MAX_TRACKS - 1))
    for column, ((track, start_s), w) in enumerate(zip(asked, place.tolist(), strict=True)):
        inside = np.flatnonzero((dense_start >= start_s) & (dense_cell % tracks == track))
        united: dict[int, Registers] = {}
        for row in inside.tolist():
            at = int(dense_cell[row])
            mine, held = sketches.registers[row], united.get(at)
            united[at] = mine.copy() if held is None else np.maximum(mine, held)
        for at, registers in united.items():
            begin, end = np.searchsorted(cell, (at, at + 1))
            put_coupons(registers, coupon[begin:end][window[begin:end] >= w])
            found[at // tracks, column] = estimate(registers)
    return found


def _start_s(key: I64) -> I64:
    return np.asarray((key >> TRACK_BITS) & ((1 << START_BITS) - 1), np.int64)
