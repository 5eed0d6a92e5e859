"""A record's logs: for each log of the layout its rows, oldest first, as columns.

    u2 n, bit 15 set if the top column is there; a log of n = 0 ends here
    u8 newest time in microseconds
    u4 x n, u2 x n and, if marked, u2 x n: low, high and top part of the microseconds before the newest
    u4 tie x n
    for each field
      string     u1 x n low bytes of the code: 0 is null, k the dictionary's k-th string; then, only if the dictionary
                 has more than 255 strings, u1 x n high bytes
      float      f8 x n
      int, bool  i8 x n

What is nearly always zero stands apart and is left out: the top part of times (nine years and more before the
newest), the high bytes of codes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import column, ends_of, need
from user_state.codec.strings import EMPTY, pack_strings
from user_state.core.events import I64, NULL_CODE
from user_state.core.logs import LogRows, dtype_of

HEAD = struct.Struct("<HQ")
NONE = b"\0\0"
TOP = 0x8000
NARROW_US = 1 << 48
ROW_FIXED = 4 + 2 + 4
TIME_PARTS = 4


def unpack_logs(
    blobs: Sequence[bytes], kinds_of_logs: Sequence[Sequence[str]], dictionary_begins: I64
) -> tuple[LogRows, ...]:
    """Return the logs of n records; string codes point into the joined dictionaries."""
    users = len(blobs)
    dictionary_size = np.diff(dictionary_begins)
    high_bytes = (dictionary_size > 0xFF).tolist()
    at_of = [0] * users
    logs = []
    for kinds in kinds_of_logs:
        rows: list[int] = []
        newest: list[int] = []
        parts: list[list[bytes]] = [[] for _ in range(TIME_PARTS + 2 * len(kinds))]
        for user, blob in enumerate(blobs):
            at = at_of[user]
            marked = int.from_bytes(blob[at : at + 2], "little")
            n = marked & ~TOP
            rows.append(n)
            if n == 0:
                need(blob[at : at + 2] == NONE, "logs are cut off")
                at_of[user] = at + 2
                continue
            need(len(blob) >= at + HEAD.size + ROW_FIXED * n, "logs are cut off")
            newest.append(HEAD.unpack_from(blob, at)[1])
            at += HEAD.size
            parts[0].append(blob[at : (at := at + 4 * n)])
            parts[1].append(blob[at : (at := at + 2 * n)])
            parts[2].append(blob[at : (at := at + 2 * n)] if marked & TOP else bytes(2 * n))
            parts[3].append(blob[at : (at := at + 4 * n)])
            for position, kind in enumerate(kinds):
                low, high = TIME_PARTS + 2 * position, TIME_PARTS + 1 + 2 * position
                if kind == "string":
                    parts[low].append(blob[at : (at := at + n)])
                    parts[high].append(blob[at : (at := at + n)] if high_bytes[user] else bytes(n))
                else:
                    parts[low].append(blob[at : (at := at + 8 * n)])
            need(len(blob) >= at, "logs are cut off")
            at_of[user] = at
        logs.append(_log_rows(rows, newest, parts, kinds, dictionary_begins))
    need(all(at == len(blob) for at, blob in zip(at_of, blobs, strict=True)), "logs have bytes left over")
    return tuple(logs)


def _log_rows(
    rows: list[int], newest: list[int], parts: list[list[bytes]], kinds: Sequence[str], begins: I64
) -> LogRows:
    user = np.repeat(np.arange(len(rows)), rows)
    low, high, top, tie = (
        column(part, dtype).astype(np.int64)
        for part, dtype in zip(parts[:TIME_PARTS], ("<u4", "<u2", "<u2", "<u4"), strict=True)
    )
    need(all(time_us < 2**62 for time_us in newest), "logs have times out of range")
    newest_us = np.repeat(np.array(newest, np.int64), [n for n in rows if n])
    time_us = newest_us - (low | high << 32 | top << 48)
    same = user[1:] == user[:-1]
    later = (time_us[1:] > time_us[:-1]) | ((time_us[1:] == time_us[:-1]) & (tie[1:] >= tie[:-1]))
    need(bool((later | ~same).all()), "logs are not in order")
    columns: list[npt.NDArray[Any]] = []
    for position, kind in enumerate(kinds):
        first, second = parts[TIME_PARTS + 2 * position : TIME_PARTS + 2 * position + 2]
        if kind == "string":
            code = column(first, "u1").astype(np.int64) | column(second, "u1").astype(np.int64) << 8
            size = (begins[1:] - begins[:-1])[user]
            need(bool((code <= size).all()), "logs name strings that the dictionary does not have")
            columns.append(np.where(code == 0, NULL_CODE, code - 1 + begins[:-1][user]))
        else:
            columns.append(column(first, "<f8" if kind == "float" else "<i8").astype(dtype_of(kind)))
    return LogRows(user, time_us, tie, tuple(columns))


def pack_logs(
    logs: Sequence[LogRows], kinds_of_logs: Sequence[Sequence[str]], pool: Sequence[str], users: int
) -> tuple[list[bytes], list[bytes]]:
    """Return (each user's packed logs, each user's packed dictionary)."""
    strings, dictionary_sizes, code_columns = _dictionaries(logs, kinds_of_logs, pool, users)
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for rows, kinds, codes in zip(logs, kinds_of_logs, code_columns, strict=True):
        ends = ends_of(rows.user, users)
        last = np.array(ends, np.int64) - 1
        newest_us = rows.time_us[last] if len(rows.user) else np.zeros(users, np.int64)
        age_us = newest_us[rows.user] - rows.time_us
        low = (age_us & 0xFFFFFFFF).astype("<u4").tobytes()
        high = (age_us >> 32 & 0xFFFF).astype("<u2").tobytes()
        top = (age_us >> 48).astype("<u2").tobytes()
        wide = set(rows.user[age_us >= NARROW_US].tolist())
        tie = rows.tie.astype("<u4").tobytes()
        columns: list[tuple[bytes, bytes | None]] = []
        for kind, values, code in zip(kinds, rows.columns, codes, strict=True):
            if kind == "string":
                columns.append(((code & 0xFF).astype("u1").tobytes(), (code >> 8).astype("u1").tobytes()))
            else:
                columns.append((values.astype("<f8" if kind == "float" else "<i8").tobytes(), None))
        begin = 0
        for user, end in enumerate(ends):
            if end == begin:
                parts[user].append(NONE)
                continue
            part = parts[user]
            part.append(HEAD.pack(end - begin | (TOP if user in wide else 0), int(newest_us[user])))
            part.append(low[4 * begin : 4 * end])
            part.append(high[2 * begin : 2 * end])
            if user in wide:
                part.append(top[2 * begin : 2 * end])
            part.append(tie[4 * begin : 4 * end])
            for first, second in columns:
                if second is None:
                    part.append(first[8 * begin : 8 * end])
                else:
                    part.append(first[begin:end])
                    if dictionary_sizes[user] > 0xFF:
                        part.append(second[begin:end])
            begin = end
    return [b"".join(part) for part in parts], strings


def _dictionaries(
    logs: Sequence[LogRows], kinds_of_logs: Sequence[Sequence[str]], pool: Sequence[str], users: int
) -> tuple[list[bytes], list[int], list[list[I64]]]:
    """Return (packed dictionaries, their sizes, for each log and field the codes into its user's dictionary)."""
    string_columns = [
        (index, position)
        for index, kinds in enumerate(kinds_of_logs)
        for position, kind in enumerate(kinds)
        if kind == "string"
    ]
    code_columns: list[list[I64]] = [[np.empty(0, np.int64)] * len(kinds) for kinds in kinds_of_logs]
    if not string_columns:
        return [EMPTY] * users, [0] * users, code_columns
    code = np.concatenate([logs[i].columns[p] for i, p in string_columns])
    user = np.concatenate([logs[i].user for i, _ in string_columns])
    present = code != NULL_CODE
    # The same string may stand in the pool twice, once from the record and once from the events: number by text.
    used, which = np.unique(code[present], return_inverse=True)
    number_of: dict[str, int] = {}
    number = np.array([number_of.setdefault(pool[c], len(number_of)) for c in used.tolist()], np.int64)
    key = (user[present] << 32) | number[which]
    entries, entry_of_row = np.unique(key, return_inverse=True)
    ends = ends_of(entries >> 32, users)
    begins = np.array([0, *ends[:-1]], np.int64)
    local = np.zeros(len(code), np.int64)
    local[present] = entry_of_row - begins[user[present]] + 1
    texts = [text.encode() for text in number_of]
    words = [texts[n] for n in (entries & 0xFFFFFFFF).tolist()]
    at = 0
    for index, position in string_columns:
        size = len(logs[index].user)
        code_columns[index][position] = local[at : at + size]
        at += size
    sizes = np.diff([0, *ends]).tolist()
    packed = [pack_strings(words[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    return packed, sizes, code_columns
