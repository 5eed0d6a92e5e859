"""Times as people write them (RFC 3339) and as the code counts them (microseconds UTC)."""

from __future__ import annotations

import datetime

from user_state.errors import InputError

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def parse_time_us(text: str) -> int:
    """Return an RFC 3339 time in microseconds UTC.

    Raises:
        InputError: it is none, or has no time zone.

    >>> parse_time_us("1970-01-02T00:00:00Z")
    86400000000
    """
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as exc:
        raise InputError(f"expected a time such as 2026-01-31T12:00:00Z, got {text!r}") from exc
    if time.tzinfo is None:
        raise InputError(f"expected a time with a time zone such as {text}Z, got {text!r}")
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


def format_time(time_us: int) -> str:
    """Return microseconds UTC as RFC 3339; as the number that it is, if no calendar has it.

    >>> format_time(86400000000), format_time(10**18)
    ('1970-01-02T00:00:00Z', '1000000000000000000')
    """
    try:
        return (EPOCH + datetime.timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return str(time_us)
