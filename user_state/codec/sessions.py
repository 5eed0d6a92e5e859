"""A record's sessions: those of all tracks, track by track and oldest first, as columns; then the tracks' totals.

    u1 flags: 1 if the top column is there, 2 if the long lengths are, 4 if the wide counts are
    u4 sessions x tracks                              N in all
    i8 newest end of them all, microseconds; 0 if there are none
    u4 x N, u2 x N and, if marked, u2 x N             low, high and top part of the microseconds before the newest end
    u4 x N and, if marked, u4 x N                     low and high part of the microseconds from first to last event
    u1 x N and, if marked, u8 x N                     events less one: the lowest byte, and the rest
    bit mask of tracks that have totals, ceil(tracks/8) bytes, least significant bit first
    i8 x 3 such tracks                                sessions, microseconds and events of those too old to keep apart

What is nearly always zero stands apart and is left out: ends nine years before the newest, sessions of more than 71
minutes, sessions of more than 256 events. A layout without sessions has no bytes here.
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
from user_state.core.layout import Layout
from user_state.core.sessions import TOTALS, Sessions

TOP, LONG, MANY = 1, 2, 4
NARROW_US, SHORT_US, FEW = 1 << 48, 1 << 32, 1 << 8


def _head(tracks: int) -> struct.Struct:
    return struct.Struct(f"<B{tracks}Iq")


def empty_sessions(layout: Layout) -> bytes:
    """Return the section of a record without any sessions."""
    tracks = len(layout.sessions)
    return bytes(_head(tracks).size + -(-tracks // 8)) if tracks else b""


def unpack_sessions(blobs: Sequence[bytes], layout: Layout, _dictionaries: Dictionaries) -> Sessions:
    """Return the sessions of n records."""
    tracks, users = len(layout.sessions), len(blobs)
    if tracks == 0:
        need(not any(blobs), "sessions are of no layout")
        return Sessions.empty(users, 0)
    mask_width = -(-tracks // 8)
    cut = Cut(blobs, "sessions")
    head = cut.head(np.dtype([("flags", "u1"), ("rows", "<u4", (tracks,)), ("newest_us", "<i8")]))
    flags, rows_of, newest_us_of = head["flags"], head["rows"].astype(np.int64), head["newest_us"]
    need(bool((flags <= TOP | LONG | MANY).all()), "sessions have a mark that is none")
    rows = rows_of.sum(axis=1)
    parts: list[I64] = []
    for low, *higher in (
        (("<u4", 0, 0), ("<u2", 32, 0), ("<u2", 48, TOP)),
        (("<u4", 0, 0), ("<u4", 32, LONG)),
        (("u1", 0, 0), ("<u8", 8, MANY)),
    ):
        numbers = cut.fixed(low[0], rows).astype(np.int64)
        for dtype, shift, mark in higher:
            further = cut.marked(dtype, rows, (flags & mark > 0) | (mark == 0))
            if further is not None:
                numbers |= further.astype(np.int64) << shift
        parts.append(numbers)
    age_us, length_us, events = parts
    masks = cut.fixed("u1", np.full(users, mask_width))
    held = np.unpackbits(masks.reshape(users, mask_width), axis=1, bitorder="little")
    need(not held[:, tracks:].any(), "totals name a track that the layout does not have")
    totals = cut.fixed("<i8", TOTALS * held.sum(axis=1, dtype=np.int64))
    cut.end()
    user = np.repeat(np.arange(users), rows)
    track = np.repeat(np.tile(np.arange(tracks), users), rows_of.ravel())
    need(bool(((newest_us_of >= 0) & (newest_us_of < 2**62)).all()), "sessions have times out of range")
    end_us = newest_us_of[user] - age_us
    start_us = end_us - length_us
    # Ends are checked against the newest, which a part of an age that wraps around would pass.
    need(bool(((end_us >= 0) & (end_us <= newest_us_of[user])).all()), "sessions have times out of range")
    need(bool(((length_us >= 0) & (start_us >= 0)).all()), "sessions have times out of range")
    need(bool(((events >= 0) & (events < 2**61)).all()), "sessions have counts out of range")
    same = (user[1:] == user[:-1]) & (track[1:] == track[:-1])
    need(bool(((start_us[1:] > end_us[:-1]) | ~same).all()), "sessions are not in order")
    sums = totals.reshape(-1, TOTALS).astype(np.int64)
    need(bool(((sums >= (1, 0, 1)) & (sums < 2**61)).all()), "totals are out of range")
    total = np.zeros((users, tracks, TOTALS), np.int64)
    total[np.nonzero(held)] = sums
    return Sessions(user, track, start_us, end_us, events + 1, total)


def pack_sessions(sessions: Sessions, layout: Layout, _numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed sessions."""
    tracks = len(layout.sessions)
    if tracks == 0:
        return [b""] * users
    head = _head(tracks)
    user = sessions.user
    newest_us = np.zeros(users, np.int64)
    np.maximum.at(newest_us, user, sessions.end_us)
    age_us = newest_us[user] - sessions.end_us
    length_us, fewer = sessions.end_us - sessions.start_us, sessions.events - 1
    marks = np.zeros(users, np.int64)
    marks[user[age_us >= NARROW_US]] |= TOP
    marks[user[length_us >= SHORT_US]] |= LONG
    marks[user[fewer >= FEW]] |= MANY
    columns = (
        (_part(age_us, 0, "<u4"), 4, 0),
        (_part(age_us, 32, "<u2"), 2, 0),
        (_part(age_us, 48, "<u2"), 2, TOP),
        (_part(length_us, 0, "<u4"), 4, 0),
        (_part(length_us, 32, "<u4"), 4, LONG),
        (_part(fewer, 0, "u1"), 1, 0),
        (_part(fewer, 8, "<u8"), 8, MANY),
    )
    rows_of = np.bincount(user * tracks + sessions.track, minlength=users * tracks).reshape(users, tracks).tolist()
    held = sessions.totals[:, :, 0] > 0
    masks = np.packbits(held, axis=1, bitorder="little")
    totals = sessions.totals.astype("<i8")
    has_totals = set(np.nonzero(held)[0].tolist())
    packed = []
    begin = 0
    rows = zip(ends_of(user, users), marks.tolist(), rows_of, newest_us.tolist(), strict=True)
    for index, (end, flags, counts, newest) in enumerate(rows):
        pieces = [head.pack(flags, *counts, newest)]
        pieces += [part[size * begin : size * end] for part, size, mark in columns if not mark or flags & mark]
        pieces.append(masks[index].tobytes())
        if index in has_totals:
            pieces.append(totals[index, held[index]].tobytes())
        packed.append(b"".join(pieces))
        begin = end
    return packed


def _part(values: I64, shift: int, dtype: str) -> bytes:
    """Return the bits of values from `shift` on, as many as the dtype has, as bytes."""
    kept: npt.NDArray[np.int64] = values >> shift & ((1 << min(8 * np.dtype(dtype).itemsize, 63)) - 1)
    return kept.astype(dtype).tobytes()
