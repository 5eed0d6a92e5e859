"""A record's approximate distinct counts: tiles (above) whose items are coupons and whose sketches are registers.

    coupon      u4: 26 bits of address, and above them the register's value, 1 to 63
    registers   u1 base | u1 x 2^lg_k / 2: two registers each, less the base, the even one in the low four bits;
                15 means: see the next high value | u1 x as many high values

Source: `HLL_4` of DataSketches, whose registers are packed in this way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import column, need
from user_state.codec.sketch_tiles import EMPTY, ascending, pack_sketch_tiles, unpack_sketch_tiles
from user_state.codec.strings import Dictionaries
from user_state.core.coupons import ADDRESS_BITS, GREATEST_REGISTER, Registers
from user_state.core.events import I64
from user_state.core.hll_tiles import HllTiles
from user_state.core.layout import Layout

_HIGH = 15


def empty_hlls(layout: Layout) -> bytes:
    """Return the section of a record without any tiles."""
    return EMPTY if layout.hlls else b""


def unpack_hlls(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> HllTiles:
    """Return the tiles of n records."""
    if not layout.hlls:
        need(not any(blobs), "distinct counts are of no layout")
        return HllTiles.empty()

    def cut(blob: bytes, at: int, track: int, _single: bool) -> tuple[Registers, int]:
        return _unpack_registers(blob, at, 1 << layout.hlls[track].lg_k)

    tiles = unpack_sketch_tiles(blobs, len(layout.hlls), "distinct counts", False, cut)
    coupon = column(tiles.items, "<u4").astype(np.int64)
    need(bool((coupon >> ADDRESS_BITS > 0).all()), "coupons have no value")
    need(ascending(tiles.key, coupon, once=True), "coupons are not in order")
    return HllTiles(tiles.key, coupon, tiles.dense_key, tiles.sketches)


def _unpack_registers(blob: bytes, at: int, size: int) -> tuple[Registers, int]:
    end = at + 1 + size // 2
    need(len(blob) >= end, "registers are cut off")
    pairs = np.frombuffer(blob, np.uint8, size // 2, at + 1)
    registers = np.stack((pairs & 0xF, pairs >> 4), axis=1).ravel()
    high = np.flatnonzero(registers == _HIGH)
    listed = np.frombuffer(blob[end : end + len(high)], np.uint8)
    need(len(listed) == len(high), "registers are cut off")
    base = blob[at]
    # No sum of two such bytes is beyond a byte.
    need(base <= GREATEST_REGISTER, "registers are out of range")
    registers += np.uint8(base)
    need(bool((listed >= base + _HIGH).all()), "registers are not packed as they could be")
    registers[high] = listed
    need(bool((registers <= GREATEST_REGISTER).all()), "registers are out of range")
    return registers, end + len(high)


def pack_hlls(tiles: HllTiles, layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed tiles."""
    if not layout.hlls:
        return [b""] * users
    coupons = tiles.coupon.astype("<u4").tobytes()
    return pack_sketch_tiles(
        tiles.key,
        tiles.dense_key,
        [_pack_registers(registers) for registers in tiles.registers],
        len(layout.hlls),
        np.zeros(users, np.bool_),
        lambda _user, begin, end: coupons[4 * begin : 4 * end],
        users,
    )


def _pack_registers(registers: Registers) -> bytes:
    base = int(registers.min())
    nibbles = np.minimum(registers - np.uint8(base), _HIGH)
    high = registers[nibbles == _HIGH]
    return b"".join((bytes((base,)), (nibbles[::2] | nibbles[1::2] << 4).tobytes(), high.tobytes()))
