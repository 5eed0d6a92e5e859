"""Whether events written with one Avro schema can be read with another, and how their fields meet.

    the reader's field is            what it gets
    in the writer, by name           that value, promoted if the reader's type is wider
    in the writer, by an alias       the same: the field was renamed
    not in the writer                the reader's default; without one the schemas do not resolve
    and what only the writer has     is read over

    int -> long, float, double    long -> float, double    float -> double    string <-> bytes
    enum -> enum                  a symbol that the reader lacks becomes the reader's default symbol
    union                         the branch written -> the reader's branch of that type, else the first that fits

A record whose name is no name in Avro's sense is taken for the reader's: Beam gives the records of rows random UUIDs.

A field's own name goes before its aliases, so that a writer may write old name and new for a while.
Two rules are stricter than Avro's. What *may* fail for some value fails here and now: an enum without a default, a
branch of a union that nothing fits. Only null is let through, since a field that was made required is no mistake:
such an event is undecodable. And two different units of time, or scales of a decimal, do not resolve, since Avro would
read one for the other.

Nothing here reads events: `user_state.events.avro_program` says how they are read, by these rules.
Sources: Apache Avro 1.12 specification, "Schema Resolution" and "Aliases".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from user_state.spec.avro_types import NamedTypes, default_value, in_words, logical_type, looked_up, named_types
from user_state.spec.problems import listing

_PROMOTIONS = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
_UNIT_OF_TIME = {
    "date": "days",
    "time-millis": "milliseconds",
    "time-micros": "microseconds",
    "timestamp-millis": "milliseconds",
    "timestamp-micros": "microseconds",
    "timestamp-nanos": "nanoseconds",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OFTEN_NULL = "null, which the reader does not accept"


class Mismatch(NamedTuple):
    """One thing that cannot be read.

    Attributes:
        field: the reader's field, such as `device.os` or `tags[]`; empty for the whole record.
        reason: what is written and what was to be read.
        null_only: only null cannot be read, all other values can.
    """

    field: str
    reason: str
    null_only: bool = False

    def __str__(self) -> str:
        return f"field {self.field}: {self.reason}" if self.field else self.reason


class NamedPair(NamedTuple):
    """The named types of a writer's and a reader's schema."""

    writer: NamedTypes
    reader: NamedTypes

    @classmethod
    def of(cls, writer: Any, reader: Any) -> NamedPair:
        """Gather them."""
        return cls(named_types(writer), named_types(reader))


def mismatches(writer: Any, reader: Any) -> list[Mismatch]:
    """Return all that keeps records of `writer` from being read as `reader`; both schemas as fastavro parses them."""
    return list(_Walk(NamedPair.of(writer, reader)).types(writer, reader, ""))


def field_sources(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> dict[str, str | None]:
    """Return which field of the record `writer` each field of the record `reader` comes from, None for its default.

    >>> writer = {"fields": [{"name": "id"}, {"name": "item"}]}
    >>> field_sources(writer, {"fields": [{"name": "item_id", "aliases": ["item"]}, {"name": "id"}, {"name": "new"}]})
    {'item_id': 'item', 'id': 'id', 'new': None}
    """
    written = {field["name"] for field in writer["fields"]}
    own = {field["name"] for field in reader["fields"]}
    sources: dict[str, str | None] = {}
    for field in reader["fields"]:
        name = field["name"]
        aliases = (alias for alias in field.get("aliases", ()) if alias in written and alias not in own)
        sources[name] = name if name in written else next(aliases, None)
    return sources


def matches(writer: Any, reader: Any, named: NamedPair) -> bool:
    """Return whether the types are of one kind, or one is promoted to the other; what lies in them is not compared."""
    writer, reader = looked_up(writer, named.writer), looked_up(reader, named.reader)
    if isinstance(writer, list) or isinstance(reader, list):
        return True
    wrote, reads = writer["type"], reader["type"]
    if wrote != reads:
        return reads in _PROMOTIONS.get(wrote, ())
    if wrote == "array":
        return matches(writer["items"], reader["items"], named)
    if wrote == "map":
        return matches(writer["values"], reader["values"], named)
    if wrote in ("record", "enum", "fixed"):
        return _same_name(writer, reader) and writer.get("size") == reader.get("size")
    return True


def read_as(writer: Any, branches: list[Any], named: NamedPair) -> Any:
    """Return the branch of the reader's union that values of `writer`, which is no union, are read as; None if none is.

    The first of its own type, else the first that fits: a long beside a double is read as the long that it is.
    """
    writer = looked_up(writer, named.writer)
    fitting = [branch for branch in branches if matches(writer, branch, named)]
    own = [branch for branch in fitting if _is_own(writer, looked_up(branch, named.reader))]
    if len(fitting) > 1 and isinstance(writer, Mapping) and _is_nameless(writer):
        return None  # which of the records it is, nothing says
    return next(iter([*own, *fitting]), None)


def _is_own(writer: Mapping[str, Any], reader: Any) -> bool:
    return isinstance(reader, Mapping) and all(writer.get(key) == reader.get(key) for key in ("type", "name"))


def changes(writer: Any, reader: Any) -> list[str]:
    """Return how the fields of `writer` differ from those of `reader`, in words, for people.

    >>> v1 = {"type": "record", "name": "R", "fields": [{"name": "item", "type": "int"}, {"name": "x", "type": "int"}]}
    >>> v2 = {"type": "record", "name": "R", "fields": [{"name": "item_id", "type": "long", "aliases": ["item"]}]}
    >>> changes(v1, v2)
    ['item is item_id', 'item_id was int', 'x is left out']
    """
    named = NamedPair.of(writer, reader)
    written = {field["name"]: field for field in writer["fields"]}
    sources = field_sources(writer, reader)
    found = []
    for field in reader["fields"]:
        name = field["name"]
        source = sources[name]
        if source is None:
            found.append(f"no {name}")
            continue
        if source != name:
            found.append(f"{source} is {name}")
        was = in_words(looked_up(written[source]["type"], named.writer))
        if was != in_words(looked_up(field["type"], named.reader)):
            found.append(f"{name} was {was}")
        found += _symbol_changes(name, written[source]["type"], field["type"], named)
    found += [f"{name} is left out" for name in written if name not in sources.values()]
    found += [f"null in {found.field} is undecodable" for found in mismatches(writer, reader) if found.null_only]
    return found


def _symbol_changes(name: str, writer: Any, reader: Any, named: NamedPair) -> list[str]:
    writer, reader = looked_up(writer, named.writer), looked_up(reader, named.reader)
    if isinstance(writer, list) or isinstance(reader, list) or writer["type"] != "enum" or reader["type"] != "enum":
        return []
    return [f"{s} in {name} is {reader.get('default')}" for s in writer["symbols"] if s not in reader["symbols"]]


class _Walk:
    """Walks two schemas side by side; records that are used again by name are walked once."""

    def __init__(self, named: NamedPair) -> None:
        self._named = named
        self._seen: set[tuple[str, str]] = set()

    def types(self, writer: Any, reader: Any, at: str) -> Iterator[Mismatch]:
        named = self._named
        writer, reader = looked_up(writer, named.writer), looked_up(reader, named.reader)
        if isinstance(writer, list):
            yield from self.written_union(writer, reader, at)
        elif isinstance(reader, list):
            fitting = read_as(writer, reader, named)
            if fitting is None:
                yield Mismatch(at, f"{in_words(writer)} cannot be read as {in_words(reader)}")
            else:
                yield from self.types(writer, fitting, at)
        elif not matches(writer, reader, named):
            yield Mismatch(at, _unlike(writer, reader))
        elif writer["type"] == "record":
            yield from self.records(writer, reader, at)
        elif writer["type"] == "enum":
            lacking = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            if lacking and "default" not in reader:
                yield Mismatch(at, f"its enum lacks the writer's symbols {listing(lacking)} and has no default")
        elif writer["type"] == "array":
            yield from self.types(writer["items"], reader["items"], f"{at}[]")
        elif writer["type"] == "map":
            yield from self.types(writer["values"], reader["values"], f"{at}{{}}")
        else:
            yield from _units(writer, reader, at)

    def written_union(self, branches: list[Any], reader: Any, at: str) -> Iterator[Mismatch]:
        for branch in branches:
            for found in self.types(branch, reader, at):
                is_null = looked_up(branch, self._named.writer) == {"type": "null"} and len(branches) > 1
                yield found._replace(reason=_OFTEN_NULL, null_only=True) if is_null else found

    def records(self, writer: Mapping[str, Any], reader: Mapping[str, Any], at: str) -> Iterator[Mismatch]:
        pair = (writer["name"], reader["name"])
        if pair in self._seen:
            return
        self._seen.add(pair)
        written = {field["name"]: field for field in writer["fields"]}
        sources = field_sources(writer, reader)
        claimed: dict[str, str] = {}
        for field in reader["fields"]:
            name, source = field["name"], sources[field["name"]]
            where = f"{at}.{name}" if at else name
            if source is None:
                idle = [name for name in written if name not in sources.values()]
                yield from self.default(field, idle, where)
                continue
            if source in claimed:
                yield Mismatch(where, f"{source} is an alias of both this field and {claimed[source]}")
            claimed[source] = name
            also = [alias for alias in field.get("aliases", ()) if alias in written and alias not in sources]
            if at and set(also) - {source}:
                yield Mismatch(where, f"written both as {source} and as {listing(sorted(set(also) - {source}))}")
            yield from self.types(written[source]["type"], field["type"], where)

    def default(self, field: Mapping[str, Any], idle: list[str], where: str) -> Iterator[Mismatch]:
        """Yield what is wrong with the default of a field that is not written; `idle` fields are, but nobody reads."""
        if "default" not in field:
            hint = f", or an alias if it was renamed from one of: {listing(idle)}" if idle else ""
            yield Mismatch(where, f"missing in the writer's schema, and without a default; add one{hint}")
            return
        try:
            default_value(field["type"], field["default"], self._named.reader)
        except ValueError as exc:
            yield Mismatch(where, f"missing in the writer's schema, and its default cannot be used: {exc}")


def _same_name(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    """Return whether two named types are one: namespaces do not count, and the reader's aliases do."""
    if _is_nameless(writer):
        return True
    name = writer["name"]
    plain = name.rpartition(".")[2]
    aliases = reader.get("aliases", ())
    return plain == reader["name"].rpartition(".")[2] or name in aliases or plain in aliases


def _is_nameless(writer: Mapping[str, Any]) -> bool:
    """Return whether a type is a record with a name that Avro does not allow, such as a UUID."""
    return writer["type"] == "record" and _NAME.fullmatch(writer["name"].rpartition(".")[2]) is None


def _unlike(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> str:
    said = f"{in_words(writer)} cannot be read as {in_words(reader)}"
    if writer["type"] != reader["type"] or writer["type"] not in ("record", "enum", "fixed"):
        return said
    if not _same_name(writer, reader):
        return f"{said}; if it was renamed, give it the alias {writer['name'].rpartition('.')[2]}"
    return f"{said} of another size"


def _units(writer: Mapping[str, Any], reader: Mapping[str, Any], at: str) -> Iterator[Mismatch]:
    wrote, reads = (_UNIT_OF_TIME.get(_logical(declared)) for declared in (writer, reader))
    if wrote is not None and reads is not None and wrote != reads:
        yield Mismatch(at, f"{wrote} would be read as {reads}; Avro does not convert logical types")
    if logical_type(writer) == logical_type(reader) == "decimal":
        digits, reads_digits = writer.get("scale", 0), reader.get("scale", 0)
        if digits != reads_digits:
            text = f"a decimal of scale {digits} would be read with scale {reads_digits}"
            yield Mismatch(at, f"{text}; Avro does not convert logical types")


def _logical(declared: Mapping[str, Any]) -> str:
    return str(declared.get("logicalType", "")).removeprefix("local-")
