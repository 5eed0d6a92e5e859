"""How each field of a flat Avro record is read, decided once by the schemas it is written with and read as.

Events nearly always are flat: fields of primitive, enum and fixed type, nullable or not. What the two schemas decide
(which fields are kept, promoted, read over or filled in, which symbol becomes which, which branch of a union is read
as what), by the rules of `user_state.spec.resolution`, is said here in few words, which `native/events/flat_value.cpp`
obeys.

Source: Apache Avro 1.12 specification, "Schema Resolution".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from user_state.spec.avro_types import default_value, in_words, looked_up
from user_state.spec.resolution import NamedPair, field_sources, matches


class FlatType(NamedTuple):
    """How one value is read.

    Attributes:
        kind: `null`, `boolean`, `long` (int too), `float`, `double`, `string`, `bytes`; `float of long`, `bytes of
            string` where it is promoted; `enum`, `fixed`, `union`, `refused`.
        size: bytes of a fixed.
        symbols: what each symbol of an enum is read as, None where the reader has neither it nor a default.
        branches: how each branch of a union is read.
        why: why it is refused.
    """

    kind: str
    size: int = 0
    symbols: tuple[str | None, ...] = ()
    branches: tuple[FlatType, ...] = ()
    why: str = ""


class FlatRecord(NamedTuple):
    """How a record is read.

    Attributes:
        fields: the writer's fields in order, by the reader's names; None for one that is read over.
        defaults: the values of fields that only the reader has.
    """

    fields: tuple[tuple[str | None, FlatType], ...]
    defaults: Mapping[str, Any]


MOST_BRANCHES = 63
"""A branch up to here is one byte, twice its index."""


def flat_record(writer: Any, reader: Any = None) -> FlatRecord | None:
    """Return how records of `writer` are read as `reader`, None if they are not flat.

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
    fields = []
    for field in writer["fields"]:
        name = names.get(field["name"])
        if name is None:
            read = _flat_type(field["name"], field["type"], field["type"], as_written)
        else:
            read = _flat_type(name, field["type"], types[name], named)
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
    return FlatRecord(tuple(fields), defaults)


def flat_fields(written: Any) -> list[tuple[str, FlatType | None]]:
    """Return how each field of a parsed record is read as it was written, None for those that are not flat."""
    named = NamedPair.of(written, written)
    return [
        (field["name"], _flat_type(field["name"], field["type"], field["type"], named)) for field in written["fields"]
    ]


def _flat_type(field: str, writer: Any, reader: Any, named: NamedPair) -> FlatType | None:
    """Return how a value written as `writer` is read as `reader`, None if it is not flat; `field` is for messages."""
    writer, reader = looked_up(writer, named.writer), looked_up(reader, named.reader)
    if isinstance(writer, list):
        branches = [_flat_type(field, branch, reader, named) for branch in writer]
        flat = tuple(branch for branch in branches if branch is not None)
        return FlatType("union", branches=flat) if len(flat) == len(branches) <= MOST_BRANCHES else None
    if isinstance(reader, list):
        reader = next((branch for branch in reader if matches(writer, branch, named)), reader)
        reader = looked_up(reader, named.reader)
    if isinstance(reader, list) or not matches(writer, reader, named):
        return FlatType("refused", why=f"{in_words(writer)} in {field}, which is read as {in_words(reader)}")
    kind = writer["type"]
    if kind == "enum":
        return FlatType("enum", symbols=_symbols(writer["symbols"], reader))
    if kind == "fixed":
        return FlatType("fixed", size=writer["size"])
    read = _PROMOTED.get((kind, reader["type"])) or _PRIMITIVES.get(kind)
    return None if read is None else FlatType(read)


def _symbols(written: list[str], reader: Mapping[str, Any]) -> tuple[str | None, ...]:
    known = set(reader["symbols"])
    return tuple(symbol if symbol in known else reader.get("default") for symbol in written)


_PRIMITIVES = {
    "string": "string",
    "bytes": "bytes",
    "int": "long",
    "long": "long",
    "double": "double",
    "float": "float",
    "boolean": "boolean",
    "null": "null",
}
_PROMOTED = {
    ("string", "bytes"): "bytes of string",
    ("bytes", "string"): "string",
    ("int", "float"): "float of long",
    ("int", "double"): "float of long",
    ("long", "float"): "float of long",
    ("long", "double"): "float of long",
}
"""What is not read as it was written; an int is a long, and a float a double, as it stands."""
