"""Avro types as fastavro parses them: looked up by name, put into words, and the values that a default stands for.

A type is a name (`"long"`, or the full name of a type defined further up), a mapping with `type`, or a list, a union.
Nothing here compares schemas; `resolution` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NamedTypes = Mapping[str, Mapping[str, Any]]
"""Full name -> the record, enum or fixed of that name."""

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_NAMED = ("record", "enum", "fixed")
_UUID_BYTES = 16
_MOST_SCALE = 1000
_KIND_OF_LOGICAL = {
    "date": "int",
    "time-millis": "int",
    "time-micros": "long",
    **dict.fromkeys(("timestamp-millis", "timestamp-micros", "timestamp-nanos"), "long"),
    **dict.fromkeys(("local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos"), "long"),
}


def named_types(schema: Any) -> dict[str, Mapping[str, Any]]:
    """Return every named type defined in `schema`, by its full name."""
    found: dict[str, Mapping[str, Any]] = {}
    waiting = [schema]
    while waiting:
        declared = waiting.pop()
        if isinstance(declared, list):
            waiting += declared
        elif isinstance(declared, Mapping):
            if declared["type"] in _NAMED:
                found[declared["name"]] = declared
            waiting += [declared[key] for key in ("items", "values") if key in declared]
            waiting += [field["type"] for field in declared.get("fields", ())]
    return found


def looked_up(declared: Any, named: NamedTypes) -> Any:
    """Return the union (a list) or the mapping with `type` that `declared` means."""
    if isinstance(declared, str):
        return named.get(declared, {"type": declared})
    return declared


def logical_type(declared: Any) -> str | None:
    """Return the logical type of a type that is looked up, None where it has none, or one that does not fit it.

    >>> logical_type({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2})
    'decimal'
    >>> logical_type({"type": "fixed", "name": "Id", "size": 8, "logicalType": "uuid"}) is None
    True

    As Avro has it, one that does not fit is as none at all.
    """
    if not isinstance(declared, Mapping) or not isinstance(declared.get("logicalType"), str):
        return None
    logical, kind = declared["logicalType"], declared["type"]
    if logical == "decimal":
        scale = declared.get("scale", 0)
        fits = kind in ("bytes", "fixed") and isinstance(scale, int) and 0 <= scale <= _MOST_SCALE
    elif logical == "uuid":
        fits = kind == "string" or (kind == "fixed" and declared.get("size") == _UUID_BYTES)
    else:
        fits = kind == _KIND_OF_LOGICAL.get(logical, kind)
    return logical if fits else None


def in_words(declared: Any) -> str:
    """Return a type as people say it.

    >>> in_words(["null", {"type": "enum", "name": "feed.Action", "symbols": []}])
    'null or enum feed.Action'
    >>> in_words({"type": "array", "items": {"type": "long", "logicalType": "timestamp-micros"}})
    'array of long (timestamp-micros)'
    """
    if isinstance(declared, list):
        return " or ".join(in_words(branch) for branch in declared)
    if not isinstance(declared, Mapping):
        return str(declared)
    kind = str(declared["type"])
    if kind in _NAMED:
        return f"{kind} {declared['name']}"
    if kind in ("array", "map"):
        return f"{kind} of {in_words(declared['items' if kind == 'array' else 'values'])}"
    logical = declared.get("logicalType")
    return f"{kind} ({logical})" if logical else kind


def default_value(declared: Any, default: Any, named: NamedTypes) -> Any:
    r"""Return the value that `default`, as JSON has it, stands for in a field of the type `declared`.

    A union's default is one of any of its branches, the first that fits (Avro 1.12; before, of the first).

    >>> default_value("bytes", "\u00ff", {}), default_value(["null", "double"], 0, {})
    (b'\xff', 0.0)

    Raises:
        ValueError: it fits none.
    """
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        return _of_branch(declared, default, named)
    kind = declared["type"]
    if kind == "null" and default is None:
        return None
    if kind == "boolean" and isinstance(default, bool):
        return default
    if kind in ("int", "long") and isinstance(default, int) and not isinstance(default, bool):
        bits = 31 if kind == "int" else 63
        if -(2**bits) <= default < 2**bits:
            return default
    if kind in ("float", "double") and isinstance(default, int | float) and not isinstance(default, bool):
        return _as_float(default)
    if isinstance(default, str):
        if kind == "string" or (kind == "enum" and default in declared["symbols"]):
            return default
        if kind == "bytes" or (kind == "fixed" and len(default) == declared["size"]):
            return default.encode("latin-1")
    if kind == "array" and isinstance(default, list):
        return [default_value(declared["items"], item, named) for item in default]
    if kind == "map" and isinstance(default, dict):
        return {key: default_value(declared["values"], value, named) for key, value in default.items()}
    if kind == "record" and isinstance(default, dict):
        return {
            field["name"]: default_value(field["type"], _given(field, default), named) for field in declared["fields"]
        }
    raise ValueError(f"expected a default of type {in_words(declared)}, got {default!r}")


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError as exc:
        raise ValueError("expected a default that fits a double, got a larger one") from exc


def _of_branch(branches: Iterable[Any], default: Any, named: NamedTypes) -> Any:
    for branch in branches:
        try:
            return default_value(branch, default, named)
        except ValueError:
            continue
    raise ValueError(f"expected a default of type {in_words(list(branches))}, got {default!r}")


def _given(field: Mapping[str, Any], default: Mapping[str, Any]) -> Any:
    if field["name"] in default:
        return default[field["name"]]
    if "default" in field:
        return field["default"]
    raise ValueError(f"expected a default with a value for {field['name']}, which has none of its own")
