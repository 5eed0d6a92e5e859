"""A record's tiles: when any of them begins, and which tracks have one there.

    u2 buckets B | u4 entries E | u4 wide counts O
    u4 start in seconds x B, ascending
    bit mask of tracks, ceil(tracks/8) bytes, least significant bit first, x B
    u1 count x E, in bucket then track order; 255 means: see the next wide count
    u8 wide count x O
    f8 x (entries of tracks that keep that many numbers), for the first number, the second, ...

What the numbers are is the track's kind's (user_state/core/tile_values.py).

Tracks share the starts because a user who acts acts in several tracks at once.
A layout without tracks has no bytes here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import ends_of, need, need_room
from user_state.codec.cut import Cut
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.layout import Layout
from user_state.core.tile_kinds import TRACK_COLUMNS
from user_state.core.tile_values import width_of
from user_state.core.tiles import MAX_TRACKS, Tiles, pack_keys

WIDE = 255
MOST_BUCKETS = 0xFFFF
HEAD = struct.Struct("<HII")
HEAD_COLUMNS = np.dtype([("buckets", "<u2"), ("entries", "<u4"), ("wide", "<u4")])


def empty_tiles(layout: Layout) -> bytes:
    """Return the section of a record without any tiles."""
    return bytes(HEAD.size) if layout.tracks else b""


def unpack_tiles(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> Tiles:
    """Return the tiles of n records, user i being blob i."""
    kinds = layout.track_kinds
    tracks = len(kinds)
    if tracks == 0:
        need(not any(blobs), "tiles belong to no track")
        return Tiles.empty(0)
    mask_width = -(-tracks // 8)
    cut = Cut(blobs, "tiles")
    head = cut.head(HEAD_COLUMNS)
    buckets, entries, spills = (head[name].astype(np.int64) for name in HEAD_COLUMNS.names or ())
    starts = cut.fixed("<u4", buckets)
    masks = cut.fixed("u1", mask_width * buckets)
    narrow = cut.fixed("u1", entries)
    wide = cut.fixed("<u8", spills)
    per_bucket = np.unpackbits(masks.reshape(-1, mask_width), axis=1, bitorder="little")
    bucket, track = np.nonzero(per_bucket)
    need(not per_bucket[:, tracks:].any(), "tiles name a track that the layout does not have")
    user_of_bucket = np.repeat(np.arange(len(blobs)), buckets)
    start_s = starts.astype(np.int64)
    bucket_key = pack_keys(user_of_bucket, start_s, 0)
    need(bool((bucket_key[1:] > bucket_key[:-1]).all()), "tiles are not in order")
    user = user_of_bucket[bucket]
    need(np.array_equal(np.bincount(user, minlength=len(blobs)), entries), "tiles have other counts than tracks")
    count = narrow.astype(np.int64)
    spilled = np.flatnonzero(count == WIDE)
    need(np.array_equal(np.bincount(user[spilled], minlength=len(blobs)), spills), "wide counts do not fit their marks")
    need(bool((wide < 2**62).all()), "wide counts are out of range")
    count[spilled] = wide.astype(np.int64)
    need(bool((count > 0).all()), "tiles hold nothing")
    kept = _columns_of(kinds)[track]
    values = np.zeros((width_of(kinds), len(count)))
    for number in range(len(values)):
        rows = np.flatnonzero(kept > number)
        values[number, rows] = cut.fixed("<f8", np.bincount(user[rows], minlength=len(blobs)))
    cut.end()
    return Tiles(bucket_key[bucket] | track, count, values)


def _columns_of(kinds: tuple[str, ...]) -> npt.NDArray[np.int64]:
    return np.array([TRACK_COLUMNS[kind] for kind in kinds], np.int64)


def pack_tiles(tiles: Tiles, layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed tiles."""
    kinds = layout.track_kinds
    tracks = len(kinds)
    if tracks == 0:
        return [b""] * users
    track = tiles.track
    bucket_key = tiles.key & ~np.int64(MAX_TRACKS - 1)
    first = np.flatnonzero(np.concatenate(([True], bucket_key[1:] != bucket_key[:-1]))) if len(track) else track
    bucket_of_entry = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(track))))
    bits = np.zeros((len(first), tracks), np.uint8)
    bits[bucket_of_entry, track] = 1
    mask_width = -(-tracks // 8)
    masks = np.packbits(bits, axis=1, bitorder="little").tobytes()
    starts = tiles.start_s[first].astype("<u4").tobytes()
    narrow = np.minimum(tiles.count, WIDE).astype("u1").tobytes()
    spilled = tiles.count >= WIDE
    wide = tiles.count[spilled].astype("<u8").tobytes()
    user = tiles.user
    kept = _columns_of(kinds)[track]
    rows_of = [np.flatnonzero(kept > number) for number in range(len(tiles.values))]
    numbers = [of[rows].astype("<f8").tobytes() for of, rows in zip(tiles.values, rows_of, strict=True)]
    number_ends = zip(*(ends_of(user[rows], users) for rows in rows_of), strict=True)
    ends = [
        ends_of(user[first], users),
        ends_of(user, users),
        ends_of(user[spilled], users),
    ]
    packed = []
    b0 = e0 = o0 = 0
    begins: Sequence[int] = [0] * len(numbers)
    for (b, e, o), until in zip(zip(*ends, strict=True), number_ends if rows_of else repeat(()), strict=False):
        need_room(b - b0, MOST_BUCKETS, "tiles that begin at different times")
        packed.append(
            b"".join(
                (
                    HEAD.pack(b - b0, e - e0, o - o0),
                    starts[4 * b0 : 4 * b],
                    masks[mask_width * b0 : mask_width * b],
                    narrow[e0:e],
                    wide[8 * o0 : 8 * o],
                    *(of[8 * v0 : 8 * v] for of, v0, v in zip(numbers, begins, until, strict=True)),
                )
            )
        )
        b0, e0, o0, begins = b, e, o, until
    return packed
