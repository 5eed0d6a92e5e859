"""Approximate distinct counts: for each (user, tile, track) the values seen, as coupons while they are few.

A tile holds a set of coupons until registers are shorter, and registers from then on (user_state/core/coupons.py).
Which of the two it holds depends on how many coupons it has, hence on the set of its events, as both do; so joining is
commutative and associative to the bit. Tiles lie on the time axis of their track (track_axes.py), and are rolled up
by union. A window is read by uniting its tiles: exact but for coupons that collide while none of them holds
registers, within the error of those otherwise.

Coupons are rows side by side, joined by one sort for all users and tracks; so are the registers of all tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from user_state.core.coupons import (
    ADDRESS_BITS,
    COUPON_BITS,
    Registers,
    coupons_of,
    estimates,
    most_coupons,
    unite_registers,
)
from user_state.core.events import F64, I64, Bool, Events
from user_state.core.nested_windows import shortest_windows, take_over
from user_state.core.plan import Plan
from user_state.core.ragged import begins_of, elements_of, run_heads
from user_state.core.tile_items import join_items
from user_state.core.tiles import MAX_TRACKS, START_BITS, TRACK_BITS, USER_SHIFT, pack_keys, place_keys


@dataclass(frozen=True)
class HllTiles:
    """The tiles of n users; no tile is both among the coupons and among the registers.

    Attributes:
        key: (m,) user, start and track of a coupon's tile, packed as in `tiles.py`; ascending.
        coupon: (m,) ascending within a tile, each once.
        dense_key: (d,) user, start and track of tiles that hold registers; ascending.
        sizes: (d,) how many registers each has: 2^lg_k of its track.
        flat: (sum of sizes,) the registers of all of them, tile by tile.
    """

    key: I64
    coupon: I64
    dense_key: I64
    sizes: I64
    flat: Registers

    @property
    def registers(self) -> tuple[Registers, ...]:
        """(d,) each tile's registers."""
        return tuple(np.split(self.flat, np.cumsum(self.sizes)[:-1])) if len(self.sizes) else ()

    @classmethod
    def empty(cls) -> HllTiles:
        """Return no tiles."""
        none = np.empty(0, np.int64)
        return cls.of_coupons(none, none)

    @classmethod
    def of_coupons(cls, key: I64, coupon: I64) -> HllTiles:
        """Return tiles without registers."""
        none = np.empty(0, np.int64)
        return cls(key, coupon, none, none, np.empty(0, np.uint8))


def lift_hlls(plan: Plan, events: Events, matched: list[Bool]) -> HllTiles:
    """Return one coupon an event and track that wants it, unsorted, in tiles of the event's own second."""
    keys, coupons = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    wanted = [matched[track.filter] & events.has(plan, track.of) for track in plan.hlls]
    for field in {track.of: None for track in plan.hlls}:
        mine = [index for index, track in enumerate(plan.hlls) if track.of == field]
        of_row = _coupons(plan, events, field, np.logical_or.reduce([wanted[index] for index in mine]))
        for index in mine:
            rows = np.flatnonzero(wanted[index])
            keys.append(pack_keys(events.user[rows], events.time_us[rows] // 1_000_000, index))
            coupons.append(of_row[rows])
    return HllTiles.of_coupons(np.concatenate(keys), np.concatenate(coupons))


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
    heads = run_heads(key)
    sizes = np.diff(np.append(heads, len(key)))
    tile = key[heads]
    most = np.array([most_coupons(track.lg_k) for track in tracks], np.int64)
    grown = sizes > most[tile & (MAX_TRACKS - 1)]
    if len(a.dense_key) + len(b.dense_key) == 0 and not grown.any():
        return HllTiles.of_coupons(key, coupon)
    dense_key, dense_kept = place_keys(plan.hll_axes, np.concatenate((a.dense_key, b.dense_key)), clock_us)
    dense_rows = np.flatnonzero(dense_kept)
    dense_key = dense_key[dense_rows]
    grown |= np.isin(tile, dense_key)
    alive = np.union1d(dense_key, tile[grown])
    registers = np.array([1 << track.lg_k for track in tracks], np.int64)[alive & (MAX_TRACKS - 1)]
    begins = begins_of(registers)
    flat = np.zeros(int(registers.sum()), np.uint8)
    held_sizes, held = np.concatenate((a.sizes, b.sizes)), np.concatenate((a.flat, b.flat))
    at, from_ = np.searchsorted(alive, dense_key), begins_of(held_sizes)[dense_rows]
    first = np.zeros(len(at), np.bool_)
    first[np.unique(at, return_index=True)[1]] = True
    for rows, put in ((first, _set), (~first, np.maximum.at)):
        chosen = held_sizes[dense_rows[rows]]
        put(flat, elements_of(begins[at[rows]], chosen), held[elements_of(from_[rows], chosen)])
    many = np.repeat(grown, sizes)
    coupons, tile_at = coupon[many], np.searchsorted(alive, key[many])
    # Sizes are powers of two, so this is what is left of the address.
    register = begins[tile_at] + (coupons & (registers[tile_at] - 1))
    np.maximum.at(flat, register, (coupons >> ADDRESS_BITS).astype(np.uint8))
    return HllTiles(key[~many], coupon[~many], alive, registers, flat)


def _set(into: Registers, places: I64, values: Registers) -> None:
    into[places] = values


def count_distinct(plan: Plan, sketches: HllTiles, users: int, asked: Sequence[tuple[int, int]]) -> F64:
    """Return (n, asked) how many distinct values each user has, for every (track, first second of a window)."""
    tracks = len(plan.hlls)
    starts = np.array(sorted({start_s for _, start_s in asked}), np.int64)
    windows = len(starts)
    # A coupon belongs to every window that begins at or before its tile; of its tiles the newest says which: the one
    # in the shortest window. Cell (user and track), coupon and window fit one number as long as counts for all cells
    # fit memory; the shortest window comes first.
    window, cell = shortest_windows(starts, _start_s(sketches.key)), _cells(sketches.key, tracks)
    bits = windows.bit_length()
    packed = (cell << COUPON_BITS | sketches.coupon) << bits | (windows - 1 - window)
    # Windows that have registers among their tiles are counted by those: the shortest of these by cell, -1 for none.
    dense_window = shortest_windows(starts, _start_s(sketches.dense_key))
    dense_cell = _cells(sketches.dense_key, tracks)
    by_registers = np.full(users * tracks, -1)
    by_registers[dense_cell] = dense_window  # tiles ascend with time, and the last one written stays
    counts = _count_coupons(packed[window > by_registers[cell]], windows, users * tracks)
    for index, track in enumerate(plan.hlls):
        mine = (sketches.dense_key & (MAX_TRACKS - 1) == index) & (dense_window >= 0)
        if mine.any():
            flat = sketches.flat if mine.all() else sketches.flat[np.repeat(mine, sketches.sizes)]
            tiles = flat.reshape(-1, 1 << track.lg_k)
            having = np.zeros(users * tracks, np.bool_)
            having[dense_cell[mine]] = True
            seen = packed[having[cell] & (window >= 0)]
            _count_registers(tiles, dense_window[mine], dense_cell[mine], seen, by_registers, counts)
    place = np.searchsorted(starts, [start_s for _, start_s in asked])
    return counts.reshape(windows, users, tracks)[place, :, [track for track, _ in asked]].T


def _count_coupons(packed: I64, windows: int, cells: int) -> F64:
    """Return (windows, cells) how many coupons each window has; `packed` are those, see `count_distinct`."""
    bits = windows.bit_length()
    # Stable: a sort that finds the runs that are there, one a tile.
    packed.sort(kind="stable")
    packed = packed[run_heads(packed >> bits)]
    window = windows - 1 - (packed & ((1 << bits) - 1))
    counts = np.bincount(window * cells + (packed >> (bits + COUPON_BITS)), minlength=windows * cells)
    return np.asarray(take_over(counts.reshape(windows, cells)), np.float64)


def _count_registers(tiles: Registers, window: I64, cell: I64, seen: I64, by_registers: I64, counts: F64) -> None:
    """Count anew, in `counts` (windows, cells), what windows of a track come to that have registers among their tiles.

    Args:
        tiles: (d, 2^lg_k) the track's tiles of registers, by cell and time.
        window: (d,) the shortest window that each lies in.
        cell: (d,) whose they are.
        seen: the coupons of the same cells, packed as `count_distinct` does.
        by_registers: (cells,) the shortest window that has registers.
        counts: is changed.
    """
    windows, bits = len(counts), len(counts).bit_length()
    lines = cell[run_heads(cell)]
    line_of = np.empty(counts.shape[1], np.int64)
    line_of[lines] = np.arange(len(lines))
    seen_row = (windows - 1 - (seen & ((1 << bits) - 1))) * len(lines) + line_of[seen >> (bits + COUPON_BITS)]
    coupons = seen >> bits & ((1 << COUPON_BITS) - 1)
    grid = unite_registers(tiles, window * len(lines) + line_of[cell], coupons, seen_row, windows * len(lines))
    grid = take_over(grid.reshape(windows, len(lines), -1), np.maximum)
    at_window, at_line = np.nonzero(by_registers[lines] >= np.arange(windows)[:, None])
    counts[at_window, lines[at_line]] = estimates(grid[at_window, at_line])


def _cells(key: I64, tracks: int) -> I64:
    """Return (m,) which user and track each key's tile is of."""
    return (key >> USER_SHIFT) * tracks + (key & (MAX_TRACKS - 1))


def _start_s(key: I64) -> I64:
    return np.asarray((key >> TRACK_BITS) & ((1 << START_BITS) - 1), np.int64)
