"""A record's keyed tiles: which tiles there are, which keys each has, and what each key comes to.

No bytes where there are no tiles; else

    u4 tiles T | u2 lifetime tiles L, the first of them | u4 first second of the others
    u1 width x 7, of the columns marked w (narrow.py)
    w seconds from the tile before x (T - L)
    w track x T
    w keys x T                        R keys in all
    w rest x T                        events of keys that are no longer kept
    w texts, w numbers of the keys    see keys.py
    u1 count x R                      255 means: see the next wide count
    w wide count, for as many as there are
    f8 sum x (keys of tracks that sum)
    f8 sum x (rests of tracks that sum)

Tiles ascend by second and track. A layout without keyed tracks has no bytes here. Counts end at 2^48, and stay there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import ends_of, need
from user_state.codec.cut import Cut
from user_state.codec.keys import ascending, columns_of, key_numbers, key_strings, keys_of, slots_of
from user_state.codec.narrow import U64, pack_narrow
from user_state.codec.strings import Dictionaries
from user_state.core.events import F64, I64
from user_state.core.keyed_rows import REST, KeyedRows, height_of, side_by_side
from user_state.core.keyed_tiles import starts_s_of, tracks_of, users_of
from user_state.core.layout import Layout
from user_state.core.ragged import begins_of
from user_state.core.tiles import pack_keys

HEAD = struct.Struct("<IHI7B")
_HEAD_COLUMNS = np.dtype([("tiles", "<u4"), ("lifetime", "<u2"), ("first_s", "<u4"), ("widths", "u1", (7,))])
WIDE = 255
LARGEST = 1 << 48
MOST_KEYS = 1 << 14


def keyed_tile_strings(rows: KeyedRows, layout: Layout) -> list[tuple[I64, I64]]:
    """Return (user, code) of every column of strings that keys have."""
    if not layout.keyed_tiles:
        return []
    return key_strings(users_of(rows.group), tracks_of(rows.group), rows.keys, rows.rest, layout.keyed_kinds)


def pack_keyed_tiles(rows: KeyedRows, layout: Layout, string_numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed keyed tiles; `string_numbers` as `keyed_tile_strings` gave the columns."""
    if len(rows) == 0:
        return [b""] * users
    numbers = key_numbers(tracks_of(rows.group), rows.keys, rows.rest, layout.keyed_kinds, string_numbers)
    order = np.lexsort((*numbers[::-1], rows.rest, rows.group))
    rows, numbers = rows.take(order), numbers[:, order]
    rest = rows.rest
    tiles = np.unique(rows.group)
    tile_of_row = np.searchsorted(tiles, rows.group)
    rest_of = np.zeros(len(tiles), np.int64)
    rest_of[tile_of_row[rest]] = np.minimum(rows.weight[rest], LARGEST)
    kept = rows.take(~rest)
    counts = np.minimum(kept.weight, LARGEST)
    kept_user, numbers = users_of(kept.group), numbers[:, ~rest]
    texts, others = (slots_of(kept_user, tracks_of(kept.group), held) for held in columns_of(layout.keyed_kinds))
    spilled = np.flatnonzero(counts >= WIDE)
    user, start_s = users_of(tiles), starts_s_of(tiles)
    later = np.flatnonzero(start_s > 0)
    first_s, steps = _steps(start_s[later], user[later], users)
    columns = [
        pack_narrow(values, np.bincount(of_user, minlength=users))
        for values, of_user in (
            (steps, user[later]),
            (tracks_of(tiles), user),
            (np.bincount(tile_of_row[~rest], minlength=len(tiles)), user),
            (rest_of, user),
            (numbers[texts], kept_user[texts[1]]),
            (numbers[others], kept_user[others[1]]),
            (counts[spilled], kept_user[spilled]),
        )
    ]
    widths = list(zip(*(widths for widths, _ in columns), strict=True))
    cells = list(zip(*(packed for _, packed in columns), strict=True))
    narrow_counts = np.minimum(counts, WIDE).astype("u1").tobytes()
    summed, sums = _pack_sums(rows, layout)
    held = zip(
        np.bincount(user, minlength=users), np.bincount(user[start_s == 0], minlength=users), first_s, strict=True
    )
    ends = zip(ends_of(kept_user, users), ends_of(summed, users), strict=True)
    packed = []
    r0 = v0 = 0
    for (count, lifetime, first), (r, v), of_user, (*before, wide) in zip(held, ends, widths, cells, strict=True):
        head = HEAD.pack(count, lifetime, first, *of_user)
        section = b"".join((head, *before, narrow_counts[r0:r], wide, sums[8 * v0 : 8 * v]))
        packed.append(section if count else b"")
        r0, v0 = r, v
    return packed


def _steps(start_s: I64, user: I64, users: int) -> tuple[I64, I64]:
    """Return (each user's first second, 0 if there is none; seconds from the tile before), users ascending."""
    first = np.ones(len(user), np.bool_)
    first[1:] = user[1:] != user[:-1]
    first_s = np.zeros(users, np.int64)
    first_s[user[first]] = start_s[first]
    return first_s, np.where(first, 0, np.diff(start_s, prepend=0))


def _pack_sums(rows: KeyedRows, layout: Layout) -> tuple[I64, bytes]:
    """Return (the user of each sum, the sums' bytes), users one after the other, sums of rests last."""
    summed = np.flatnonzero(_sums(layout)[tracks_of(rows.group)])
    user = users_of(rows.group[summed])
    order = np.lexsort((rows.rest[summed], user))
    sums = rows.sums[0, summed[order]] if len(rows.sums) else np.empty(0)
    return user[order], sums.astype("<f8").tobytes()


def _sums(layout: Layout) -> npt.NDArray[np.bool_]:
    return np.array([track.sums for track in layout.keyed_tiles], np.bool_)


@dataclass(frozen=True)
class _Tiles:
    """The tiles of n records: group, keys and rest of each, and where their keys' columns begin and how wide they are.

    Attributes:
        cut: sections of which the tiles' columns are cut off.
        widths: (7, n).
        group, keys, rest: (tiles,).
    """

    cut: Cut
    widths: I64
    group: I64
    keys: I64
    rest: I64


def unpack_keyed_tiles(blobs: Sequence[bytes], layout: Layout, dictionaries: Dictionaries) -> KeyedRows:
    """Return the keyed tiles of n records, user i being blob i."""
    kinds_of, sums = layout.keyed_kinds, _sums(layout)
    height, users = height_of(kinds_of), len(blobs)
    if not any(blobs):
        return KeyedRows.empty(height, layout.keyed_width, np.int64)
    need(bool(kinds_of), "keyed tiles belong to no track")
    tiles = _unpack_tiles(blobs, len(kinds_of))
    cut, widths = tiles.cut, tiles.widths
    group = np.repeat(tiles.group, tiles.keys)
    user, track = users_of(group), tracks_of(group)
    texts, others = (slots_of(user, track, held) for held in columns_of(kinds_of))
    numbers = np.zeros((height, len(group)), np.uint64)
    for slots, width in ((texts, widths[4]), (others, widths[5])):
        numbers[slots] = cut.narrow(width, np.bincount(user[slots[1]], minlength=users))
    need(bool(ascending(group, numbers).all()), "keyed tiles have keys that are not in order")
    count = cut.fixed("u1", np.bincount(user, minlength=users)).astype(np.int64)
    spilled = np.flatnonzero(count == WIDE)
    count[spilled] = _counts(cut.narrow(widths[6], np.bincount(user[spilled], minlength=users)))
    need(bool((count > 0).all()), "keyed tiles have keys that hold nothing")
    left = np.flatnonzero(tiles.rest)
    left_group = tiles.group[left]
    kept_sums, left_sums = (
        _unpack_sums(cut, users_of(of), sums[tracks_of(of)], layout.keyed_width, users) for of in (group, left_group)
    )
    cut.end()
    keys = keys_of(numbers, user, track, kinds_of, dictionaries, "keyed tiles")
    kept = KeyedRows(group, keys, count, kept_sums)
    if len(left) == 0:
        return kept
    rests = KeyedRows(left_group, np.full((height, len(left)), REST), tiles.rest[left], left_sums)
    rows = side_by_side([kept, rests])
    return rows.take(np.argsort(rows.group, kind="stable"))


def _unpack_tiles(blobs: Sequence[bytes], tracks: int) -> _Tiles:
    cut = Cut(blobs, "keyed tiles")
    head = cut.head(_HEAD_COLUMNS, optional=True)
    count, lifetime, first_s = (head[name].astype(np.int64) for name in ("tiles", "lifetime", "first_s"))
    widths = head["widths"].astype(np.int64).T
    # A tile holds a key or a rest, of a byte at least: what claims to be large must be.
    need(bool((count <= cut.lengths).all() and (lifetime <= count).all()), "keyed tiles are cut off")
    need(bool(((count > 0) == (cut.lengths > 0)).all()), "keyed tiles hold nothing")
    steps = cut.narrow(widths[0], count - lifetime)
    track, keys, rest = (cut.narrow(width, count) for width in widths[1:4])
    user = np.repeat(np.arange(len(blobs)), count)
    need(bool((track < tracks).all()), "keyed tiles name a track that the layout does not have")
    need(bool((keys <= MOST_KEYS).all() and (steps < 1 << 32).all()), "keyed tiles have numbers out of range")
    need(bool((keys + _counts(rest).astype(np.uint64) > 0).all()), "keyed tiles hold nothing")
    of_user = np.bincount(user, keys.astype(np.int64), len(blobs))
    need(bool((of_user <= cut.lengths).all()), "keyed tiles are cut off")
    start_s = _starts(steps.astype(np.int64), count, lifetime, first_s)
    group = pack_keys(user, start_s, track.astype(np.int64))
    need(bool((group[1:] > group[:-1]).all()), "keyed tiles are not in order")
    return _Tiles(cut, widths, group, keys.astype(np.int64), rest.astype(np.int64))


def _starts(steps: I64, count: I64, lifetime: I64, first_s: I64) -> I64:
    """Return (tiles,) the first second of each: 0 for lifetime tiles, then from the first second on step by step."""
    user = np.repeat(np.arange(len(count)), count - lifetime)
    passed = np.cumsum(steps)
    # What was passed before each user's first: nothing before the first of all, where -1 points behind the last.
    before = np.append(passed, 0)[np.cumsum(count - lifetime) - (count - lifetime) - 1]
    start_s = first_s[user] + passed - before[user]
    need(bool(((start_s > 0) & (start_s < 1 << 32)).all()), "keyed tiles have times out of range")
    place = np.arange(int(count.sum())) - np.repeat(begins_of(count), count)
    starts = np.zeros(len(place), np.int64)
    starts[place >= np.repeat(lifetime, count)] = start_s
    return starts


def _counts(numbers: U64) -> I64:
    """Return numbers that are counts.

    Raises:
        CodecError: one is larger than counts get.
    """
    need(bool((numbers <= LARGEST).all()), "keyed tiles have counts out of range")
    return numbers.astype(np.int64)


def _unpack_sums(cut: Cut, user: I64, summed: npt.NDArray[np.bool_], width: int, users: int) -> F64:
    """Return (width, m) the sums of rows, given whether each (m,) has one."""
    sums = np.zeros((width, len(user)))
    if width:
        sums[0, summed] = cut.fixed("<f8", np.bincount(user[summed], minlength=users))
    return sums
