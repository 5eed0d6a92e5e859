"""Values of a table's rows (Parquet, CSV, JSON lines) as the values that an Avro schema's fields take.

A column goes to the field of its name, or of one of the field's aliases; `device.os` goes to the field `os` of the
record `device` where a file has no nested values. Columns that no field asks for are left out.

    null, or no column      null if the field may be null, else its default; otherwise the row is refused
    empty text in a CSV     as null where the field may be null, else empty text
    a time                  a datetime, ISO text or a number. A number of seconds, milliseconds, microseconds or
                            nanoseconds from 1971 up to 2100 says its unit itself (`publish_times.py`); any other counts
                            the field's unit. What has no zone is taken for UTC. So is an integer for which the spec
                            states a unit (`time_unit`)
    a whole number          int, a float or text without a fraction (tools that know no integers beside nulls write
                            17.0)
    text                    also whole numbers, so that an id is the same whether a file has it as 17, 17.0 or "17"
    anything else           as Avro has it: nothing is rounded, cut or guessed

Pure: no files. What does not fit raises ValueError, with words for people.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from user_state.errors import shorten
from user_state.events.column_values import (
    Convert,
    as_boolean,
    as_bytes,
    as_date,
    as_decimal,
    as_fixed,
    as_float,
    as_null,
    as_single,
    as_symbol,
    as_text,
    as_time,
    as_time_of_day,
    as_whole,
)
from user_state.spec.avro_types import NamedTypes, default_value, in_words, looked_up, named_types
from user_state.spec.event_schema import EventSchema

_BITS = {"int": 31, "long": 63}
_NANOS_OF = {"millis": 1_000_000, "micros": 1_000, "nanos": 1}
_TIMES_OF_DAY_US = {"time-millis": 1_000, "time-micros": 1}
_MISSING = object()
Units = Mapping[str, int]
NO_UNITS: Units = MappingProxyType({})


class RowConverter:
    """Rows, as mappings of columns to values, to events of a schema.

    Args:
        schema: of the events.
        texts: whether values are texts, as in a CSV, so that an empty one may stand for null.
        units_ns: by path, fields of integers that are times, and how many nanoseconds their unit has.
    """

    def __init__(self, schema: EventSchema, *, texts: bool, units_ns: Mapping[str, int] | None = None) -> None:
        self._texts = texts
        self._named = named_types(schema.whole)
        self._fields = self._record(schema.whole, units_ns or {})
        self._required = [
            field["name"]
            for field in schema.whole["fields"]
            if "default" not in field and not _may_be_null(field["type"], self._named)
        ]
        self._names = {field["name"]: [field["name"], *field.get("aliases", ())] for field in schema.whole["fields"]}

    def missing(self, columns: Iterable[str]) -> list[str]:
        """Return the fields without which no row is an event, that none of the columns is for."""
        heads = {column.partition(".")[0] for column in columns} | set(columns)
        return [name for name in self._required if not heads.intersection(self._names[name])]

    def unused(self, columns: Iterable[str]) -> list[str]:
        """Return the columns that no field asks for."""
        known = {name for names in self._names.values() for name in names}
        return [column for column in columns if column not in known and column.partition(".")[0] not in known]

    def event(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event that a row is, times as integers; raises ValueError."""
        if any("." in column for column in row):
            row = _nested(row)
        event: dict[str, Any] = self._fields(row)
        return event

    def _record(self, declared: Mapping[str, Any], units_ns: Units = NO_UNITS) -> Convert:
        parts = []
        for field in declared["fields"]:
            names = [field["name"], *field.get("aliases", ())]
            parts.append((field["name"], names, self._field(field, *_within(field["name"], units_ns))))

        def convert(row: Any) -> dict[str, Any]:
            if isinstance(row, str):
                row = _parsed(row, "a record")
            if not isinstance(row, Mapping):
                raise ValueError(f"expected a record, got {shorten(row)}")  # noqa: TRY004 - a row's fault, not ours
            event = {}
            for name, names, of_value in parts:
                value = next((row[one] for one in names if one in row), None)
                try:
                    event[name] = of_value(value)
                except ValueError as exc:
                    raise ValueError(f"column {name}: {exc}") from exc
            return event

        return convert

    def _field(self, field: Mapping[str, Any], unit_ns: int | None = None, units_ns: Units = NO_UNITS) -> Convert:
        """Return how a field's value is converted: a time of a unit that is stated, or with such times in it."""
        declared = field["type"]
        convert = self._type(declared, units_ns) if unit_ns is None else as_time(unit_ns)
        null = _may_be_null(declared, self._named)
        default = _MISSING
        if "default" in field:
            default = default_value(declared, field["default"], self._named)
        empty = self._texts and (null or not _takes_text(declared, self._named))

        def of_value(value: Any) -> Any:
            if value is None or (empty and value == ""):
                if null:
                    return None
                if default is not _MISSING:
                    return default
                raise ValueError(f"expected {in_words(declared)}, got nothing")
            return convert(value)

        return of_value

    def _type(self, declared: Any, units_ns: Units = NO_UNITS) -> Convert:
        declared = looked_up(declared, self._named)
        if isinstance(declared, list):
            return self._union(declared, units_ns)
        kind, logical = declared["type"], declared.get("logicalType", "")
        if kind in _BITS and logical.rpartition("-")[2] in _NANOS_OF and "timestamp" in logical:
            return as_time(_NANOS_OF[logical.rpartition("-")[2]])
        if kind == "int" and logical == "date":
            return as_date
        if kind in _BITS and logical in _TIMES_OF_DAY_US:
            return as_time_of_day(_TIMES_OF_DAY_US[logical], _BITS[kind])
        if kind in _BITS:
            return as_whole(_BITS[kind])
        if logical == "decimal":
            return as_decimal(declared)
        if kind == "enum":
            return as_symbol(declared)
        if kind == "fixed":
            return as_fixed(declared["size"], is_uuid=logical == "uuid")
        if kind == "array":
            return self._array(declared)
        if kind == "map":
            return self._map(declared, units_ns)
        if kind == "record":
            return self._record(declared, units_ns)
        return {
            "boolean": as_boolean,
            "float": as_single,
            "double": as_float,
            "string": as_text,
            "bytes": as_bytes,
            "null": as_null,
        }[kind]

    def _union(self, branches: list[Any], units_ns: Units) -> Convert:
        ways = [
            self._type(branch, units_ns) for branch in branches if looked_up(branch, self._named) != {"type": "null"}
        ]
        if len(ways) == 1:
            return ways[0]
        known = [looked_up(branch, self._named) for branch in branches]
        kinds = [branch["type"] for branch in known if branch != {"type": "null"}]

        def convert(value: Any) -> Any:
            # A branch of the value's own type first, so that 1 stays a number beside a string.
            order = sorted(range(len(ways)), key=lambda at: not isinstance(value, _OWN.get(kinds[at], ())))
            failed = ""
            for at in order:
                try:
                    return ways[at](value)
                except ValueError as exc:
                    failed = failed or str(exc)
            raise ValueError(f"expected {in_words(branches)}, got {shorten(value)}: {failed}")

        return convert

    def _array(self, declared: Mapping[str, Any]) -> Convert:
        item = self._field({"type": declared["items"]})

        def convert(value: Any) -> list[Any]:
            if isinstance(value, str):
                value = _parsed(value, "an array")
            if not isinstance(value, list | tuple):
                raise ValueError(f"expected an array, got {shorten(value)}")  # noqa: TRY004 - as above
            return [item(one) for one in value]

        return convert

    def _map(self, declared: Mapping[str, Any], units_ns: Units) -> Convert:
        values = {"type": declared["values"]}
        item = self._field(values)
        # A key is the first part of a path into the map's records, or all that is left of the path, dots too.
        keys = {key for path in units_ns for key in (path, path.partition(".")[0])}
        of_key = {key: self._field(values, *_within(key, units_ns)) for key in keys}

        def convert(value: Any) -> dict[str, Any]:
            if isinstance(value, str):
                value = _parsed(value, "a map")
            if isinstance(value, list) and all(isinstance(one, tuple) and len(one) == 2 for one in value):
                value = dict(value)  # as Arrow has maps
            if not isinstance(value, Mapping):
                raise ValueError(f"expected a map, got {shorten(value)}")  # noqa: TRY004 - as above
            return {as_text(name): of_key.get(name, item)(one) for name, one in value.items()}

        return convert


_OWN: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "int": (int, datetime.datetime, datetime.date),
    "long": (int, datetime.datetime),
    "float": (float,),
    "double": (float,),
    "string": (str,),
    "enum": (str,),
    "bytes": (bytes, Decimal),
    "fixed": (bytes, Decimal),
    "array": (list,),
    "map": (dict, list),
    "record": (dict,),
}


def _within(name: str, units_ns: Units) -> tuple[int | None, Units]:
    """Return the unit of what is called so, and those of what lies in it.

    >>> _within("meta", {"meta.ts": 1000, "meta": 1, "metas": 5})
    (1, {'ts': 1000})
    """
    inside = {path[len(name) + 1 :]: unit for path, unit in units_ns.items() if path.startswith(f"{name}.")}
    return units_ns.get(name), inside


def _may_be_null(declared: Any, named: NamedTypes) -> bool:
    branches = declared if isinstance(declared, list) else [declared]
    return any(looked_up(branch, named) == {"type": "null"} for branch in branches)


def _takes_text(declared: Any, named: NamedTypes) -> bool:
    branches = declared if isinstance(declared, list) else [declared]
    return any(looked_up(branch, named)["type"] in ("string", "bytes") for branch in branches)


def _nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose columns `a.b` are the value `b` of `a`, where there is no column `a`."""
    made = {column: value for column, value in row.items() if "." not in column}
    inside: dict[str, dict[str, Any]] = {}
    for column, value in row.items():
        head, dot, rest = column.partition(".")
        if dot and head not in made:
            inside.setdefault(head, {})[rest] = value
    for head, values in inside.items():
        # A record without any value is none.
        made[head] = None if all(value in (None, "") for value in values.values()) else _nested(values)
    return made


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"expected {what} as JSON, got {shorten(text)}") from None
