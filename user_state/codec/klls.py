"""A record's approximate quantiles: tiles (above) whose items are numbers and whose sketches are KLL levels.

    number   f8; f4 where all numbers of the record are single precision, and it is marked so
    sketch   u1 levels L x D, at most 50 | u2 numbers of a level x all L, lowest level first | f8 least x D
             | f8 greatest x D | numbers, tile by tile, level by level

A number of level i stands for 2^i of those seen. Numbers ascend within a level, but for the lowest; the highest has
some.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import ends_of, need
from user_state.codec.sketch_tiles import EMPTY, UnpackedTiles, ascending, pack_sketch_tiles, unpack_sketch_tiles
from user_state.codec.strings import Dictionaries
from user_state.core.events import F64, I64, Bool
from user_state.core.kll import MAX_LEVELS, MAX_SEEN, Klls, capacity
from user_state.core.kll_tiles import KllTiles
from user_state.core.layout import Layout
from user_state.core.ragged import begins_of
from user_state.core.tiles import MAX_TRACKS, USER_SHIFT


def empty_klls(layout: Layout) -> bytes:
    """Return the section of a record without any tiles."""
    return EMPTY if layout.klls else b""


def unpack_klls(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> KllTiles:
    """Return the tiles of n records."""
    if not layout.klls:
        need(not any(blobs), "quantiles are of no layout")
        return KllTiles.empty()

    tiles = unpack_sketch_tiles(blobs, len(layout.klls), "quantiles", True)
    value = tiles.items
    need(ascending(tiles.key, value, once=False), "numbers are not in order")
    if len(tiles.dense_key) == 0:
        tiles.cut.end()
        return KllTiles.of_values(tiles.key, value)
    k = np.array([track.k for track in layout.klls], np.int64)[tiles.dense_key & (MAX_TRACKS - 1)]
    return KllTiles(tiles.key, value, tiles.dense_key, _unpack_klls(tiles, k))


def _unpack_klls(tiles: UnpackedTiles, k: I64) -> Klls:
    """Return the sketches, of `k` (d,) each."""
    users, cut, user = len(tiles.single), tiles.cut, tiles.dense_key >> USER_SHIFT
    sketches_of = np.bincount(user, minlength=users)
    levels = cut.fixed("u1", sketches_of).astype(np.int64)
    need(bool(((levels >= 1) & (levels <= MAX_LEVELS)).all()), "sketches have no levels or too many")
    sizes = cut.fixed("<u2", np.bincount(user, levels, users).astype(np.int64)).astype(np.int64)
    least, greatest = cut.fixed("<f8", sketches_of), cut.fixed("<f8", sketches_of)
    need(bool(np.isfinite(least).all() and np.isfinite(greatest).all()), "sketches have numbers out of range")
    begins = begins_of(levels)
    counts = np.add.reduceat(sizes, begins)
    most = [capacity(*of_sketch) for of_sketch in zip(k.tolist(), levels.tolist(), strict=True)]
    need(bool(((counts >= 2) & (counts <= most)).all()), "sketches hold too few numbers or too many")
    # The library makes room for as many levels as the count of what was seen has bits, whatever it is told.
    need(bool((sizes[begins + levels - 1] > 0).all()), "sketches have a highest level without numbers")
    level = np.arange(len(sizes)) - np.repeat(begins, levels)
    # Doubles are exact as far as anything that is let pass.
    seen = np.add.reduceat(np.ldexp(sizes.astype(np.float64), level), begins)
    need(bool((seen < MAX_SEEN).all()), "sketches have seen more than there is")
    numbers = cut.floats(tiles.single, np.bincount(user, counts, users).astype(np.int64))
    cut.end()
    of_number = np.repeat(np.arange(len(levels)), counts)
    within = (numbers >= least[of_number]) & (numbers <= greatest[of_number])
    need(bool(within.all() and (least <= greatest).all()), "sketches have numbers out of range")
    run = np.repeat(np.arange(len(sizes)), sizes)
    loose = (run[1:] != run[:-1]) | (level[run[1:]] == 0)
    need(bool((loose | (numbers[1:] >= numbers[:-1])).all()), "levels are not in order")
    return Klls(levels, sizes, least, greatest, numbers)


def pack_klls(tiles: KllTiles, layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed tiles."""
    if not layout.klls:
        return [b""] * users
    single = np.ones(users, np.bool_)
    single[tiles.key[~_is_single(tiles.value)] >> USER_SHIFT] = False
    dense, dense_user = tiles.dense, tiles.dense_key >> USER_SHIFT
    number_user = np.repeat(dense_user, dense.counts)
    single[number_user[~_is_single(dense.numbers)]] = False
    with np.errstate(over="ignore"):  # what does not fit is not asked for
        narrow = tiles.value.astype("<f4").tobytes()
    full = tiles.value.astype("<f8").tobytes()
    single_of = single.tolist()
    return pack_sketch_tiles(
        tiles.key,
        tiles.dense_key,
        _pack_sketches(dense, dense_user, number_user, single_of),
        len(layout.klls),
        single,
        lambda user, begin, end: narrow[4 * begin : 4 * end] if single_of[user] else full[8 * begin : 8 * end],
        users,
    )


def _is_single(numbers: F64) -> Bool:
    with np.errstate(over="ignore"):
        return np.asarray(numbers.astype(np.float32) == numbers, np.bool_)


def _pack_sketches(dense: Klls, user: I64, number_user: I64, single_of: list[bool]) -> list[bytes]:
    """Return each user's packed sketches, given the user of each sketch and number."""
    users = len(single_of)
    if len(dense) == 0:
        return [b""] * users
    sizes, least, greatest = dense.sizes.astype("<u2"), dense.least.astype("<f8"), dense.greatest.astype("<f8")
    parts = [part.tobytes() for part in (dense.levels.astype("u1"), sizes, least, greatest)]
    widths = (1, 2, 8, 8)
    with np.errstate(over="ignore"):  # what does not fit is not asked for
        narrow = dense.numbers.astype("<f4").tobytes()
    full = dense.numbers.astype("<f8").tobytes()
    of_sketch, of_level = ends_of(user, users), ends_of(np.repeat(user, dense.levels), users)
    rows = zip(of_sketch, of_level, ends_of(number_user, users), single_of, strict=True)
    packed = []
    d0 = l0 = n0 = 0
    for d, level, n, single in rows:
        begins, ends = (d0, l0, d0, d0), (d, level, d, d)
        columns = [p[w * b : w * e] for p, w, b, e in zip(parts, widths, begins, ends, strict=True)]
        packed.append(b"".join((*columns, narrow[4 * n0 : 4 * n] if single else full[8 * n0 : 8 * n])))
        d0, l0, n0 = d, level, n
    return packed
