"""A strict, quick reader for flat Avro records: fields of primitive, enum and fixed type, nullable or not.

Events nearly always are flat, and decoding them is the dearest thing this project does to an event. fastavro takes
7 us for ten fields, and as much again to find out that the bytes were canonical, which it does not ask for: it ignores
trailing bytes, takes a union's branch -1 for its last, and reads a negative length to the end. This reader takes what
an Avro writer writes and nothing else, in one pass. Schemas that are not flat are fastavro's business (see
`event_reader`).

    string, bytes   zigzag varint length, bytes       int, long   zigzag varint, shortest form
    double          8 bytes little-endian             float       4 bytes little-endian
    boolean         0 or 1                            enum        zigzag varint index
    union           zigzag varint branch, value       fixed       its bytes
    null            nothing

A record written with another schema than it is read with is resolved in the same pass: what is decided by the two
schemas (which fields are kept, promoted, read over or filled in, which symbol becomes which, which branch of a union
is read as what) is decided when the reader is made, by the rules of `user_state.spec.resolution`.

Source: Apache Avro 1.12 specification, "Binary encoding", "Schema Resolution".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from user_state.spec.avro_types import default_value, in_words, looked_up
from user_state.spec.resolution import NamedPair, field_sources, matches

Read = Callable[[bytes, int], tuple[Any, int]]
"""(bytes, offset) -> (value, offset after it); raises ValueError or IndexError for bytes that are none."""

_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_LONGEST = 70
"""Bits in the longest varint of a 64-bit number, seven a byte."""


def flat_reader(writer: Any, reader: Any = None) -> Callable[[bytes], dict[str, Any]] | None:
    """Return a function that reads a whole record, or None if it is not flat.

    The function raises ValueError, IndexError or struct.error for anything but the bytes of exactly one record, and
    ValueError for a null that `reader` does not take.

    Args:
        writer: the schema that the record was written with, parsed, without logical types.
        reader: the one that it is read as; it must resolve (see `mismatches`). The writer's own, if not given.
    """
    if reader is None:
        reader = writer
    if writer.get("type") != "record":
        return None
    named = NamedPair.of(writer, reader)
    as_written = NamedPair(named.writer, named.writer)
    sources = field_sources(writer, reader)
    names = {source: name for name, source in sources.items() if source is not None}
    types = {field["name"]: field["type"] for field in reader["fields"]}
    fields: list[tuple[str | None, Read]] = []
    for field in writer["fields"]:
        name = names.get(field["name"])
        if name is None:
            read = _reader_of(field["name"], field["type"], field["type"], as_written)
        else:
            read = _reader_of(name, field["type"], types[name], named)
        if read is None:
            return None
        fields.append((name, read))
    defaults = {
        field["name"]: default_value(field["type"], field["default"], named.reader)
        for field in reader["fields"]
        if sources[field["name"]] is None
    }
    if any(isinstance(value, list | dict) for value in defaults.values()):
        return None  # each event would need a copy of its own
    return _record_reader(fields, defaults)


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


def _reader_of(field: str, writer: Any, reader: Any, named: NamedPair) -> Read | None:
    """Return what reads a value written as `writer` as `reader`, None if it is not flat; `field` is for messages."""
    writer, reader = looked_up(writer, named.writer), looked_up(reader, named.reader)
    if isinstance(writer, list):
        return _union([_reader_of(field, branch, reader, named) for branch in writer])
    if isinstance(reader, list):
        reader = next((branch for branch in reader if matches(writer, branch, named)), reader)
        reader = looked_up(reader, named.reader)
    if isinstance(reader, list) or not matches(writer, reader, named):
        return _refused(f"{in_words(writer)} in {field}, which is read as {in_words(reader)}")
    kind = writer["type"]
    if kind == "enum":
        return _enum(_symbols(writer["symbols"], reader))
    if kind == "fixed":
        return _fixed(writer["size"])
    promoted = _PROMOTED.get((kind, reader["type"]))
    return promoted if promoted is not None else _PRIMITIVES.get(kind)


def _refused(why: str) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        raise ValueError(f"{why}, at byte {at}")

    return read


def _union(branches: list[Read | None]) -> Read | None:
    readers = [branch for branch in branches if branch is not None]
    if len(readers) < len(branches):
        return None
    # A branch below 64 is one byte, twice its index.
    of_byte = dict(zip(range(0, 2 * len(readers), 2), readers, strict=True))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        reader = of_byte.get(data[at])
        if reader is None:
            raise ValueError(f"no branch {data[at]} in a union of {len(of_byte)} at byte {at}")
        return reader(data, at + 1)

    return read if len(readers) < 64 else None


def _symbols(written: list[str], reader: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return the symbol that each written one is read as, None where the reader has neither it nor a default."""
    known = set(reader["symbols"])
    return tuple(symbol if symbol in known else reader.get("default") for symbol in written)


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
    "int": _long,
    "long": _long,
    "double": _double,
    "float": _float,
    "boolean": _boolean,
    "null": _null,
}
_PROMOTED: dict[tuple[str, str], Read] = {
    ("string", "bytes"): _bytes_of_string,
    ("bytes", "string"): _string,
    ("int", "float"): _float_of_long,
    ("int", "double"): _float_of_long,
    ("long", "float"): _float_of_long,
    ("long", "double"): _float_of_long,
}
"""What is not read as it was written; an int is a long, and a float a double, as it stands."""
