"""A strict, quick reader for flat Avro records: fields of primitive and enum type, nullable or not.

Events nearly always are flat, and decoding them is the dearest thing this project does to an event. fastavro takes
7 us for ten fields, and as much again to find out that the bytes were canonical, which it does not ask for: it ignores
trailing bytes, takes a union's branch -1 for its last, and reads a negative length to the end. This reader takes what
an Avro writer writes and nothing else, in one pass. Schemas that are not flat are fastavro's business (see `decode`).

    string   zigzag varint length, UTF-8      int, long   zigzag varint, shortest form
    double   8 bytes little-endian            float       4 bytes little-endian
    boolean  0 or 1                           enum        zigzag varint index
    union    zigzag varint branch, value      null        nothing

Source: Apache Avro 1.11 specification, "Binary encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

Read = Callable[[bytes, int], tuple[Any, int]]
"""(bytes, offset) -> (value, offset after it); raises ValueError or IndexError for bytes that are none."""

_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_LONGEST = 70
"""Bits in the longest varint of a 64-bit number, seven a byte."""


def flat_reader(schema: Any) -> Callable[[bytes], dict[str, Any]] | None:
    """Return a function that reads a whole record of `schema` (parsed, without logical types), or None if not flat.

    The function raises ValueError, IndexError or struct.error for anything but the bytes of exactly one record.
    """
    if schema.get("type") != "record":
        return None
    fields: list[tuple[str, Read]] = []
    for field in schema["fields"]:
        reader = _reader_of(field["type"])
        if reader is None:
            return None
        fields.append((field["name"], reader))

    def read(data: bytes) -> dict[str, Any]:
        at = 0
        record = {}
        for name, reader in fields:
            record[name], at = reader(data, at)
        if at != len(data):
            raise ValueError(f"{len(data) - at} bytes more than the record has")
        return record

    return read


def _reader_of(declared: Any) -> Read | None:
    if isinstance(declared, list):
        return _union(declared)
    if isinstance(declared, Mapping):
        if declared.get("type") == "enum":
            return _enum(tuple(declared["symbols"]))
        declared = declared.get("type")
    return _PRIMITIVES.get(declared) if isinstance(declared, str) else None


def _union(branches: list[Any]) -> Read | None:
    readers: list[Read] = []
    for branch in branches:
        reader = _reader_of(branch)
        if reader is None:
            return None
        readers.append(reader)
    # A branch below 64 is one byte, twice its index.
    of_byte = dict(zip(range(0, 2 * len(readers), 2), readers, strict=True))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        reader = of_byte.get(data[at])
        if reader is None:
            raise ValueError(f"no branch {data[at]} in a union of {len(of_byte)} at byte {at}")
        return reader(data, at + 1)

    return read if len(readers) < 64 else None


def _enum(symbols: tuple[str, ...]) -> Read:
    def read(data: bytes, at: int) -> tuple[str, int]:
        index, at = _long(data, at)
        if not 0 <= index < len(symbols):
            raise ValueError(f"no symbol {index} in an enum of {len(symbols)} before byte {at}")
        return symbols[index], at

    return read


def _long(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value > 0x7F:
        value &= 0x7F
        shift = 7
        while (byte := data[at]) > 0x7F:
            value |= (byte & 0x7F) << shift
            shift += 7
            at += 1
            if shift >= _LONGEST:
                raise ValueError(f"a number of more than 10 bytes before byte {at}")
        value |= byte << shift
        at += 1
        if byte == 0 or value >> 64:
            raise ValueError(f"a number that no writer writes before byte {at}")
    return (value >> 1) ^ -(value & 1), at


def _string(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    at += 1
    if size > 0x7F:
        size, at = _long(data, at - 1)
    elif size & 1:
        raise ValueError(f"a negative length before byte {at}")
    else:
        size >>= 1
    end = at + size
    if size < 0 or end > len(data):
        raise ValueError(f"a string of {size} bytes at byte {at} of {len(data)}")
    return data[at:end].decode(), end


def _double(data: bytes, at: int) -> tuple[float, int]:
    return _DOUBLE.unpack_from(data, at)[0], at + 8


def _float(data: bytes, at: int) -> tuple[float, int]:
    return _FLOAT.unpack_from(data, at)[0], at + 4


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise ValueError(f"neither 0 nor 1 but {byte} for a boolean at byte {at}")
    return byte == 1, at + 1


def _null(data: bytes, at: int) -> tuple[None, int]:
    return None, at


_PRIMITIVES: dict[str, Read] = {
    "string": _string,
    "int": _long,
    "long": _long,
    "double": _double,
    "float": _float,
    "boolean": _boolean,
    "null": _null,
}
