"""An event as a spec sees it: what lies at each path that the spec names, worked out by brute force.

    a path       `device.os`, `attributes.country`, `items.sku`: by hand, through records, maps and arrays
    texts        enums as they are, bytes and fixed as hexadecimal digits, a fixed UUID as 36 characters
    numbers      decimals as the nearest double
    lists        of the values in arrays without nulls; None for an empty one
    times        as they are; of the fields that say when it happened and was published, also in microseconds

`user_state/spec/event_field.py` has the table of kinds. Values of types that the spec cannot use stay what they are,
for `replay` to refuse.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal
from typing import Any

from user_state.oracle.events import Arrival, microseconds
from user_state.spec.avro_types import NamedTypes, logical_type, looked_up, named_types
from user_state.spec.model import Spec

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_LOGICAL_NANOSECONDS = {"millis": 10**6, "micros": 10**3, "nanos": 1}
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
_EXACT = Context(prec=10_000, Emax=10**9, Emin=-(10**9))


class TextOrNumber(str):
    """A whole number where text may stand too: a text, of which a number can be made."""


class View:
    """Sees events of one schema as one spec does.

    Args:
        spec: names the paths.
        schema: the events', as fastavro parses it, with its logical types.
        used: the paths that outputs use.
    """

    def __init__(self, spec: Spec, schema: Any, used: Iterable[str]) -> None:
        self._spec = spec
        self._schema = schema
        self._named = named_types(schema)
        roles = (spec.events.user, spec.events.id, spec.events.time, spec.events.published or spec.events.time)
        self._paths = sorted({*used, *roles})
        ends = {path: list(_ends(schema, path.split("."), self._named)) for path in self._paths}
        self._lists = {path for path, found in ends.items() if any(is_list for _, is_list in found)}
        self._mixed = {
            path for path, found in ends.items() if {"text", "whole"} <= {_sort(declared) for declared, _ in found}
        }

    def arrival(self, event: Mapping[str, Any], published_us: int | None = None) -> Arrival:
        """Return the event as it arrived, with the values at the paths of the spec, and all others as they are."""
        events = self._spec.events
        seen = dict(event)
        seen |= {path: self._at(path, event) for path in self._paths}
        times = {events.time: self._time(events.time, event, events.time_unit)}
        if events.published is not None:
            times[events.published] = self._time(events.published, event, events.published_unit)
        return Arrival(seen, published_us, times=times)

    def _at(self, path: str, event: Mapping[str, Any]) -> Any:
        found = [_plain(value, declared) for value, declared in self._found(path, event)]
        if path in self._lists:
            return [value for value in found if value is not None] or None
        (value,) = found or [None]
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return TextOrNumber(value) if path in self._mixed and is_whole else value

    def _found(self, path: str, event: Mapping[str, Any]) -> list[tuple[Any, Any]]:
        return list(_values(event, self._schema, path.split("."), self._named))

    def _time(self, path: str, event: Mapping[str, Any], stated: str | None) -> Any:
        """Return a time in microseconds, what stands there if it is none."""
        ((value, declared),) = self._found(path, event) or [(None, None)]
        if isinstance(value, datetime.datetime):
            return microseconds(value)
        if isinstance(value, str):
            return of_iso(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        logical = logical_type(declared) or ""
        if logical == "date":
            return value * 86_400_000_000
        of_type = next((ns for name, ns in _LOGICAL_NANOSECONDS.items() if logical.endswith(f"timestamp-{name}")), None)
        return value * (of_type or NANOSECONDS[stated or "us"]) // 1000


def of_iso(text: str) -> Any:
    """Return the microseconds of a time in ISO 8601, or the text, if it is none."""
    found = _ISO.fullmatch(text)
    if found is None:
        return text
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=datetime.UTC
        )
    except ValueError:
        return text
    offset_s = 0
    if zone and zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
        if hours > 23 or minutes > 59:
            return text
        offset_s = (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
    return microseconds(moment) - offset_s * 1_000_000 + int((fraction or "0")[:6].ljust(6, "0"))


def _plain(value: Any, declared: Any) -> Any:
    """Return a value as features see it."""
    if isinstance(value, bytes):
        logical = logical_type(declared)
        if logical == "decimal":
            unscaled = int.from_bytes(value, "big", signed=True)
            scaled = float(Decimal(unscaled).scaleb(-declared.get("scale", 0), _EXACT)) if len(value) <= 1024 else None
            return float("inf") if scaled is None else scaled
        return str(uuid.UUID(bytes=value)) if logical == "uuid" else value.hex()
    if isinstance(value, datetime.datetime):
        return microseconds(value)
    return value


def _fits(value: Any, declared: Any) -> bool:
    """Return whether a value may be of a branch of a union."""
    kind = declared["type"]
    match value:
        case None:
            return bool(kind == "null")
        case bool():
            return bool(kind == "boolean")
        case int() | datetime.datetime():
            return bool(kind in ("int", "long"))
        case float():
            return bool(kind in ("float", "double"))
        case str():
            return kind == "string" or (kind == "enum" and value in declared["symbols"])
        case bytes():
            return bool(kind == "bytes" or (kind == "fixed" and declared["size"] == len(value)))
        case list():
            return bool(kind == "array")
        case dict():
            return kind == "map" or (
                kind == "record" and {field["name"] for field in declared["fields"]} == value.keys()
            )
    return False


def _branch(value: Any, declared: Any, named: NamedTypes) -> Any:
    declared = looked_up(declared, named)
    if not isinstance(declared, list):
        return declared
    branches = [looked_up(branch, named) for branch in declared]
    fitting = [branch for branch in branches if _fits(value, branch)]
    # A record before a map that could have its keys.
    return min(fitting, key=lambda branch: branch["type"] == "map", default={"type": "null"})


def _values(value: Any, declared: Any, parts: list[str], named: NamedTypes) -> Iterator[tuple[Any, Any]]:
    """Yield (value, its type) of all that lies at the end of a path."""
    declared = _branch(value, declared, named)
    if isinstance(value, list):
        for item in value:
            yield from _values(item, declared["items"], parts, named)
    elif not parts:
        yield value, declared
    elif isinstance(value, dict) and declared["type"] == "map":
        key, rest = _key(parts, declared["values"], named)
        if key in value:
            yield from _values(value[key], declared["values"], rest, named)
    elif isinstance(value, dict):
        field = next((field for field in declared["fields"] if field["name"] == parts[0]), None)
        if field is not None:
            yield from _values(value[parts[0]], field["type"], parts[1:], named)


def _key(parts: list[str], values: Any, named: NamedTypes) -> tuple[str, list[str]]:
    return (parts[0], parts[1:]) if _is_open(values, named) else (".".join(parts), [])


def _is_open(declared: Any, named: NamedTypes) -> bool:
    """Return whether a path may go on in such values."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        return any(_is_open(branch, named) for branch in declared)
    return declared["type"] in ("record", "map") or (declared["type"] == "array" and _is_open(declared["items"], named))


def _ends(
    declared: Any, parts: list[str], named: NamedTypes, is_list: bool = False
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield (type, whether it lies in an array) of all that may lie at the end of a path."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        for branch in declared:
            yield from _ends(branch, parts, named, is_list)
    elif declared["type"] == "array":
        yield from _ends(declared["items"], parts, named, True)
    elif not parts:
        yield declared, is_list
    elif declared["type"] == "map":
        yield from _ends(declared["values"], _key(parts, declared["values"], named)[1], named, is_list)
    elif declared["type"] == "record":
        for field in declared["fields"]:
            if field["name"] == parts[0]:
                yield from _ends(field["type"], parts[1:], named, is_list)


def _sort(declared: Mapping[str, Any]) -> str:
    if logical_type(declared) == "decimal":
        return "other"
    kinds = {"int": "whole", "long": "whole", **dict.fromkeys(("string", "enum", "bytes", "fixed"), "text")}
    return kinds.get(declared["type"], "other")
