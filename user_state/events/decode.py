"""Message bodies -> events -> event rows, or the one error that says why not.

A body is Avro's single-object encoding (C3 01, schema fingerprint, event) or the event alone. The two cannot be
confused where the schema's first field is a string: C3 01 would be a negative length.

The fingerprint says which of the schema's versions the event was written with. An event alone does not say, so it is
taken for one of the schema itself.

An event must be the very bytes that a writer writes for it, so that what was damaged on its way is found out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import xxhash

from user_state.core.events import EventRow
from user_state.core.pieces import Field
from user_state.core.plan import Plan
from user_state.errors import EventError, shorten
from user_state.events.event_reader import event_reader, write_event
from user_state.spec.event_schema import EventSchema
from user_state.spec.problems import listing

SINGLE_OBJECT = b"\xc3\x01"
MAX_ID_BYTES = 1024
MAX_TEXT_BYTES = 0xFFFF
FIRST_TIME_US = 31_536_000_000_000
"""1971-01-01: tiles start at whole seconds, and second 0 means lifetime."""
END_TIME_US = 4_102_444_800_000_000
"""2100-01-01: seconds must fit 32 bits, and anything later is nonsense."""
_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


class EventDecoder:
    """Decodes the events of one plan."""

    def __init__(self, plan: Plan, schema: EventSchema) -> None:
        self._plan = plan
        self._schema = schema
        self._head = SINGLE_OBJECT + schema.fingerprint
        self._read = event_reader(schema, schema)
        self._readers = {self._head: (self._read, schema)}
        for version in schema.versions:
            self._readers[SINGLE_OBJECT + version.fingerprint] = (event_reader(version, schema), version)
        self._checks = [
            (field.name, _millis if schema.fields[field.name].unit == "ms" else _check(plan, field))
            for field in plan.fields
        ]

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the event that `data` holds, as the schema has it, whichever version it was written with.

        Raises:
            EventError: `undecodable`.
        """
        read, writer = self._read, self._schema
        if data[:2] == SINGLE_OBJECT:
            found = self._readers.get(data[:10])
            if found is None:
                raise EventError("undecodable", self._unknown(data[2:10]))
            read, writer = found
            data = data[10:]
        try:
            return read(data)
        except Exception as exc:  # a reader raises whatever Python raises where it stumbles
            raise EventError(
                "undecodable",
                f"expected an Avro {writer.name}{self._version(writer)}, got {len(data)} bytes that are none:"
                f" {type(exc).__name__} {shorten(str(exc), 160)}",
            ) from exc

    def _version(self, writer: EventSchema) -> str:
        return "" if writer is self._schema else f" of {writer.file or writer.fingerprint.hex()}"

    def _unknown(self, fingerprint: bytes) -> str:
        known = listing(schema.label for schema in (self._schema, *self._schema.versions))
        return (
            f"expected one of the event schemas that the spec names: {known}; got fingerprint {fingerprint.hex()},"
            " of a schema to be added to `versions:`, or of other events"
        )

    def encode(self, event: Mapping[str, Any]) -> bytes:
        """Return the event in single-object encoding.

        Raises:
            EventError: `invalid`, it does not fit the schema.
        """
        try:
            return self._head + write_event(self._schema, event)
        except Exception as exc:
            raise EventError("invalid", f"expected an event that fits {self._schema.name}: {exc}") from exc

    def row(self, event: Mapping[str, Any], publish_us: int | None) -> EventRow:
        """Return `(user, id_hash, time_us, published_us, *fields)`.

        Raises:
            EventError: `invalid`: a field is missing, empty, too long, out of range or not finite.
        """
        plan = self._plan
        user = _identifier(event, plan.user_field)
        event_id = _identifier(event, plan.id_field)
        time_us = _time_us(event, plan.time_field, plan.time_unit_us)
        if publish_us is None:
            published = None if plan.published_field is None else event.get(plan.published_field)
            if published is None:
                publish_us = time_us
            else:
                publish_us = _time_us(event, plan.published_field or "", plan.published_unit_us)
        values = [check(event.get(name), name) for name, check in self._checks]
        return (user, xxhash.xxh64_intdigest(event_id.encode()), time_us, publish_us, *values)


def _identifier(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_ID_BYTES or len(value.encode()) > MAX_ID_BYTES:
        raise EventError("invalid", f"expected {name} of 1 to {MAX_ID_BYTES} bytes, got {shorten(value)}")
    return value


def _time_us(event: Mapping[str, Any], name: str, unit_us: int) -> int:
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


def _check(plan: Plan, field: Field) -> Callable[[Any, str], Any]:
    return _item if field.name in plan.item_fields else _CHECKS[field.kind]


_CHECKS: dict[str, Callable[[Any, str], Any]] = {"string": _text, "float": _float, "int": _int, "bool": _int}
