"""A publish time as a text: in an attribute of a message, or in a column of a file.

    a number                     of seconds, milliseconds, microseconds or nanoseconds since 1970, whole or with a
                                 fraction
    RFC 3339, with its zone      2025-11-24T16:00:00Z, 2025-11-24 17:00:00.5+01:00

A number says its unit itself: from 1971 up to 2100 no number of one unit is one of another. Anything else is no publish
time.
"""

from __future__ import annotations

import datetime
from decimal import Decimal, InvalidOperation

from user_state.durations import SECOND_US
from user_state.events.limits import END_TIME_US, FIRST_TIME_US

EXPECTED = "a time from 1971 up to 2100: RFC 3339 with a zone, or seconds, milliseconds, microseconds or nanoseconds"
_LONGEST = 64
_DIGITS = len(str(END_TIME_US))
_UNITS = (Decimal(1_000_000), Decimal(1_000), Decimal(1), Decimal("0.001"))
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def publish_time_us(text: str) -> int | None:
    """Return the time in microseconds UTC, rounded down; None if it is none.

    >>> [publish_time_us(text) for text in ("1764000000", "1764000000000", "1764000000000000", "1764000000000000000")]
    [1764000000000000, 1764000000000000, 1764000000000000, 1764000000000000]
    >>> publish_time_us("2025-11-24T16:00:00Z"), publish_time_us("1764000000.25"), publish_time_us("1764000000000000.0")
    (1764000000000000, 1764000000250000, 1764000000000000)
    >>> [publish_time_us(text) for text in ("2025-11-24T16:00:00", "2025-11-24", "12", "nan", "", "yesterday")]
    [None, None, None, None, None, None]
    """
    text = text.strip()
    if len(text) > _LONGEST or not text.isascii() or "_" in text:
        return None
    if len(text) == _DIGITS and text.isdigit():  # microseconds, as `user-state publish` writes them
        return time_us if (time_us := int(text)) < END_TIME_US else None
    try:
        return _of_number(Decimal(text))
    except InvalidOperation:
        return _of_text(text)


def _of_number(number: Decimal) -> int | None:
    if not number.is_finite() or not FIRST_TIME_US // SECOND_US <= number < END_TIME_US * 1000:
        return None
    found = (number * unit for unit in _UNITS)
    return next((int(time_us) for time_us in found if FIRST_TIME_US <= time_us < END_TIME_US), None)


def _of_text(text: str) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    time_us = (moment - _EPOCH) // _MICROSECOND
    return time_us if FIRST_TIME_US <= time_us < END_TIME_US else None
