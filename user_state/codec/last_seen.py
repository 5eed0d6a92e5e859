"""A record's values and days last seen: the rows of all tracks, track by track, as columns.

    u1 flags: 1 if the top column is there
    u2 rows x tracks                                  N rows in all, V of them in tracks of values
    u4 newest second of them all; 0 if there are none
    u2 x N, u1 x N and, if marked, u1 x N             low, middle and top part of the seconds before the newest
    8 bytes x V                                       values: xxh64 of a string, f8 of a float, i8 of an int or bool

A track of values is in the order of its values read as i8, each value once. A track of days has one row a day, in the
order of days; the day is not stored, since it follows from the second. The top part (194 days and more before the
newest) is left out where it is zero. A layout without tracks has no bytes here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import ends_of, need
from user_state.codec.cut import Cut
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.last_seen import VALUES, LastSeenRows, pack_keys
from user_state.core.layout import Layout

TOP = 1
NARROW_S = 1 << 24


def _head(layout: Layout) -> struct.Struct:
    return struct.Struct(f"<B{len(layout.last_seen)}HI")


def _keeps_values(layout: Layout) -> npt.NDArray[np.bool_]:
    return np.array([track.kind == VALUES for track in layout.last_seen], np.bool_)


def empty_last_seen(layout: Layout) -> bytes:
    """Return the section of a record without any rows."""
    return bytes(_head(layout).size) if layout.last_seen else b""


def unpack_last_seen(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> LastSeenRows:
    """Return the rows of n records, user i being blob i."""
    tracks = len(layout.last_seen)
    if tracks == 0:
        need(not any(blobs), "values last seen belong to no track")
        return LastSeenRows.empty()
    valued, users = _keeps_values(layout), len(blobs)
    cut = Cut(blobs, "values last seen")
    head = cut.head(np.dtype([("flags", "u1"), ("rows", "<u2", (tracks,)), ("newest_s", "<u4")]))
    flags, rows_of, newest_s = head["flags"], head["rows"].astype(np.int64), head["newest_s"].astype(np.int64)
    need(bool((flags <= TOP).all()), "values last seen have a mark that is none")
    rows = rows_of.sum(axis=1)
    age_s = cut.fixed("<u2", rows).astype(np.int64)
    age_s |= cut.fixed("u1", rows).astype(np.int64) << 16
    top = cut.marked("u1", rows, flags == TOP)
    if top is not None:
        age_s |= top.astype(np.int64) << 24
    values = cut.fixed("<i8", rows_of @ valued)
    cut.end()
    cell = np.repeat(np.arange(users * tracks), rows_of.ravel())
    user, track = cell // tracks, cell % tracks
    second = newest_s[user] - age_s
    need(bool((second >= 0).all()), "values last seen have times out of range")
    value = np.zeros(len(cell), np.int64)
    value[valued[track]] = values
    unsorted = valued[track[1:]] & (cell[1:] == cell[:-1]) & (value[1:] <= value[:-1])
    need(not unsorted.any(), "values last seen are not in order")
    return LastSeenRows(pack_keys(user, track), value, second)


def pack_last_seen(rows: LastSeenRows, layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed rows."""
    tracks = len(layout.last_seen)
    if tracks == 0:
        return [b""] * users
    head = _head(layout)
    user, track = rows.user, rows.track
    newest_s = np.zeros(users, np.int64)
    np.maximum.at(newest_s, user, rows.second)
    age_s = newest_s[user] - rows.second
    low = (age_s & 0xFFFF).astype("<u2").tobytes()
    middle = (age_s >> 16 & 0xFF).astype("u1").tobytes()
    top = (age_s >> 24).astype("u1").tobytes()
    valued = _keeps_values(layout)[track]
    values = rows.value[valued].astype("<i8").tobytes()
    marks = np.zeros(users, np.int64)
    marks[user[age_s >= NARROW_S]] = TOP
    counts = np.bincount(user * tracks + track, minlength=users * tracks).reshape(users, tracks).tolist()
    packed = []
    n0 = v0 = 0
    ends = zip(ends_of(user, users), ends_of(user[valued], users), strict=True)
    for flags, of_tracks, newest, (n, v) in zip(marks.tolist(), counts, newest_s.tolist(), ends, strict=True):
        packed.append(
            b"".join(
                (
                    head.pack(flags, *of_tracks, newest),
                    low[2 * n0 : 2 * n],
                    middle[n0:n],
                    top[n0:n] if flags else b"",
                    values[8 * v0 : 8 * v],
                )
            )
        )
        n0, v0 = n, v
    return packed
