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

from user_state.codec.columns import column, ends_of, need
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
    head, valued = _head(layout), _keeps_values(layout)
    valued_tracks = np.flatnonzero(valued).tolist()
    counts: list[list[int]] = []
    newest: list[int] = []
    parts: list[list[bytes]] = [[] for _ in range(4)]
    low, middle, top, values = parts
    for blob in blobs:
        need(len(blob) >= head.size, "values last seen are cut off")
        flags, *rows, newest_s = head.unpack_from(blob)
        n, v = sum(rows), sum(rows[track] for track in valued_tracks)
        marked = flags == TOP
        size = head.size + (4 if marked else 3) * n + 8 * v
        need(flags <= TOP and len(blob) == size, "values last seen have another length than they say")
        at = head.size
        low.append(blob[at : (at := at + 2 * n)])
        middle.append(blob[at : (at := at + n)])
        top.append(blob[at : (at := at + n)] if marked else bytes(n))
        values.append(blob[at:])
        counts.append(rows)
        newest.append(newest_s)
    rows_of = np.array(counts, np.int64).reshape(len(blobs) * tracks)
    cell = np.repeat(np.arange(len(blobs) * tracks), rows_of)
    user, track = cell // tracks, cell % tracks
    age_s = column(low, "<u2").astype(np.int64) | column(middle, "u1").astype(np.int64) << 16
    age_s |= column(top, "u1").astype(np.int64) << 24
    second = np.array(newest, np.int64)[user] - age_s
    need(bool((second >= 0).all()), "values last seen have times out of range")
    value = np.zeros(len(cell), np.int64)
    value[valued[track]] = column(values, "<i8")
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
