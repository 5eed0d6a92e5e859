"""Made-up events as apps with other versions of the schema would have written them.

What `generate` makes up has the fields of `interaction.avsc`. Another schema gets those that it has too:

    the spec's user, id, time and published    from interaction's, whatever the fields are called
    a field of the same name, or the same by   from interaction's, as the type that the schema asks for: a number
    an alias, in the spec's schema as well     rounded, a text that is no symbol as the first one
    any other field                            null, or its default, or nothing: 0, "", no items

Nothing here reads events. Values are as fastavro writes them, times integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import xxhash

from user_state.events.decode import SINGLE_OBJECT
from user_state.events.event_reader import write_event
from user_state.spec import LoadedSpec
from user_state.spec.avro_types import NamedTypes, default_value, looked_up, named_types
from user_state.spec.event_schema import EventSchema

_ROLES = {"user": "user_id", "id": "event_id", "time": "event_time", "published": "published_at"}
"""What the spec calls a field, and what it is called in interaction.avsc."""
_NOTHING: Mapping[str, Any] = {
    "null": None,
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "bytes": b"",
    "string": "",
}
_BITS = {"int": 31, "long": 63}


class Writer:
    """Events of `interaction.avsc` as events of `schema`, one of a spec's versions."""

    def __init__(self, schema: EventSchema, spec: LoadedSpec) -> None:
        self.schema = schema
        self.header = SINGLE_OBJECT + schema.fingerprint
        self._named = named_types(schema.parsed)
        self._sources = _sources(schema, spec)

    def event(self, interaction: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event that an app would have written with this schema."""
        event = {}
        for field in self.schema.parsed["fields"]:
            name = field["name"]
            made = next((interaction[source] for source in self._sources[name] if source in interaction), None)
            if made is not None and self.schema.fields[name].unit == "ms":
                made //= 1000
            event[name] = (
                _written(field["type"], made, self._named) if made is not None else _unknown(field, self._named)
            )
        return event

    def body(self, interaction: Mapping[str, Any]) -> bytes:
        """Return that event in single-object encoding."""
        return self.header + write_event(self.schema, self.event(interaction))


class Writers:
    """Every version that a spec accepts; an event goes to one of them by its id, so that a copy of it is the same."""

    def __init__(self, spec: LoadedSpec) -> None:
        self.read_as = spec.schema
        self._writers = [Writer(schema, spec) for schema in (spec.schema, *spec.schema.versions)]

    def of(self, interaction: Mapping[str, Any]) -> Writer:
        """Return the writer of an event."""
        return self._writers[xxhash.xxh64_intdigest(interaction["event_id"].encode()) % len(self._writers)]


def _sources(schema: EventSchema, spec: LoadedSpec) -> dict[str, list[str]]:
    """Return for each field of `schema` the names that interaction.avsc may have for it, best first."""
    roles = {getattr(spec.spec.events, role): source for role, source in _ROLES.items()}
    alike = [{field["name"], *field.get("aliases", ())} for field in spec.schema.parsed["fields"]]
    sources = {}
    for field in schema.parsed["fields"]:
        names = [field["name"], *field.get("aliases", ())]
        others: set[str] = set().union(*(group for group in alike if group & set(names)))
        names += sorted(others - set(names))
        sources[field["name"]] = [*(roles[name] for name in names if name in roles), *names]
    return sources


def _written(declared: Any, value: Any, named: NamedTypes) -> Any:
    """Return `value` as the type `declared` has it; nothing where the type can have nothing of it."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        fitting = [branch for branch in declared if _takes(looked_up(branch, named), value)]
        return _written(fitting[0], value, named) if fitting else _nothing(declared, named)
    if not _takes(declared, value):
        return _nothing(declared, named)
    kind = declared["type"]
    if kind == "enum":
        return value if value in declared["symbols"] else declared["symbols"][0]
    if kind in _BITS:
        bound = 1 << _BITS[kind]
        return max(-bound, min(round(value), bound - 1))
    if kind in ("float", "double"):
        return float(value)
    return value.encode() if kind == "bytes" else value


def _takes(declared: Any, value: Any) -> bool:
    if isinstance(value, str):
        return declared["type"] in ("string", "bytes", "enum")
    return declared["type"] in ("int", "long", "float", "double")


def _unknown(field: Mapping[str, Any], named: NamedTypes) -> Any:
    if "default" in field:
        with suppress(ValueError):  # a default that does not fit harms nobody who writes the field
            return default_value(field["type"], field["default"], named)
    return _nothing(field["type"], named)


def _nothing(declared: Any, named: NamedTypes) -> Any:
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        branches: Iterable[Any] = [looked_up(branch, named) for branch in declared]
        return None if {"type": "null"} in branches else _nothing(declared[0], named)
    kind = declared["type"]
    if kind == "record":
        return {field["name"]: _unknown(field, named) for field in declared["fields"]}
    if kind == "enum":
        return declared["symbols"][0]
    if kind == "fixed":
        return bytes(declared["size"])
    return {"array": list, "map": dict}[kind]() if kind in ("array", "map") else _NOTHING[kind]
