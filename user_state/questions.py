"""What a caller of the client asks for, checked: users, items, a time, outputs.

    at          what is taken                                    what is refused, by name
    int         microseconds since 1970, from 1971 until 2969    seconds, milliseconds, nanoseconds; floats
    datetime    with a time zone, pandas' Timestamp too          without one; a date; numpy's datetime64; texts
    None        now

Seconds, milliseconds, microseconds and nanoseconds of the times that events may have, 1971 to 2099, do not overlap. So
a number in another unit cannot be taken for a time long ago or far ahead.
"""

from __future__ import annotations

import datetime
import operator
import time
from collections.abc import Collection, Iterable
from typing import Any

from user_state.errors import InputError, shorten
from user_state.id_text import OfBytes, id_text

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
At = int | datetime.datetime | None
FIRST_S, END_S = 31_536_000, 4_102_444_800
"""Seconds since 1970 of the first event time accepted, and of the first no longer accepted: 1971 and 2100."""
UNITS = {"seconds": 1, "milliseconds": 1_000, "nanoseconds": 1_000_000_000}
"""What a time in microseconds is mistaken for, and how many of each a second has."""
_CONVERTED = {"seconds": "times 1,000,000", "milliseconds": "times 1,000", "nanoseconds": "divided by 1,000"}
FIRST_US = FIRST_S * 1_000_000
FARTHEST_US = FIRST_S * UNITS["nanoseconds"]
"""Reading times are less than this: from here on they are nanoseconds."""


def users_of(users: Iterable[Any], *, of_bytes: OfBytes | None = None) -> tuple[str, ...]:
    """Return the users of a call as texts, once: they may be a generator's. `id_text` says which text an id has.

    Args:
        users: their ids.
        of_bytes: the text of ids that are bytes in the events (`id_text.of_bytes`); None where they are no bytes, so
            that bytes would be taken for somebody else.

    Raises:
        InputError: one value in place of several, or a value that is no id.
    """
    if isinstance(users, str | bytes | bytearray):
        kind = "string" if isinstance(users, str) else "bytes"
        raise InputError(f"expected a sequence of user ids, got the {kind} {shorten(users)}; use get() for one user")
    return _ids(users, "user", of_bytes)


def user_of(user: Any, *, of_bytes: OfBytes | None = None) -> str:
    """Return one user's id as a text, as `users_of`."""
    return _ids((user,), "user", of_bytes)[0]


def items_of(items: Iterable[Any]) -> tuple[str, ...]:
    """Return ids of items as texts, as `users_of`."""
    if isinstance(items, str | bytes | bytearray):
        raise InputError(f"expected a sequence of item ids, got {shorten(items)}")
    return _ids(items, "item", None)


def _ids(values: Iterable[Any], what: str, of_bytes: OfBytes | None) -> tuple[str, ...]:
    try:
        listed = tuple(values)
    except TypeError as exc:
        raise InputError(f"expected a sequence of {what} ids, got {shorten(values)}") from exc
    if {*map(type, listed)} <= {str}:
        return listed
    texts = []
    for value in listed:
        if not isinstance(value, bytes | bytearray | memoryview):
            texts.append(str(id_text(value)))
        elif of_bytes is not None:
            texts.append(of_bytes(bytes(value)))
        else:
            raise InputError(
                f"expected {what} ids as texts, got the bytes {shorten(bytes(value))}; decode them, or give the text"
                " of ids that are bytes in the events"
            )
    return tuple(texts)


def names_of(select: Collection[str] | None) -> tuple[str, ...] | None:
    """Return the names of the outputs asked for, each once; None for all."""
    if select is None:
        return None
    if isinstance(select, str):
        raise InputError(f"expected a list of names of outputs, got the string {select!r}")
    return tuple(dict.fromkeys(select))


def microseconds(at: At) -> int:
    """Return a reading time in microseconds UTC; None is now.

    Raises:
        InputError: it is no time, or one in another unit.

    >>> microseconds(1_764_000_000_000_000)
    1764000000000000
    >>> microseconds(1_764_000_000)
    Traceback (most recent call last):
    user_state.errors.InputError: expected a time in microseconds since 1970, got 1764000000: seconds? times 1,000,000
    """
    if at is None:
        return time.time_ns() // 1000
    if isinstance(at, datetime.datetime):
        return _microseconds_of_datetime(at)
    if isinstance(at, bool):
        raise InputError(f"expected a time, got {at}")
    try:
        number = operator.index(at)
    except TypeError as exc:
        raise InputError(_what_it_is(at)) from exc
    if FIRST_US <= number < FARTHEST_US:
        return number
    unit = _unit(number)
    likely = "a time before 1971, or after 2969" if unit is None else f"{unit}? {_CONVERTED[unit]}"
    raise InputError(f"expected a time in microseconds since 1970, got {number}: {likely}")


def _microseconds_of_datetime(at: datetime.datetime) -> int:
    if at != at:  # noqa: PLR0124  # pandas' NaT is a datetime that equals nothing
        raise InputError(f"expected a time, got {at}")
    if at.tzinfo is None:
        raise InputError(f"expected a time with a time zone, got {at.isoformat()}")
    made = (at - EPOCH) // datetime.timedelta(microseconds=1)
    if made < FIRST_US:
        raise InputError(f"expected a time from 1971 on, got {at.isoformat()}")
    return made


def _unit(number: float) -> str | None:
    """Return what unit a number probably has that is no time in microseconds."""
    for unit, in_a_second in UNITS.items():
        if FIRST_S * in_a_second <= number < END_S * in_a_second:
            return unit
    return None


def _what_it_is(at: object) -> str:
    """Return a message about a value of another type than times have."""
    text = f"expected a time as a datetime with a time zone, or as whole microseconds since 1970, got {shorten(at)}"
    if isinstance(at, datetime.date):
        return f"{text}, a whole day: say which moment of it"
    if type(at).__name__ == "datetime64":
        return f"{text}, without a time zone: if it is in UTC, at.astype('datetime64[us]').astype(int)"
    if isinstance(at, float):
        return text if (unit := _unit(at)) is None else f"{text}: {unit}? {_CONVERTED[unit]}, as int()"
    if isinstance(at, str):
        return f"{text}: datetime.fromisoformat() makes one of a text"
    return text
