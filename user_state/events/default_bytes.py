"""The bytes of a field's default: what the writer would have written, had it had the field.

So what a default stands for is read as any other value is, whatever its type. Nothing else is written here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from user_state.spec.avro_types import NamedTypes, default_value, looked_up


def default_bytes(declared: Any, default: Any, named: NamedTypes) -> bytes:
    r"""Return the bytes of the value that `default`, as JSON has it, stands for in a field of the type `declared`.

    >>> default_bytes(["null", "string"], "a", {}), default_bytes({"type": "array", "items": "int"}, [-1], {})
    (b'\x02\x02a', b'\x02\x01\x00')

    Raises:
        ValueError: it fits none of the type's values.
    """
    default_value(declared, default, named)
    return _written(declared, default, named)


def _written(declared: Any, default: Any, named: NamedTypes) -> bytes:
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        at = next(index for index, branch in enumerate(declared) if _fits(branch, default, named))
        return _long(at) + _written(declared[at], default, named)
    value: Any = default_value(declared, default, named) if declared["type"] not in ("array", "map", "record") else None
    match declared["type"]:
        case "null":
            return b""
        case "boolean":
            return bytes([value])
        case "int" | "long":
            return _long(value)
        case "float":
            return struct.pack("<f", value)
        case "double":
            return struct.pack("<d", value)
        case "string":
            return _sized(value.encode())
        case "bytes":
            return _sized(value)
        case "fixed":
            return bytes(value)
        case "enum":
            return _long(declared["symbols"].index(value))
        case "array":
            return _block([_written(declared["items"], item, named) for item in default])
        case "map":
            entries = default.items()
            return _block([_sized(key.encode()) + _written(declared["values"], held, named) for key, held in entries])
        case "record":
            return b"".join(_written(part["type"], _given(part, default), named) for part in declared["fields"])
    return _written(declared["type"], default, named)


def _fits(branch: Any, default: Any, named: NamedTypes) -> bool:
    try:
        default_value(branch, default, named)
    except ValueError:
        return False
    return True


def _given(part: Mapping[str, Any], default: Mapping[str, Any]) -> Any:
    return default[part["name"]] if part["name"] in default else part["default"]


def _block(items: list[bytes]) -> bytes:
    return (_long(len(items)) + b"".join(items) if items else b"") + _long(0)


def _sized(data: bytes) -> bytes:
    return _long(len(data)) + data


def _long(number: int) -> bytes:
    left = (number << 1) ^ (number >> 63)
    written = bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)
