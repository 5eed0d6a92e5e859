"""Made-up events as apps with other versions of the schema would have written them.

What `generate` makes up has the fields of `interaction.avsc`. Another schema gets those that it has too:

    the spec's user, id, time and published    from interaction's, whatever the fields are called
    a field of the same name, or the same by   from interaction's, as the type that the schema asks for: a number
    an alias, in the spec's schema as well     rounded; but what the spec's filters and weights ask for in its place
    any other field                            made up by its type (`made_values.py`)

Nothing here reads events. Values are as fastavro writes them, times integers. The same event is written the same each
time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import xxhash

from user_state.events.body_writer import BodyWriter
from user_state.events.event_reader import write_event
from user_state.events.made_values import ASKED_SHARE, ValueMaker, asked_values, id_as, time_as
from user_state.events.writers import head_of
from user_state.spec import LoadedSpec
from user_state.spec.avro_types import NamedTypes, looked_up, named_types
from user_state.spec.event_field import UNITS
from user_state.spec.event_schema import EventSchema

_ROLES = {"user": "user_id", "id": "event_id", "time": "event_time", "published": "published_at"}
"""What the spec calls a field, and what it is called in interaction.avsc."""
_BITS = {"int": 31, "long": 63}


class Writer:
    """Events of `interaction.avsc` as events of `schema`, one of a spec's versions."""

    def __init__(self, schema: EventSchema, spec: LoadedSpec, bodies: BodyWriter | None = None) -> None:
        self.schema = schema
        self._bodies = BodyWriter(spec.schema, (spec.schema.name,)) if bodies is None else bodies
        self._named = named_types(schema.whole)
        self._sources = _sources(schema, spec)
        self._asked = asked_values(spec)
        self._maker = ValueMaker(self._named, self._asked)
        self._unmet = {path for path, asked in self._asked.items() if not self._has_one_of(path, asked)}
        events = spec.spec.events
        self._roles = {getattr(events, role): role for role in _ROLES if getattr(events, role) is not None}
        units = {"time": events.time_unit, "published": events.published_unit}
        self._unit_ns = {role: UNITS[unit] if unit else None for role, unit in units.items()}

    def event(self, interaction: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event that an app would have written with this schema."""
        rng = random.Random(f"{self.schema.fingerprint.hex()} {interaction['event_id']}")
        return self._record(self.schema.whole, "", interaction, rng)

    def _record(
        self, declared: Mapping[str, Any], above: str, interaction: Mapping[str, Any], rng: random.Random
    ) -> dict[str, Any]:
        return {
            field["name"]: self._value(field["type"], f"{above}{field['name']}", interaction, rng)
            for field in declared["fields"]
        }

    def _value(self, declared: Any, path: str, interaction: Mapping[str, Any], rng: random.Random) -> Any:
        role = next((self._roles[name] for name in self._names(path) if name in self._roles), None)
        if role in ("user", "id"):
            return id_as(declared, interaction[_ROLES[role]], self._named)
        if role is not None:
            return time_as(declared, interaction[_ROLES[role]], self._unit_ns[role], self._named)
        if any(name.startswith(f"{path}.") for name in self._roles):
            inside = _records_of(declared, self._named)
            if inside:
                return self._record(inside[0], f"{path}.", interaction, rng)
        known = [source for source in self._sources.get(path, ()) if source in interaction]
        made = next((interaction[source] for source in known if interaction[source] is not None), None)
        if made is not None and (path not in self._unmet or rng.random() >= ASKED_SHARE):
            written = _written(declared, made, self._named)
            if written is not None:
                return written
        if known and made is None and _may_be_null(declared, self._named):
            return None
        return self._maker.value(declared, path, rng)

    def _has_one_of(self, path: str, asked: list[Any]) -> bool:
        """Return whether the made-up app has one of these values, so that its own do."""
        from user_state.events.generate import ACTIONS, CATEGORIES, SURFACES

        words = {"action": ACTIONS, "category": CATEGORIES, "surface": SURFACES}
        return any(value in words.get(source, ()) for source in self._sources.get(path, ()) for value in asked)

    def _names(self, path: str) -> list[str]:
        return [path, *self._sources.get(path, ())]

    def body(self, interaction: Mapping[str, Any]) -> bytes:
        """Return that event in the spec's encoding."""
        return self._bodies.body(self.schema, write_event(self.schema, self.event(interaction)))

    def single_object(self, interaction: Mapping[str, Any]) -> bytes:
        """Return it in single-object encoding."""
        return head_of(self.schema) + write_event(self.schema, self.event(interaction))


class Writers:
    """Every version that a body of the spec can tell; an event gets one by its id, so that a copy of it is the same."""

    def __init__(self, spec: LoadedSpec) -> None:
        self.read_as = spec.schema
        bodies = BodyWriter(spec.schema, (spec.schema.name,))
        told = [schema for schema in (spec.schema, *spec.schema.versions) if bodies.tells(schema)]
        self._writers = [Writer(schema, spec, bodies) for schema in told]

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
    """Return `value` as the type `declared` has it, None where the type can have nothing of it."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        fitting = [branch for branch in declared if _takes(looked_up(branch, named), value)]
        return _written(fitting[0], value, named) if fitting else None
    if not _takes(declared, value):
        return None
    kind = declared["type"]
    if kind == "enum":
        return value if value in declared["symbols"] else None
    if kind in _BITS and isinstance(value, str):
        return id_as(declared, value, named)
    if kind in _BITS:
        bound = 1 << _BITS[kind]
        return max(-bound, min(round(value), bound - 1))
    if kind in ("float", "double"):
        return float(value)
    return value.encode() if kind == "bytes" else value


def _takes(declared: Any, value: Any) -> bool:
    if "logicalType" in declared:
        return False
    if isinstance(value, str):
        # Ids such as i12 have a number.
        return declared["type"] in ("string", "bytes", "enum") or (
            declared["type"] in _BITS and value[1:].isdigit() and value[:1].isalpha()
        )
    return declared["type"] in ("int", "long", "float", "double")


def _may_be_null(declared: Any, named: NamedTypes) -> bool:
    return isinstance(declared, list) and {"type": "null"} in [looked_up(branch, named) for branch in declared]


def _records_of(declared: Any, named: NamedTypes) -> list[Mapping[str, Any]]:
    branches = declared if isinstance(declared, list) else [declared]
    found = [looked_up(branch, named) for branch in branches]
    return [branch for branch in found if isinstance(branch, Mapping) and branch["type"] == "record"]
