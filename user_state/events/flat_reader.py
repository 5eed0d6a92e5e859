"""A strict, quick reader for flat Avro records, in Python.

fastavro takes 7 us for ten fields, and as much again to find out that the bytes were canonical, which it does not ask
for: it ignores trailing bytes, takes a union's branch -1 for its last, and reads a negative length to the end. This
reader takes what an Avro writer writes and nothing else, in one pass. Schemas that are not flat are fastavro's business
(see `event_reader`). Where there is compiled code, it reads first, by the same `FlatRecord`, and what it declines is
read here, for the words of what is wrong (see `rows`).

    string, bytes   zigzag varint length, bytes       int, long   zigzag varint, shortest form
    double          8 bytes little-endian             float       4 bytes little-endian
    boolean         0 or 1                            enum        zigzag varint index
    union           zigzag varint branch, value       fixed       its bytes
    null            nothing

A record written with another schema than it is read with is resolved in the same pass (see `flat_types`).

Source: Apache Avro 1.12 specification, "Binary encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from user_state.events.flat_types import FlatRecord, FlatType

Read = Callable[[bytes, int], tuple[Any, int]]
"""(bytes, offset) -> (value, offset after it); raises ValueError or IndexError for bytes that are none."""

_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_LONGEST = 70
"""Bits in the longest varint of a 64-bit number, seven a byte."""


def flat_reader(record: FlatRecord) -> Callable[[bytes], dict[str, Any]]:
    """Return a function that reads a whole record.

    The function raises ValueError, IndexError or struct.error for anything but the bytes of exactly one record, and
    ValueError for a null that the reader's schema does not take.
    """
    return _record_reader([(name, _reader_of(kind)) for name, kind in record.fields], record.defaults)


def _record_reader(
    fields: list[tuple[str | None, Read]], defaults: Mapping[str, Any]
) -> Callable[[bytes], dict[str, Any]]:
    def read(data: bytes) -> dict[str, Any]:
        at = 0
        record = {}
        for name, reader in kept:
            record[name], at = reader(data, at)
        if at != len(data):
            raise ValueError(f"{len(data) - at} bytes more than the record has")
        return record

    def read_resolving(data: bytes) -> dict[str, Any]:
        at = 0
        record = dict(defaults)
        for name, reader in fields:
            value, at = reader(data, at)
            if name is not None:
                record[name] = value
        if at != len(data):
            raise ValueError(f"{len(data) - at} bytes more than the record has")
        return record

    kept = [(name, reader) for name, reader in fields if name is not None]
    return read if len(kept) == len(fields) and not defaults else read_resolving


def _reader_of(flat: FlatType) -> Read:
    match flat.kind:
        case "union":
            return _union([_reader_of(branch) for branch in flat.branches])
        case "enum":
            return _enum(flat.symbols)
        case "fixed":
            return _fixed(flat.size)
        case "refused":
            return _refused(flat.why)
        case kind:
            return _PRIMITIVES[kind]


def _refused(why: str) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        raise ValueError(f"{why}, at byte {at}")

    return read


def _union(readers: list[Read]) -> Read:
    of_byte = dict(zip(range(0, 2 * len(readers), 2), readers, strict=True))  # a branch is one byte, see MOST_BRANCHES

    def read(data: bytes, at: int) -> tuple[Any, int]:
        reader = of_byte.get(data[at])
        if reader is None:
            raise ValueError(f"no branch {data[at]} in a union of {len(of_byte)} at byte {at}")
        return reader(data, at + 1)

    return read


def _enum(symbols: tuple[str | None, ...]) -> Read:
    def read(data: bytes, at: int) -> tuple[str, int]:
        index, at = _long(data, at)
        if not 0 <= index < len(symbols):
            raise ValueError(f"no symbol {index} in an enum of {len(symbols)} before byte {at}")
        symbol = symbols[index]
        if symbol is None:
            raise ValueError(f"symbol {index} of the writer's enum is none of the reader's, before byte {at}")
        return symbol, at

    return read


def _fixed(size: int) -> Read:
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise ValueError(f"{size} bytes at byte {at} of {len(data)}")
        return data[at:end], end

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


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise ValueError(f"{size} bytes at byte {at} of {len(data)}")
    return data[at:end], end


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


def _bytes_of_string(data: bytes, at: int) -> tuple[bytes, int]:
    text, at = _string(data, at)
    return text.encode(), at


def _float_of_long(data: bytes, at: int) -> tuple[float, int]:
    value, at = _long(data, at)
    return float(value), at


_PRIMITIVES: dict[str, Read] = {
    "string": _string,
    "bytes": _bytes,
    "long": _long,
    "double": _double,
    "float": _float,
    "boolean": _boolean,
    "null": _null,
    "bytes of string": _bytes_of_string,
    "float of long": _float_of_long,
}
