"""Tiles that hold a few items or a sketch; hlls.py and klls.py say what those are.

    u1 flags: 1 if the high sizes are there, 2 if numbers are single precision
    u4 tiles E
    u4 start in seconds x E, ascending; 0 is the lifetime tile
    u1 track x E, u2 if the layout has more than 256, ascending within a start; nothing if it has one
    u1 x E and, if marked, u1 x E                     low and high byte of how many items a tile holds; 0 is a sketch
    items, 4 bytes each, tile by tile, ascending; 8 if they are numbers and not marked as single precision
    the sketches, as columns

A layout without such tracks has no bytes here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import ends_of, need
from user_state.codec.cut import Cut
from user_state.core.events import I64, Bool
from user_state.core.tiles import MAX_TRACKS, START_BITS, TRACK_BITS, USER_SHIFT, pack_keys

HIGH, SINGLE = 1, 2
EMPTY = bytes(5)
_HEAD = struct.Struct("<BI")
_HEAD_COLUMNS = np.dtype([("flags", "u1"), ("tiles", "<u4")])


@dataclass(frozen=True)
class UnpackedTiles:
    """The tiles of n records.

    Attributes:
        cut: the sections, of which the sketches are left.
        key: (m,) tile of each item, as in the core.
        items: (m,) uint32, or float64 numbers.
        single: (n,) whether a record's numbers are single precision.
        dense_key: (d,) tiles that hold sketches.
    """

    cut: Cut
    key: I64
    items: npt.NDArray[Any]
    single: Bool
    dense_key: I64


def unpack_sketch_tiles(blobs: Sequence[bytes], tracks: int, what: str, wide: bool) -> UnpackedTiles:
    """Return the tiles of n records.

    Args:
        blobs: each record's section.
        tracks: how many the layout has, at least one.
        what: the section's name, for errors.
        wide: whether items are numbers, of eight bytes unless marked as single precision.

    Raises:
        CodecError: a section is not what packing makes.
    """
    cut, users = Cut(blobs, what), len(blobs)
    head = cut.head(_HEAD_COLUMNS)
    flags, tiles = head["flags"], head["tiles"].astype(np.int64)
    need(bool((flags <= (HIGH | SINGLE if wide else HIGH)).all()), f"{what} have a mark that is none")
    starts = cut.fixed("<u4", tiles).astype(np.int64)
    user, width = np.repeat(np.arange(users), tiles), _track_width(tracks)
    track = cut.fixed(f"<u{width}", tiles).astype(np.int64) if width else np.zeros(len(user), np.int64)
    need(bool((track < tracks).all()), f"{what} name a track that the layout does not have")
    sizes = cut.fixed("u1", tiles).astype(np.int64)
    high = cut.marked("u1", tiles, flags & HIGH > 0)
    if high is not None:
        sizes |= high.astype(np.int64) << 8
    key = pack_keys(user, starts, track)
    need(bool((key[1:] > key[:-1]).all()), f"{what} are not in order")
    items_of, single = np.bincount(user, sizes, users).astype(np.int64), flags & SINGLE > 0
    items = cut.floats(single, items_of) if wide else cut.fixed("<u4", items_of)
    return UnpackedTiles(cut, np.repeat(key, sizes), items, single, key[sizes == 0])


def pack_sketch_tiles(
    key: I64,
    dense_key: I64,
    sketches: Sequence[bytes],
    tracks: int,
    single: Bool,
    item_bytes: Callable[[int, int, int], bytes],
    users: int,
) -> list[bytes]:
    """Return each user's packed tiles.

    Args:
        key: (m,) tile of each item, ascending.
        dense_key: (d,) tiles that hold sketches, ascending.
        sketches: (users,) the bytes of each user's sketches.
        tracks: how many the layout has, at least one.
        single: (users,) whether a user's numbers are single precision.
        item_bytes: (user, begin, end) -> the bytes of those items, which are the user's.
        users: n.
    """
    heads = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))) if len(key) else key
    tile = np.concatenate((key[heads], dense_key))
    sizes = np.concatenate((np.diff(np.append(heads, len(key))), np.zeros(len(dense_key), np.int64)))
    order = np.argsort(tile)
    tile, sizes = tile[order], sizes[order]
    width = _track_width(tracks)
    starts = (tile >> TRACK_BITS & ((1 << START_BITS) - 1)).astype("<u4").tobytes()
    track_of = (tile & (MAX_TRACKS - 1)).astype(f"<u{width}").tobytes() if width else b""
    low, high = (sizes & 0xFF).astype("u1").tobytes(), (sizes >> 8).astype("u1").tobytes()
    user = tile >> USER_SHIFT
    marks = np.where(single, SINGLE, 0)
    marks[user[sizes > 0xFF]] |= HIGH
    ends = (ends_of(user, users), ends_of(key >> USER_SHIFT, users))
    packed = []
    e0 = i0 = 0
    for index, (mark, e, i) in enumerate(zip(marks.tolist(), *ends, strict=True)):
        pieces = [_HEAD.pack(mark, e - e0), starts[4 * e0 : 4 * e], track_of[width * e0 : width * e], low[e0:e]]
        if mark & HIGH:
            pieces.append(high[e0:e])
        if i > i0:
            pieces.append(item_bytes(index, i0, i))
        pieces.append(sketches[index])
        packed.append(b"".join(pieces))
        e0, i0 = e, i
    return packed


def _track_width(tracks: int) -> int:
    return 0 if tracks == 1 else 1 if tracks <= 256 else 2


def ascending(key: I64, items: npt.NDArray[Any], *, once: bool) -> bool:
    """Return whether items ascend within their tile, and if `once`, none comes twice."""
    grows = items[1:] > items[:-1] if once else items[1:] >= items[:-1]
    return bool((grows | (key[1:] != key[:-1])).all())
