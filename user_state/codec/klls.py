"""A record's approximate quantiles: tiles (above) whose items are numbers and whose sketches are KLL levels.

    number   f8; f4 where all numbers of the record are single precision, and it is marked so
    sketch   u1 levels L, at most 50 | u2 numbers x L, lowest level first | f8 least | f8 greatest | numbers

A number of level i stands for 2^i of those seen. Numbers ascend within a level, but for the lowest; the highest has
some.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import column, need
from user_state.codec.sketch_tiles import EMPTY, ascending, pack_sketch_tiles, unpack_sketch_tiles
from user_state.codec.strings import Dictionaries
from user_state.core.events import F64, I64, Bool
from user_state.core.kll import MAX_LEVELS, MAX_SEEN, Kll, capacity
from user_state.core.kll_tiles import KllTiles
from user_state.core.layout import Layout
from user_state.core.tiles import USER_SHIFT


def empty_klls(layout: Layout) -> bytes:
    """Return the section of a record without any tiles."""
    return EMPTY if layout.klls else b""


def unpack_klls(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> KllTiles:
    """Return the tiles of n records."""
    if not layout.klls:
        need(not any(blobs), "quantiles are of no layout")
        return KllTiles.empty()

    def cut(blob: bytes, at: int, track: int, single: bool) -> tuple[Kll, int]:
        return _unpack_kll(blob, at, layout.klls[track].k, single)

    tiles = unpack_sketch_tiles(blobs, len(layout.klls), "quantiles", True, cut)
    value = np.empty(len(tiles.key))
    single = np.repeat(tiles.single, tiles.items_of)
    value[single] = _numbers([part for part, s in zip(tiles.items, tiles.single, strict=True) if s], 4)
    value[~single] = _numbers([part for part, s in zip(tiles.items, tiles.single, strict=True) if not s], 8)
    need(ascending(tiles.key, value, once=False), "numbers are not in order")
    return KllTiles(tiles.key, value, tiles.dense_key, tiles.sketches)


def _numbers(parts: list[bytes], width: int) -> F64:
    numbers = column(parts, f"<f{width}")
    # Before they are converted, which not every bit pattern survives without a warning.
    need(bool(np.isfinite(numbers).all()), "numbers are not finite")
    return numbers.astype(np.float64)


def _unpack_kll(blob: bytes, at: int, k: int, single: bool) -> tuple[Kll, int]:
    levels = blob[at] if at < len(blob) else 0
    ends = struct.Struct(f"<{levels}H2d")
    need(1 <= levels <= MAX_LEVELS and len(blob) >= at + 1 + ends.size, "sketches are cut off or have no levels")
    *sizes, least, greatest = ends.unpack_from(blob, at + 1)
    at += 1 + ends.size
    count, width = sum(sizes), 4 if single else 8
    need(2 <= count <= capacity(k, levels) and len(blob) >= at + width * count, "sketches are cut off or too large")
    # The library makes room for as many levels as the count of what was seen has bits, whatever it is told.
    need(sizes[-1] > 0, "sketches have a highest level without numbers")
    need(sum(size << level for level, size in enumerate(sizes)) < MAX_SEEN, "sketches have seen more than there is")
    numbers = _numbers([blob[at : at + width * count]], width)
    # What is no number compares as false.
    within = least <= greatest and bool(((numbers >= least) & (numbers <= greatest)).all())
    need(within and bool(np.isfinite((least, greatest)).all()), "sketches have numbers out of range")
    level = np.repeat(np.arange(levels), sizes)
    need(ascending(np.where(level > 0, level, -np.arange(count)), numbers, once=False), "levels are not in order")
    return Kll(tuple(sizes), least, greatest, numbers), at + width * count


def pack_klls(tiles: KllTiles, layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed tiles."""
    if not layout.klls:
        return [b""] * users
    single = np.ones(users, np.bool_)
    single[tiles.key[~_is_single(tiles.value)] >> USER_SHIFT] = False
    dense_user = tiles.dense_key >> USER_SHIFT
    for user, held in zip(dense_user.tolist(), tiles.sketches, strict=True):
        single[user] &= _is_single(held.numbers).all()
    with np.errstate(over="ignore"):  # what does not fit is not asked for
        narrow = tiles.value.astype("<f4").tobytes()
    full = tiles.value.astype("<f8").tobytes()
    single_of = single.tolist()
    return pack_sketch_tiles(
        tiles.key,
        tiles.dense_key,
        [_pack_kll(held, single_of[user]) for user, held in zip(dense_user.tolist(), tiles.sketches, strict=True)],
        len(layout.klls),
        single,
        lambda user, begin, end: narrow[4 * begin : 4 * end] if single_of[user] else full[8 * begin : 8 * end],
        users,
    )


def _is_single(numbers: F64) -> Bool:
    with np.errstate(over="ignore"):
        return np.asarray(numbers.astype(np.float32) == numbers, np.bool_)


def _pack_kll(held: Kll, single: bool) -> bytes:
    levels = len(held.sizes)
    head = struct.pack(f"<B{levels}H2d", levels, *held.sizes, held.least, held.greatest)
    return head + held.numbers.astype("<f4" if single else "<f8").tobytes()
