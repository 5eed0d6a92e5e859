"""Messages and events as the oracle sees them, and which events a filter accepts."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from user_state.spec.filters import AllOf, AnyOf, Compares, Condition, Contains, Exists, Not, OneOf, Scalar

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
_COMPARES = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Arrival:
    """One message as it arrived.

    Attributes:
        event: the decoded event, times as integers in the unit of their field, or datetimes; None if there is none.
        published_us: the message's publish time in microseconds UTC; None if the input knows none.
        reason: why there is no event, `undecodable` if not said, `no body` if the message is empty; set beside an
            event, it overrules it.
        unit_us: how many microseconds a field's unit has, for the fields that say when an event happened or was
            published, where it is not one.
        times: what those fields say in microseconds, where it is worked out already.
    """

    event: Mapping[str, Any] | None
    published_us: int | None = None
    reason: str | None = None
    unit_us: Mapping[str, int] = field(default_factory=dict)
    times: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def time(self, name: str) -> Any:
        """Return what a field that says a time has: a time, null, or what is none."""
        return self.times[name] if name in self.times else (self.event or {}).get(name)

    def time_us(self, name: str) -> int:
        """Return the time in a field, which is not null, in microseconds UTC."""
        return microseconds(self.time(name)) * (1 if name in self.times else self.unit_us.get(name, 1))


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


def matches(event: Mapping[str, Any], where: Condition) -> bool:
    """Return whether an event meets a filter, or any condition of one."""
    match where:
        case AllOf(conditions):
            return all(matches(event, condition) for condition in conditions)
        case AnyOf(conditions):
            return any(matches(event, condition) for condition in conditions)
        case Not(condition):
            return not matches(event, condition)
        case Exists(name):
            return event.get(name) is not None
        case OneOf(name, values):
            return _is_one_of(event.get(name), values)
        case Contains(name, values):
            return any(_is_one_of(value, values) for value in event.get(name) or ())
        case Compares(name, how, number):
            value = plain(event.get(name))
            return value is not None and bool(_COMPARES[how](value, number))


def _is_one_of(value: Any, accepted: Sequence[Scalar]) -> bool:
    # Python holds True == 1, a spec does not
    return value is not None and any(
        plain(value) == one and isinstance(value, bool) == isinstance(one, bool) for one in accepted
    )


def has(event: Mapping[str, Any], name: str | None) -> bool:
    """Return whether an event has a part in what is made of a field: the field is not null, or there is none."""
    return name is None or event.get(name) is not None


def plain(value: Any) -> Any:
    """Return a field's value as records hold it: times as microseconds."""
    return microseconds(value) if isinstance(value, datetime.datetime) else value
