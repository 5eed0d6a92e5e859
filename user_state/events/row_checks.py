"""What a value has to be to stand in an event row, and the words for one that is not.

Compiled code asks the same (`native/bindings/row_reader.cpp`, by the names of `check_names`); for the words it leaves
all that fails to this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from user_state.core.plan import Plan
from user_state.errors import EventError, shorten
from user_state.spec.event_schema import EventSchema

MAX_ID_BYTES = 1024
MAX_TEXT_BYTES = 0xFFFF
FIRST_TIME_US = 31_536_000_000_000
"""1971-01-01: tiles start at whole seconds, and second 0 means lifetime."""
END_TIME_US = 4_102_444_800_000_000
"""2100-01-01: seconds must fit 32 bits, and anything later is nonsense."""
_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


def check_names(plan: Plan, schema: EventSchema) -> list[str]:
    """Return which of CHECKS each of `plan.fields` has to pass."""
    names = []
    for field in plan.fields:
        if schema.fields[field.name].unit == "ms":
            names.append("millis")
        else:
            names.append("item" if field.name in plan.item_fields else _OF_KIND[field.kind])
    return names


def identifier(event: Mapping[str, Any], name: str) -> str:
    """Return the text that identifies a user or an event; raises EventError if it cannot."""
    value = event.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_ID_BYTES or len(value.encode()) > MAX_ID_BYTES:
        raise EventError("invalid", f"expected {name} of 1 to {MAX_ID_BYTES} bytes, got {shorten(value)}")
    return value


def time_of(event: Mapping[str, Any], name: str, unit_us: int) -> int:
    """Return a time of the event in microseconds; raises EventError if it is none, or one of another age."""
    value = event.get(name)
    if not isinstance(value, int) or not FIRST_TIME_US <= value * unit_us < END_TIME_US:
        raise EventError("invalid", f"expected {name} between 1971 and 2100, got {shorten(value)}")
    return value * unit_us


def _text(value: Any, name: str) -> str | None:
    if value is not None and len(value) > MAX_TEXT_BYTES // 4 and len(value.encode()) > MAX_TEXT_BYTES:
        raise EventError("invalid", f"expected {name} of at most {MAX_TEXT_BYTES} bytes, got {len(value.encode())}")
    return value  # type: ignore[no-any-return]


def _float(value: Any, name: str) -> float | None:
    if value is not None and not math.isfinite(value):
        raise EventError("invalid", f"expected {name} to be a finite number, got {value!r}")
    return value  # type: ignore[no-any-return]


def _int(value: Any, name: str) -> int | None:
    if value is not None and not _LONG_MIN < value <= _LONG_MAX:
        raise EventError("invalid", f"expected {name} above {_LONG_MIN}, got {value!r}")
    return value  # type: ignore[no-any-return]


def _millis(value: Any, name: str) -> int | None:
    """Return a timestamp in milliseconds in microseconds, which is what all times are beyond this point."""
    return None if value is None else _int(value * 1000, name)


def _item(value: Any, name: str) -> str | None:
    if value == "":
        raise EventError("invalid", f"expected {name} to be null or of at least 1 byte, since it names items, got ''")
    return _text(value, name)


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "text": _text,
    "item": _item,
    "float": _float,
    "int": _int,
    "millis": _millis,
}
"""(value, name of the field) -> the value as it stands in the row; raises EventError `invalid`."""

_OF_KIND = {"string": "text", "float": "float", "int": "int", "bool": "int"}
