"""What a caller of the client asks for, checked: users, a time, outputs."""

from __future__ import annotations

import datetime
import time
from collections.abc import Collection, Iterable

from user_state.errors import InputError

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
At = int | datetime.datetime | None
FARTHEST_US = 2**61
"""Reading times are less than this."""


def users_of(users: Iterable[str]) -> tuple[str, ...]:
    """Return the users of a call, once: they may be a generator's."""
    if isinstance(users, str):
        raise InputError(f"expected a sequence of user ids, got the string {users!r}; use get() for one user")
    return tuple(users)


def names_of(select: Collection[str] | None) -> tuple[str, ...] | None:
    """Return the names of the outputs asked for, each once; None for all."""
    if select is None:
        return None
    if isinstance(select, str):
        raise InputError(f"expected a list of names of outputs, got the string {select!r}")
    return tuple(dict.fromkeys(select))


def microseconds(at: At) -> int:
    """Return a reading time in microseconds UTC; None is now."""
    if at is None:
        return time.time_ns() // 1000
    if isinstance(at, datetime.datetime):
        if at.tzinfo is None:
            raise InputError(f"expected a time with a time zone, got {at.isoformat()}")
        return (at - EPOCH) // datetime.timedelta(microseconds=1)
    if abs(at) >= FARTHEST_US:
        raise InputError(f"expected a time in microseconds since 1970, less than 2^61, got {at}")
    return at
