"""Events as JSON, as the decoder reads it (`native/events/json_reading.hpp`): for traffic that is made up or published.

    bytes, fixed    one character for each byte          decimal    a number with all its digits
    fixed UUID      36 characters                        time       a number in the unit of its type

A value of a union is written as itself where there is one branch beside null, and else as Avro's own JSON has it,
`{"string": "x"}`, wherever that can be read as nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

from user_state.events.event_reader import event_reader, json_reader
from user_state.events.json_program import avros_names
from user_state.spec.avro_types import NamedTypes, logical_type, looked_up, named_types
from user_state.spec.event_schema import EventSchema

_EXACT = Context(prec=10_000, Emax=10**9, Emin=-(10**9))


class JsonWriter:
    """Writes bodies of one schema's events."""

    def __init__(self, schema: EventSchema) -> None:
        self._schema = schema
        self._read, self._read_json = event_reader(schema, schema), json_reader(schema)

    def body(self, event: bytes) -> bytes | None:
        """Return the event of these bytes, in Avro's binary encoding, as JSON; None where that would be another."""
        values = self._read(event)
        try:
            body = write_json(self._schema, values)
            return body if self._read_json(body) == values else None
        except ValueError:
            return None


def write_json(schema: EventSchema, event: Mapping[str, Any]) -> bytes:
    """Return an event, its values as fastavro has them without logical types, as JSON in UTF-8.

    Raises:
        ValueError: a number is not finite, which JSON cannot say, or a value is of no branch of its union.
    """
    return _text(schema.whole, event, named_types(schema.whole), wrapped=False).encode()


def _text(declared: Any, value: Any, named: NamedTypes, *, wrapped: bool) -> str:
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        return _of_union(declared, value, named)
    match declared["type"]:
        case "record":
            fields = ((field["name"], field["type"]) for field in declared["fields"])
            return _object((name, _text(of, value[name], named, wrapped=False)) for name, of in fields)
        case "map":
            return _object((key, _text(declared["values"], held, named, wrapped=False)) for key, held in value.items())
        case "array":
            return f"[{','.join(_text(declared['items'], item, named, wrapped=False) for item in value)}]"
        case "bytes" | "fixed":
            return _of_bytes(declared, value, wrapped=wrapped)
        case "float" | "double" if not math.isfinite(value):
            raise ValueError("expected a finite number: JSON has no other")
        case "float" | "double":
            return json.dumps(float(value))
    return json.dumps(value, ensure_ascii=False)


def _object(members: Any) -> str:
    return f"{{{','.join(f'{json.dumps(name, ensure_ascii=False)}:{text}' for name, text in members)}}}"


def _of_bytes(declared: Mapping[str, Any], value: bytes, *, wrapped: bool) -> str:
    logical = logical_type(declared)
    if logical == "uuid":
        return f'"{UUID(bytes=value)}"'
    if logical == "decimal" and not wrapped:
        number = Decimal(int.from_bytes(value, "big", signed=True)).scaleb(-declared.get("scale", 0), _EXACT)
        return f"{number:f}"
    return json.dumps(value.decode("latin-1"))


def _of_union(branches: Sequence[Any], value: Any, named: NamedTypes) -> str:
    types = [looked_up(branch, named) for branch in branches]
    fitting = [at for at, declared in enumerate(types) if _fits(value, declared, named)]
    fitting.sort(key=lambda at: bool(types[at]["type"] == "float"))  # a double says what a float does, and more
    if not fitting:
        raise ValueError("expected a value of a branch of its union")
    name = list(avros_names(branches, named))[fitting[0]]
    if value is None or name is None or len([one for one in types if one["type"] != "null"]) == 1:
        return _text(types[fitting[0]], value, named, wrapped=False)
    return _object([(name, _text(types[fitting[0]], value, named, wrapped=True))])


def _fits(value: Any, declared: Any, named: NamedTypes) -> bool:
    """Return whether a type has a value, down to its last part: records of a union may differ there alone."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        return any(_fits(value, branch, named) for branch in declared)
    kind = declared["type"]
    match value:
        case None:
            return bool(kind == "null")
        case bool():
            return bool(kind == "boolean")
        case int():
            return bool(kind == "long") or (kind == "int" and -(2**31) <= value < 2**31)
        case float():
            return kind in ("float", "double")
        case str():
            return kind == "string" or (kind == "enum" and value in declared["symbols"])
        case bytes():
            return bool(kind == "bytes") or (kind == "fixed" and declared["size"] == len(value))
        case Mapping() if kind == "map":
            return all(_fits(held, declared["values"], named) for held in value.values())
        case Mapping() if kind == "record":
            types = {field["name"]: field["type"] for field in declared["fields"]}
            return types.keys() == value.keys() and all(_fits(value[name], types[name], named) for name in types)
        case Mapping():
            return False
    return kind == "array" and all(_fits(item, declared["items"], named) for item in value)
