"""Labels: the rows that a training set answers. Any table that Arrow can hold, with a user and a time in each row.

A time is taken only if its type says what it means: a timestamp with a time zone, or a whole number together with its
unit. What a column without either is likely to be, the error says; nothing is guessed in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xxhash

from user_state.errors import InputError
from user_state.id_text import id_text

if TYPE_CHECKING:
    import pyarrow as pa

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
UNITS_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Units of whole numbers that are times, in nanoseconds."""
FIRST_TIME_US = 31_536_000 * 10**6
"""1971-01-01T00:00:00Z, the first time of a label."""
END_TIME_US = 4_102_444_800 * 10**6
"""2100-01-01T00:00:00Z, the first time that is none."""
_LIKELY_SINCE, _LIKELY_UNTIL = 10**9, 2 * 10**9
"""2001 to 2033 in seconds: a number between is likely to be a time of this unit."""


@dataclass(frozen=True)
class Labels:
    """q labels, in the order given.

    Attributes:
        table: all columns, as they came.
        user: (q,) index into `users`.
        users: the text of each user's id, each once, in order of first coming.
        at_us: (q,) the label's time, microseconds UTC. An event is before the label if its time is less.
        own_event: (q,) xxh64 of the id of the event that the label is made of and must not know; None if no label has
            one.
        has_own_event: (q,) whether the label has one.
    """

    table: pa.Table
    user: I64
    users: tuple[str, ...]
    at_us: I64
    own_event: U64 | None = None
    has_own_event: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __len__(self) -> int:
        return len(self.at_us)


def labels_of(
    table: pa.Table,
    user: str,
    time: str,
    time_unit: str | None = None,
    event_id: str | None = None,
    first_row: int = 0,
) -> Labels:
    """Return the labels of a table.

    Args:
        table: with at least these two columns, neither of which has a null.
        user: the column of user ids: text, whole numbers, bytes.
        time: the column of times.
        time_unit: a key of `UNITS_NS`, of a column of whole numbers; none of timestamps, which have their own.
        first_row: how many rows came before the table, for messages.
        event_id: the column of the ids of the labels' own events, null where there is none; None if there are none.

    Raises:
        InputError: a column is missing, has nulls, or a type that says nothing of a moment; a time is out of range.
    """
    codes, users = _users(_column(table, user, "users", first_row))
    at_us = _times_us(_column(table, time, "times", first_row), time, time_unit, first_row)
    if event_id is None:
        return Labels(table, codes, users, at_us)
    return Labels(
        table, codes, users, at_us, *_own_events(_column(table, event_id, "event ids", first_row, nulls=True))
    )


def _own_events(column: pa.ChunkedArray) -> tuple[U64, npt.NDArray[np.bool_]]:
    there = ~np.asarray(column.is_null().to_numpy(), np.bool_)
    ids, texts = _users(column.drop_null(), "event ids")
    hashes = np.zeros(len(there), np.uint64)
    hashes[there] = np.array([xxhash.xxh64_intdigest(text.encode()) for text in texts], np.uint64)[ids]
    return hashes, there


def _column(table: pa.Table, name: str, what: str, first_row: int, *, nulls: bool = False) -> pa.ChunkedArray:
    found = table.schema.get_all_field_indices(name)
    if len(found) != 1:
        number = "no" if not found else f"{len(found)} columns"
        raise InputError(
            f"expected labels with one column {name!r} of {what}, got {number} of {', '.join(table.column_names)}"
        )
    column: pa.ChunkedArray = table.column(found[0])
    if column.null_count and not nulls:
        first = first_row + int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise InputError(
            f"expected a value in every row of the labels' column {name!r}, got {column.null_count:,} nulls;"
            f" the first is in row {first:,}, counted from 0"
        )
    return column


def _users(column: pa.ChunkedArray, what: str = "user ids") -> tuple[I64, tuple[str, ...]]:
    import pyarrow as pa  # only whoever reads labels needs it

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type) or pa.types.is_boolean(column.type) or pa.types.is_nested(column.type):
        raise InputError(f"expected {what} as texts, whole numbers or bytes, got a column of {column.type}")
    coded = column.combine_chunks().dictionary_encode()
    texts = [id_text(value) for value in coded.dictionary.to_pylist()]
    # Two values may have one text, such as bytes and what they spell; then they are one user.
    code_of = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    code = np.array([code_of[text] for text in texts], np.int64)
    return code[np.asarray(coded.indices)] if len(code) else np.zeros(0, np.int64), tuple(code_of)


def _times_us(column: pa.ChunkedArray, name: str, unit: str | None, first_row: int) -> I64:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind):
        numbers = _whole(column)
        if unit is None:
            raise InputError(f"expected the unit of the whole numbers in the labels' column {name!r}{_likely(numbers)}")
        if unit not in UNITS_NS:
            raise InputError(f"expected a unit of time ({', '.join(UNITS_NS)}), got {unit!r}")
        return _in_range(_scaled(numbers, UNITS_NS[unit]), name, _likely(numbers), first_row)
    if not pa.types.is_timestamp(kind):
        hint = {True: ": a day is no moment; say at which time of it a label is asked"}.get(pa.types.is_date(kind), "")
        raise InputError(f"expected times in the labels' column {name!r}, got {kind}{hint}")
    if unit is not None:
        raise InputError(f"expected no unit for the labels' column {name!r}, whose timestamps have their own: {kind}")
    if kind.tz is None:
        raise InputError(
            f"expected timestamps with a time zone in the labels' column {name!r}, got {kind}; if they are UTC, cast"
            f" the column to timestamp('{kind.unit}', tz='UTC')"
        )
    return _in_range(_scaled(_whole(column.cast(pa.int64())), UNITS_NS[kind.unit]), name, "", first_row)


def _whole(column: Any) -> I64:
    try:
        return np.asarray(column.cast("int64").to_numpy(), np.int64)
    except ValueError as exc:
        raise InputError(f"expected whole numbers of 64 bits with sign, got {column.type}: {exc}") from None


def _scaled(numbers: I64, unit_ns: int) -> I64:
    """Return microseconds, those between two being rounded up: an event at the microsecond before is before both."""
    if unit_ns < UNITS_NS["us"]:
        return -(-numbers // (UNITS_NS["us"] // unit_ns))
    factor = unit_ns // UNITS_NS["us"]
    limit = np.iinfo(np.int64).max // factor
    return np.clip(numbers, -limit, limit) * factor


def _in_range(at_us: I64, name: str, hint: str, first_row: int) -> I64:
    wrong = np.flatnonzero((at_us < FIRST_TIME_US) | (at_us >= END_TIME_US))
    if len(wrong):
        raise InputError(
            f"expected times from 1971 to 2099 in the labels' column {name!r}, got {len(wrong):,} others; the first is"
            f" in row {first_row + int(wrong[0]):,}, counted from 0{hint}"
        )
    return at_us


def _likely(numbers: I64) -> str:
    """Return which unit numbers are likely to have, as the end of a sentence; nothing if they tell nothing.

    >>> _likely(np.array([1_457_000_000_000]))
    ': they are likely to be ms'
    >>> _likely(np.array([7]))
    ''
    """
    if not len(numbers):
        return ""
    middle = int(np.median(numbers))
    for unit, unit_ns in UNITS_NS.items():
        per_second = UNITS_NS["s"] // unit_ns
        if _LIKELY_SINCE * per_second <= middle < _LIKELY_UNTIL * per_second:
            return f": they are likely to be {unit}"
    return ""
