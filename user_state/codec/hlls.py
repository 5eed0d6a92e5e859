"""A record's approximate distinct counts: tiles (above) whose items are coupons and whose sketches are registers.

    coupon      u4: 26 bits of address, and above them the register's value, 1 to 63
    registers   u1 base x D | u1 x 2^lg_k / 2, tile by tile: two registers each, less the base, the even one in the low
                four bits; 15 means: see the next high value | u1 x as many high values

Source: `HLL_4` of DataSketches, whose registers are packed in this way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import ends_of, need
from user_state.codec.cut import Cut
from user_state.codec.sketch_tiles import EMPTY, ascending, pack_sketch_tiles, unpack_sketch_tiles
from user_state.codec.strings import Dictionaries
from user_state.core.coupons import ADDRESS_BITS, GREATEST_REGISTER, Registers
from user_state.core.events import I64
from user_state.core.hll_tiles import HllTiles
from user_state.core.layout import Layout
from user_state.core.ragged import begins_of
from user_state.core.tiles import MAX_TRACKS, USER_SHIFT

_HIGH = 15


def empty_hlls(layout: Layout) -> bytes:
    """Return the section of a record without any tiles."""
    return EMPTY if layout.hlls else b""


def unpack_hlls(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> HllTiles:
    """Return the tiles of n records."""
    if not layout.hlls:
        need(not any(blobs), "distinct counts are of no layout")
        return HllTiles.empty()

    tiles = unpack_sketch_tiles(blobs, len(layout.hlls), "distinct counts", False)
    coupon = tiles.items.astype(np.int64)
    need(bool((coupon >> ADDRESS_BITS > 0).all()), "coupons have no value")
    need(ascending(tiles.key, coupon, once=True), "coupons are not in order")
    if len(tiles.dense_key) == 0:
        tiles.cut.end()
        return HllTiles.of_coupons(tiles.key, coupon)
    sizes = np.array([1 << track.lg_k for track in layout.hlls], np.int64)[tiles.dense_key & (MAX_TRACKS - 1)]
    flat = _unpack_registers(tiles.cut, tiles.dense_key >> USER_SHIFT, sizes)
    return HllTiles(tiles.key, coupon, tiles.dense_key, sizes, flat)


def _unpack_registers(cut: Cut, user: I64, sizes: I64) -> Registers:
    """Return the registers of tiles (d,) of `sizes`, tile by tile, which is what the sections end with."""
    users = len(cut.lengths)
    base = cut.fixed("u1", np.bincount(user, minlength=users))
    # No sum of two such bytes is beyond a byte.
    need(bool((base <= GREATEST_REGISTER).all()), "registers are out of range")
    pairs = cut.fixed("u1", np.bincount(user, sizes // 2, users).astype(np.int64))
    registers = np.empty(2 * len(pairs), np.uint8)
    registers[::2], registers[1::2] = pairs & 0xF, pairs >> 4
    high = np.flatnonzero(registers == _HIGH)
    tile = np.repeat(np.arange(len(sizes)), sizes)
    registers += base[tile]
    listed = cut.fixed("u1", np.bincount(user[tile[high]], minlength=users))
    cut.end()
    need(bool((listed >= registers[high]).all()), "registers are not packed as they could be")
    registers[high] = listed
    need(bool((registers <= GREATEST_REGISTER).all()), "registers are out of range")
    return registers


def pack_hlls(tiles: HllTiles, layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed tiles."""
    if not layout.hlls:
        return [b""] * users
    coupons = tiles.coupon.astype("<u4").tobytes()
    return pack_sketch_tiles(
        tiles.key,
        tiles.dense_key,
        _pack_registers(tiles, users),
        len(layout.hlls),
        np.zeros(users, np.bool_),
        lambda _user, begin, end: coupons[4 * begin : 4 * end],
        users,
    )


def _pack_registers(tiles: HllTiles, users: int) -> list[bytes]:
    """Return each user's packed registers."""
    if len(tiles.dense_key) == 0:
        return [b""] * users
    user, tile = tiles.dense_key >> USER_SHIFT, np.repeat(np.arange(len(tiles.sizes)), tiles.sizes)
    base = np.minimum.reduceat(tiles.flat, begins_of(tiles.sizes))
    nibbles = np.minimum(tiles.flat - base[tile], _HIGH)
    high = np.flatnonzero(nibbles == _HIGH)
    columns = [base, nibbles[::2] | nibbles[1::2] << 4, tiles.flat[high]]
    parts = [part.tobytes() for part in columns]
    ends = zip(*(ends_of(of, users) for of in (user, user[tile[::2]], user[tile[high]])), strict=True)
    packed = []
    begins = (0, 0, 0)
    for of_user in ends:
        packed.append(b"".join(part[begin:end] for part, begin, end in zip(parts, begins, of_user, strict=True)))
        begins = of_user
    return packed
