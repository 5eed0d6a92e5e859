"""Messages and events as the oracle sees them, and which events a filter accepts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from user_state.spec.values import Scalar

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Arrival:
    """One message as it arrived.

    Attributes:
        event: the decoded event, times as integer microseconds or datetimes; None if there is none.
        published_us: the message's publish time in microseconds UTC; None if the input knows none.
        reason: why there is no event, `undecodable` if not said; set beside an event, it overrules it.
    """

    event: Mapping[str, Any] | None
    published_us: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class AppliedEvent:
    """One event that counts, with what ordering and clocks need; times in microseconds UTC."""

    time_us: int
    id_hash: int
    published_us: int
    event: Mapping[str, Any]


def microseconds(time: int | datetime.datetime) -> int:
    """Return a time in microseconds UTC; a datetime without a zone is UTC, as Avro's are."""
    if not isinstance(time, datetime.datetime):
        return time
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return (time - EPOCH) // MICROSECOND


def matches(event: Mapping[str, Any], where: Mapping[str, list[Scalar]]) -> bool:
    """Return whether every field that the filter names has one of its values."""
    for field, accepted in where.items():
        value = event.get(field)
        # Python holds True == 1, a spec does not
        if value is None or not any(value == a and isinstance(value, bool) == isinstance(a, bool) for a in accepted):
            return False
    return True


def plain(value: Any) -> Any:
    """Return a field's value as records hold it: times as microseconds."""
    return microseconds(value) if isinstance(value, datetime.datetime) else value
