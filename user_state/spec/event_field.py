"""One value of an event as a spec names it: by a field's name, or by a path to what lies in it (`paths`).

    what lies at the path                         kind      text  number
    string, enum, bytes, fixed, uuid              string    yes   no
    int, long, of any logical type                int       ids   yes
    float, double, decimal                        float     no    yes
    boolean                                       bool      no    0 or 1
    several numeric types in a union              the widest
    text and whole numbers in a union             string    yes   yes: an event with a text is invalid there
    text and other numbers, or booleans           other     no    yes: as above
    an array of any of these                      strings, ints, floats, bools
    records, maps, arrays beside other values     other     no    no

Null beside them makes a field nullable; a record or a map beside them makes events that have one invalid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from user_state.spec.avro_types import in_words, logical_type, named_types
from user_state.spec.paths import Reached, paths_of, reached

UNITS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "ns": 1, "d": 86_400_000_000_000}
"""Of times that are numbers, in nanoseconds."""
UNIT_OF_TIME = {
    "timestamp-micros": "us",
    "timestamp-millis": "ms",
    "timestamp-nanos": "ns",
    "local-timestamp-micros": "us",
    "local-timestamp-millis": "ms",
    "local-timestamp-nanos": "ns",
    "date": "d",
}
_SCALARS = {
    **dict.fromkeys(("string", "enum", "bytes", "fixed"), "string"),
    **dict.fromkeys(("int", "long"), "int"),
    **dict.fromkeys(("float", "double"), "float"),
    "boolean": "bool",
}


@dataclass(frozen=True)
class EventField:
    """One field of an event, or what a path leads to.

    Attributes:
        name: its name or path.
        kind: `string`, `float`, `int`, `bool`; `strings` and so on for an array of them; `other` for what most features
            cannot use.
        nullable: whether it may be null, or not there.
        unit: of a time that is a number, a key of UNITS; None for anything else.
        avro_type: its type in Avro's words, without null, for messages.
        symbols: an enum's symbols, None for any other type.
        number: the kind where a number is asked for, None if it has none.
        is_id: whether it has a text that can name somebody or something.
    """

    name: str
    kind: str
    nullable: bool
    unit: str | None
    avro_type: str = ""
    symbols: tuple[str, ...] | None = None
    number: str | None = None
    is_id: bool = False

    @property
    def is_list(self) -> bool:
        """Return whether an event has any number of values."""
        return self.kind.endswith("s")

    @property
    def value_kind(self) -> str:
        """Return the kind of one value."""
        return self.kind.removesuffix("s")


class EventFields(Mapping[str, EventField]):
    """The fields of a schema by path. Those that are listed have names; a key of a map can be named, and is not listed.

    Args:
        whole: the schema as fastavro parses it, with its logical types.
    """

    def __init__(self, whole: Any) -> None:
        self._whole = whole
        self._named = named_types(whole)
        self._listed = paths_of(whole, self._named)
        self._found: dict[str, EventField | None] = {}

    def __getitem__(self, path: str) -> EventField:
        if path not in self._found:
            at_end = reached(self._whole, path, self._named) if isinstance(path, str) else []
            self._found[path] = _field(path, at_end) if at_end else None
        found = self._found[path]
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


def _field(path: str, at_end: list[Reached]) -> EventField:
    types = [one.type for one in at_end if one.type is not None]
    nullable = len(types) < len(at_end)
    lists = {one.arrays > 0 for one in at_end if one.type is not None}
    words = list(dict.fromkeys(_words(declared) for declared in types))
    avro_type = " or ".join(words) if len(words) > 1 else "".join(words) or "null"
    if True in lists:
        avro_type = f"array of {avro_type}"
    kinds = {_kind(declared) for declared in types} - {"other"}
    numbers = kinds - {"string"}
    number = "float" if "float" in kinds else "int" if "int" in kinds else "bool" if numbers else None
    kind = ("string" if numbers <= {"int"} else "other") if "string" in kinds else number or "other"
    if len(lists) > 1:
        kind, number = "other", None
    if lists == {True} and kind != "other":
        return EventField(path, f"{kind}s", nullable, None, avro_type)
    symbols = tuple(types[0]["symbols"]) if len(types) == 1 and types[0]["type"] == "enum" else None
    units = {UNIT_OF_TIME.get(logical_type(declared) or "") for declared in types}
    unit = units.pop() if len(units) == 1 else None
    is_id = kind != "other" and bool({"string", "int"} & kinds)
    return EventField(path, kind, nullable, unit, avro_type, symbols, number, is_id)


def _kind(declared: Mapping[str, Any]) -> str:
    if logical_type(declared) == "decimal":
        return "float"
    return _SCALARS.get(declared["type"], "other")


def _words(declared: Mapping[str, Any]) -> str:
    kind = str(declared["type"])
    logical = logical_type(declared)
    if kind in ("array", "map"):
        return in_words(declared)
    return f"{kind} ({logical})" if logical in ("uuid", "decimal") else kind
