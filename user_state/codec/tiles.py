"""A record's tiles: one time axis, and which tracks have something at each point of it.

    u2 buckets B | u4 entries E | u4 wide counts O
    u4 start in seconds x B, ascending
    bit mask of tracks, ceil(tracks/8) bytes, least significant bit first, x B
    u1 count x E, in bucket then track order; 255 means: see the next wide count
    u8 wide count x O
    f8 sum x (entries of tracks that have sums)

Tracks share the axis because a user who acts acts in several tracks at once: the start is stored once for all.
A layout without tracks has no bytes here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import column, ends_of, need
from user_state.core.tiles import MAX_TRACKS, Tiles, pack_keys

WIDE = 255
HEAD = struct.Struct("<HII")


def unpack_tiles(blobs: Sequence[bytes], has_sums: npt.NDArray[np.bool_]) -> Tiles:
    """Return the tiles of n records, user i being blob i; `has_sums` (tracks,)."""
    tracks = len(has_sums)
    if tracks == 0:
        need(not any(blobs), "tiles belong to no track")
        return Tiles.empty()
    mask_width = -(-tracks // 8)
    starts, masks, narrow, wide, sums = [], [], [], [], []
    buckets, entries, spills, summed_entries = [], [], [], []
    for blob in blobs:
        need(len(blob) >= HEAD.size, "tiles are cut off")
        b, e, o = HEAD.unpack_from(blob)
        at = HEAD.size
        starts.append(blob[at : (at := at + 4 * b)])
        masks.append(blob[at : (at := at + mask_width * b)])
        narrow.append(blob[at : (at := at + e)])
        wide.append(blob[at : (at := at + 8 * o)])
        sums.append(blob[at:])
        need(len(blob) >= at and (len(blob) - at) % 8 == 0, "tiles are cut off")
        buckets.append(b)
        entries.append(e)
        spills.append(o)
        summed_entries.append((len(blob) - at) // 8)
    per_bucket = np.unpackbits(column(masks, "u1").reshape(-1, mask_width), axis=1, bitorder="little")
    bucket, track = np.nonzero(per_bucket)
    need(not per_bucket[:, tracks:].any(), "tiles name a track that the layout does not have")
    user_of_bucket = np.repeat(np.arange(len(blobs)), buckets)
    start_s = column(starts, "<u4").astype(np.int64)
    bucket_key = pack_keys(user_of_bucket, start_s, 0)
    need(bool((bucket_key[1:] > bucket_key[:-1]).all()), "tiles are not in order")
    user = user_of_bucket[bucket]
    need(np.array_equal(np.bincount(user, minlength=len(blobs)), entries), "tiles have other counts than tracks")
    count = column(narrow, "u1").astype(np.int64)
    spilled = np.flatnonzero(count == WIDE)
    values = column(wide, "<u8")
    need(np.array_equal(np.bincount(user[spilled], minlength=len(blobs)), spills), "wide counts do not fit their marks")
    need(bool((values < 2**62).all()), "wide counts are out of range")
    count[spilled] = values.astype(np.int64)
    need(bool((count > 0).all()), "tiles hold nothing")
    total = np.zeros(len(count))
    summed = has_sums[track]
    joined = column(sums, "<f8")
    need(
        np.array_equal(np.bincount(user[summed], minlength=len(blobs)), summed_entries), "sums do not fit their tracks"
    )
    need(bool(np.isfinite(joined).all()), "sums are not finite")
    total[summed] = joined
    return Tiles(bucket_key[bucket] | track, count, total)


def pack_tiles(tiles: Tiles, users: int, has_sums: npt.NDArray[np.bool_]) -> list[bytes]:
    """Return each user's packed tiles."""
    tracks = len(has_sums)
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
    summed = has_sums[track]
    sums = tiles.total[summed].astype("<f8").tobytes()
    user = tiles.user
    ends = [
        ends_of(user[first], users),
        ends_of(user, users),
        ends_of(user[spilled], users),
        ends_of(user[summed], users),
    ]
    packed = []
    b0 = e0 = o0 = s0 = 0
    for b, e, o, s in zip(*ends, strict=True):
        packed.append(
            b"".join(
                (
                    HEAD.pack(b - b0, e - e0, o - o0),
                    starts[4 * b0 : 4 * b],
                    masks[mask_width * b0 : mask_width * b],
                    narrow[e0:e],
                    wide[8 * o0 : 8 * o],
                    sums[8 * s0 : 8 * s],
                )
            )
        )
        b0, e0, o0, s0 = b, e, o, s
    return packed
