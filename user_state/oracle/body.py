"""One Avro value read from bytes, byte by byte: whether they are what a writer writes, and what they say.

Written down a second time, and slowly, so that the compiled reader is held against something. The same rules:

    numbers in their shortest form, an int in 32 bits, a boolean 0 or 1, text in UTF-8, indexes that there are
    blocks with a negative count have as many bytes as they say; the last of equal keys counts
    at most MOST_LEVELS records, arrays and maps in each other; at most MOST_FREE values beyond MOST_A_BYTE a byte

Values come as fastavro gives them without logical types.

Source: Apache Avro 1.12 specification, "Binary encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from user_state.spec.avro_types import looked_up, named_types

MOST_LEVELS = 128
MOST_A_BYTE, MOST_FREE = 64, 65_536


def read_body(schema: Any, data: bytes) -> Any:
    """Return the value of the parsed `schema` that `data` holds, to the last byte.

    Raises:
        ValueError: `data` holds none.
    """
    reading = _Reading(schema, data)
    value = reading.value(schema)
    if reading.at != len(data):
        raise ValueError(f"{len(data) - reading.at} bytes are left over")
    return value


def read_records(schema: Any, data: bytes, count: int) -> Iterator[tuple[bytes, Any]]:
    """Yield the bytes and the value of each of `count` records that stand in `data` one behind the other.

    Raises:
        ValueError: `data` holds others.
    """
    reading = _Reading(schema, data)
    for _ in range(count):
        begin = reading.at
        value = reading.value(schema)
        reading.left += MOST_FREE
        yield data[begin : reading.at], value
    if reading.at != len(data):
        raise ValueError(f"{len(data) - reading.at} bytes are left over")


class _Reading:
    """Where reading has come to."""

    def __init__(self, schema: Any, data: bytes) -> None:
        self._named = named_types(schema)
        self._data = data
        self.at = 0
        self.left = MOST_FREE + MOST_A_BYTE * len(data)
        self._level = 0

    def value(self, declared: Any) -> Any:
        declared = looked_up(declared, self._named)
        if isinstance(declared, list):
            return self.value(declared[self._index(len(declared))])
        kind = declared["type"]
        if kind in _SCALARS:
            return _SCALARS[kind](self)
        if kind == "enum":
            return declared["symbols"][self._index(len(declared["symbols"]))]
        if kind == "fixed":
            return self._bytes(declared["size"])
        if kind not in ("record", "array", "map"):
            return self.value(kind)
        self._level += 1
        if self._level > MOST_LEVELS:
            raise ValueError("values lie too deep")
        read: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "record": self._record,
            "array": self._array,
            "map": self._map,
        }
        value = read[kind](declared)
        self._level -= 1
        return value

    def _record(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        self._spend(len(declared["fields"]))
        return {field["name"]: self.value(field["type"]) for field in declared["fields"]}

    def _array(self, declared: Mapping[str, Any]) -> list[Any]:
        return [self.value(declared["items"]) for _ in self._items()]

    def _map(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        held = {}
        for _ in self._items():
            key = self.text()
            held[key] = self.value(declared["values"])
        return held

    def _items(self) -> Iterator[None]:
        while count := self.long():
            end = None
            if count < 0:
                size = self.long()
                if size < 0 or count == -(2**63):
                    raise ValueError("no block has such a size")
                end = self.at + size
            for _ in range(abs(count)):
                self._spend(1)
                yield
            if end not in (None, self.at):
                raise ValueError("a block has other bytes than it says")

    def _spend(self, values: int) -> None:
        self.left -= values
        if self.left < 0:
            raise ValueError("too many values of no bytes")

    def _index(self, count: int) -> int:
        index = self.long()
        if not 0 <= index < count:
            raise ValueError("an index beyond what there is")
        return index

    def _bytes(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self.at:
            raise ValueError("the bytes end too early")
        taken = self._data[self.at : self.at + size]
        self.at += size
        return taken

    def long(self) -> int:
        number = shift = 0
        while True:
            (byte,) = self._bytes(1)
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if (byte == 0 and shift > 0) or number >= 2**64:
            raise ValueError("a number in a form that nobody writes")
        return number >> 1 ^ -(number & 1)

    def short(self) -> int:
        number = self.long()
        if not -(2**31) <= number < 2**31:
            raise ValueError("an int of more than 32 bits")
        return number

    def boolean(self) -> bool:
        (byte,) = self._bytes(1)
        if byte > 1:
            raise ValueError("a boolean that is neither 0 nor 1")
        return byte == 1

    def sized(self) -> bytes:
        return self._bytes(self.long())

    def text(self) -> str:
        return self.sized().decode()

    def four(self) -> Any:
        return struct.unpack("<f", self._bytes(4))[0]

    def eight(self) -> Any:
        return struct.unpack("<d", self._bytes(8))[0]


_SCALARS: Mapping[str, Callable[[_Reading], Any]] = {
    "null": lambda _: None,
    "boolean": _Reading.boolean,
    "int": _Reading.short,
    "long": _Reading.long,
    "float": _Reading.four,
    "double": _Reading.eight,
    "bytes": _Reading.sized,
    "string": _Reading.text,
}
