"""Made-up values as a schema's types have them; made to be written by fastavro, without logical types.

ids      of numeric types: the digits of the text, `u0012` -> 12; of UUIDs: drawn from the text
times    in the unit of their logical type, or as ISO 8601 text
numbers  rounded, and kept within what the type holds; decimals with the digits that they may have
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import xxhash

from user_state.spec.avro_types import NamedTypes, default_value, logical_type, looked_up
from user_state.spec.event_field import UNIT_OF_TIME, UNITS

_NOTHING: Mapping[str, Any] = {
    "null": None,
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "bytes": b"",
    "string": "",
}
_BITS = {"int": 31, "long": 63}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def takes(declared: Mapping[str, Any], value: Any) -> bool:
    """Return whether a type that is looked up can have something of a made-up value."""
    kind = declared["type"]
    if logical_type(declared) == "decimal":
        return isinstance(value, int | float)
    if isinstance(value, str):
        return kind in ("string", "bytes", "enum", "fixed") if logical_type(declared) != "uuid" else kind == "string"
    return kind in ("int", "long", "float", "double", "boolean")


def written(declared: Mapping[str, Any], value: Any) -> Any:
    """Return a made-up value as a type that takes it has it."""
    kind = declared["type"]
    if logical_type(declared) == "decimal":
        return _decimal(declared, value)
    if kind == "enum":
        return value if value in declared["symbols"] else declared["symbols"][0]
    if kind in _BITS:
        bound = 1 << _BITS[kind]
        return max(-bound, min(round(value), bound - 1))
    if kind in ("float", "double"):
        return float(value)
    if kind == "boolean":
        return round(value) % 2 == 1
    if kind == "fixed":
        return value.encode()[: declared["size"]].ljust(declared["size"], b"\0")
    return value.encode() if kind == "bytes" else value


def id_written(declared: Mapping[str, Any], text: str) -> Any:
    """Return a made-up id as a type has it; what cannot have one has nothing."""
    kind = declared["type"]
    if logical_type(declared) == "uuid":
        drawn = UUID(bytes=xxhash.xxh128_digest(text.encode()), version=4)
        return str(drawn) if kind == "string" else drawn.bytes
    if kind in _BITS:
        return _number(text) & ((1 << _BITS[kind]) - 1)
    if kind == "fixed":
        return xxhash.xxh128_digest(text.encode()).ljust(declared["size"], b"\0")[: declared["size"]]
    return written(declared, text) if takes(declared, text) else nothing_of(declared, {})


def time_written(declared: Mapping[str, Any], time_us: int, stated: str | None) -> Any:
    """Return a time, microseconds UTC, as a type has it; `stated` is the unit of one without a logical type."""
    if declared["type"] == "string":
        return (_EPOCH + datetime.timedelta(microseconds=time_us)).isoformat()
    unit = UNIT_OF_TIME.get(logical_type(declared) or "") or stated or "us"
    return written(declared, time_us * 1000 // UNITS[unit]) if takes(declared, 0) else nothing_of(declared, {})


def nothing_of(declared: Any, named: NamedTypes) -> Any:
    """Return null, zero, the empty text or whatever is least of a type; of a record's fields their defaults."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        branches: Iterable[Any] = [looked_up(branch, named) for branch in declared]
        return None if {"type": "null"} in branches else nothing_of(declared[0], named)
    kind = declared["type"]
    if kind == "record":
        return {field["name"]: _default(field, named) for field in declared["fields"]}
    if kind == "enum":
        return declared["symbols"][0]
    if kind == "fixed":
        return bytes(declared["size"])
    if logical_type(declared) == "decimal":
        return b"\0"
    return {"array": list, "map": dict}[kind]() if kind in ("array", "map") else _NOTHING[kind]


def _default(field: Mapping[str, Any], named: NamedTypes) -> Any:
    if "default" in field:
        with suppress(ValueError):  # as above
            return default_value(field["type"], field["default"], named)
    return nothing_of(field["type"], named)


def _number(text: str) -> int:
    """Return the number in an id such as u0012 or e00ff, or one drawn from it."""
    try:
        return int(text[1:], 16 if text[:1] == "e" else 10)
    except ValueError:
        return xxhash.xxh64_intdigest(text.encode())


def _decimal(declared: Mapping[str, Any], value: float) -> bytes:
    digits = 10 ** int(declared.get("precision", 9)) - 1
    unscaled = max(-digits, min(int(Decimal(repr(value)).scaleb(declared.get("scale", 0)).to_integral_value()), digits))
    size = int(declared.get("size", 0)) or unscaled.bit_length() // 8 + 1
    bound = 1 << (8 * size - 1)
    kept: int = max(-bound, min(unscaled, bound - 1))
    return kept.to_bytes(size, "big", signed=True)
