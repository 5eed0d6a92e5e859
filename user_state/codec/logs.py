"""A record's logs: the rows of all of them, log by log and oldest first, as columns.

    u1 flags: 1 if the top column is there, 2 if the high codes are, 4 if the wide codes are
    u2 rows x logs                                    N rows in all
    i8 newest time of them all, microseconds; 0 if there are none
    u4 x N, u2 x N and, if marked, u2 x N             low, high and top part of the microseconds before the newest
    u4 x N                                            tie
    u1 x S and, if marked, u1 x S and u2 x S          low, high, wide part of string codes; 0 is null
    8 bytes x V                                       float fields as f8, int and bool fields as i8; the event time
                                                      is the row's own

S counts a code a row and string field: those of the first log's first string field come first, row by row, then its
second's, and so on; V does the same for the other fields. What is nearly always zero stands apart and is left out:
the top part of times (nine years and more before the newest), the high and the wide part of codes (a dictionary of
more than 255 and of more than 65,535 strings). All logs share their columns so that a record is cut into a handful of
slices, however many logs it has.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import ends_of, need, need_room
from user_state.codec.cut import Cut
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.histories import LogRows
from user_state.core.layout import TIME_KIND, Layout
from user_state.core.logs import dtype_of

TOP = 1
HIGH_CODES = 2
WIDE_CODES = 4
NUMBER_KINDS = ("float", "int", "bool")
NARROW_US = 1 << 48
MOST_ROWS = 0xFFFF
Kinds = tuple[tuple[str, ...], ...]
"""The kinds of each log's columns."""


@dataclass(frozen=True)
class _Slots:
    """Where each log's fields lie: a slot is one field of one log, in the order of the columns they share.

    Attributes:
        strings, numbers: (log, position among the log's columns) of each slot.
        strings_of, numbers_of: how many slots each log has.
    """

    head: struct.Struct
    strings: tuple[tuple[int, int], ...]
    numbers: tuple[tuple[int, int], ...]
    strings_of: tuple[int, ...]
    numbers_of: tuple[int, ...]


@lru_cache(maxsize=64)
def _slots(kinds: Kinds) -> _Slots:
    places = [(log, position, kind) for log, of_log in enumerate(kinds) for position, kind in enumerate(of_log)]
    return _Slots(
        head=struct.Struct(f"<B{len(kinds)}Hq"),
        strings=tuple((log, position) for log, position, kind in places if kind == "string"),
        numbers=tuple((log, position) for log, position, kind in places if kind in NUMBER_KINDS),
        strings_of=tuple(sum(kind == "string" for kind in of_log) for of_log in kinds),
        numbers_of=tuple(sum(kind in NUMBER_KINDS for kind in of_log) for of_log in kinds),
    )


def _kinds(layout: Layout) -> Kinds:
    return tuple(log.kinds for log in layout.logs)


def empty_logs(layout: Layout) -> bytes:
    """Return the section of a record without any rows."""
    return bytes(_slots(_kinds(layout)).head.size) if layout.logs else b""


def unpack_logs(blobs: Sequence[bytes], layout: Layout, dictionaries: Dictionaries) -> tuple[LogRows, ...]:
    """Return the logs of n records."""
    kinds = _kinds(layout)
    if not kinds:
        need(not any(blobs), "logs are of no layout")
        return ()
    slots = _slots(kinds)
    logs, users = len(kinds), len(blobs)
    cut = Cut(blobs, "logs")
    head = cut.head(np.dtype([("flags", "u1"), ("rows", "<u2", (logs,)), ("newest_us", "<i8")]))
    flags, rows_of, newest_us_of = head["flags"], head["rows"].astype(np.int64), head["newest_us"]
    need(bool((flags <= TOP | HIGH_CODES | WIDE_CODES).all()), "logs have a mark that is none")
    rows = rows_of.sum(axis=1)
    strings, numbers_of = rows_of @ slots.strings_of, rows_of @ slots.numbers_of
    age_us = cut.fixed("<u4", rows).astype(np.int64)
    age_us |= cut.fixed("<u2", rows).astype(np.int64) << 32
    top = cut.marked("<u2", rows, flags & TOP > 0)
    if top is not None:
        age_us |= top.astype(np.int64) << 48
    ties = cut.fixed("<u4", rows).astype(np.int64)
    texts = cut.fixed("u1", strings).astype(np.int64)
    for dtype, mark, shift in (("u1", HIGH_CODES, 8), ("<u2", WIDE_CODES, 16)):
        further = cut.marked(dtype, strings, flags & mark > 0)
        if further is not None:
            texts |= further.astype(np.int64) << shift
    numbers = cut.fixed("<i8", numbers_of)
    cut.end()
    log_of_row = np.repeat(np.tile(np.arange(logs), users), rows_of.ravel())
    user_of_row = np.repeat(np.arange(users), rows)
    need(bool(((newest_us_of >= 0) & (newest_us_of < 2**62)).all()), "logs have times out of range")
    time_us = newest_us_of[user_of_row] - age_us
    need(bool(((age_us >= 0) & (time_us >= 0)).all()), "logs have times out of range")
    text_slots = _by_slot(texts, rows_of, slots.strings)
    number_slots = _by_slot(numbers, rows_of, slots.numbers)
    unpacked = []
    for log, of_log in enumerate(kinds):
        mine = np.flatnonzero(log_of_row == log) if logs > 1 else slice(None)
        user = user_of_row[mine]
        columns: list[npt.NDArray[Any]] = []
        for position, kind in enumerate(of_log):
            if kind == "string":
                columns.append(dictionaries.codes(text_slots[log, position], user, "logs"))
            elif kind == TIME_KIND:
                columns.append(time_us[mine])
            else:
                columns.append(number_slots[log, position].view(dtype_of(kind)))
        rows_of_log = LogRows(user, time_us[mine], ties[mine], tuple(columns))
        need(_in_order(rows_of_log), "logs are not in order")
        unpacked.append(rows_of_log)
    return tuple(unpacked)


def _by_slot(
    values: npt.NDArray[Any], rows_of: I64, slots: tuple[tuple[int, int], ...]
) -> dict[tuple[int, int], npt.NDArray[Any]]:
    """Return each slot's values, users one after the other, of a column that holds each user's slots in turn."""
    if len(slots) == 1:
        return {slots[0]: values}
    sizes = rows_of[:, [log for log, _ in slots]] if slots else np.zeros((len(rows_of), 0), np.int64)
    slot_of_value = np.repeat(np.tile(np.arange(len(slots)), len(rows_of)), sizes.ravel())
    return {slot: values[slot_of_value == index] for index, slot in enumerate(slots)}


def _in_order(rows: LogRows) -> bool:
    same = rows.user[1:] == rows.user[:-1]
    later = rows.time_us[1:] > rows.time_us[:-1]
    tied = (rows.time_us[1:] == rows.time_us[:-1]) & (rows.tie[1:] >= rows.tie[:-1])
    return bool((later | tied | ~same).all())


def log_strings(logs: Sequence[LogRows], layout: Layout) -> list[tuple[I64, I64]]:
    """Return (user, code) of every field of strings, slot by slot."""
    return [(logs[log].user, logs[log].columns[position]) for log, position in _slots(_kinds(layout)).strings]


def pack_logs(logs: Sequence[LogRows], layout: Layout, string_numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed logs; `string_numbers` (slots,) as `log_strings` gave the slots."""
    if not logs:
        return [b""] * users
    slots = _slots(_kinds(layout))
    user = np.concatenate([rows.user for rows in logs])
    # Users one after the other, and within a user log by log: stable, and the logs stand in their order already.
    order = np.argsort(user, kind="stable")
    user = user[order]
    time_us = np.concatenate([rows.time_us for rows in logs])[order]
    newest_us = np.zeros(users, np.int64)
    np.maximum.at(newest_us, user, time_us)
    age_us = newest_us[user] - time_us
    string_users, codes = _codes(logs, slots, string_numbers)
    number_users, numbers = _numbers(logs, slots)
    low = (age_us & 0xFFFFFFFF).astype("<u4").tobytes()
    high = (age_us >> 32 & 0xFFFF).astype("<u2").tobytes()
    top = (age_us >> 48).astype("<u2").tobytes()
    tie = np.concatenate([rows.tie for rows in logs])[order].astype("<u4").tobytes()
    low_codes = (codes & 0xFF).astype("u1").tobytes()
    high_codes = (codes >> 8 & 0xFF).astype("u1").tobytes()
    wide_codes = (codes >> 16).astype("<u2").tobytes()
    marks = np.zeros(users, np.int64)
    marks[user[age_us >= NARROW_US]] |= TOP
    marks[string_users[codes > 0xFF]] |= HIGH_CODES
    marks[string_users[codes > 0xFFFF]] |= WIDE_CODES
    rows_of = np.stack([np.bincount(rows.user, minlength=users) for rows in logs], axis=1).tolist()
    packed = []
    n0 = s0 = v0 = 0
    ends = zip(ends_of(user, users), ends_of(string_users, users), ends_of(number_users, users), strict=True)
    for flags, rows, newest, (n, s, v) in zip(marks.tolist(), rows_of, newest_us.tolist(), ends, strict=True):
        need_room(max(rows), MOST_ROWS, "rows of a list")
        packed.append(
            b"".join(
                (
                    slots.head.pack(flags, *rows, newest),
                    low[4 * n0 : 4 * n],
                    high[2 * n0 : 2 * n],
                    top[2 * n0 : 2 * n] if flags & TOP else b"",
                    tie[4 * n0 : 4 * n],
                    low_codes[s0:s],
                    high_codes[s0:s] if flags & HIGH_CODES else b"",
                    wide_codes[2 * s0 : 2 * s] if flags & WIDE_CODES else b"",
                    numbers[8 * v0 : 8 * v],
                )
            )
        )
        n0, s0, v0 = n, s, v
    return packed


def _numbers(logs: Sequence[LogRows], slots: _Slots) -> tuple[I64, bytes]:
    """Return (the user of each number, the numbers' bytes), users one after the other, slot by slot."""
    if not slots.numbers:
        return np.empty(0, np.int64), b""
    user = np.concatenate([logs[log].user for log, _ in slots.numbers])
    order = np.argsort(user, kind="stable")
    bits = np.concatenate([logs[log].columns[position].view(np.int64) for log, position in slots.numbers])
    return user[order], bits[order].astype("<i8").tobytes()


def _codes(logs: Sequence[LogRows], slots: _Slots, string_numbers: Sequence[I64]) -> tuple[I64, I64]:
    """Return (the user of each string, its number in the user's dictionary), users one after the other."""
    if not slots.strings:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    user = np.concatenate([logs[log].user for log, _ in slots.strings])
    order = np.argsort(user, kind="stable")
    return user[order], np.concatenate(string_numbers)[order]
