"""Made-up events as apps with other schemas would have written them.

What `generate` makes up has the fields of `interaction.avsc`. Another schema gets those that it has too:

    the spec's user, id, time and published    from interaction's, at whatever path, as the type there has them
                                               (`scalars_written.py`)
    a field of the same name, or the same by   from interaction's, as the type that the schema asks for: a number
    an alias, in the spec's schema as well     rounded, a text that is no symbol as the first one
    what else the spec uses                    something of its type that interaction has; in arrays up to three
    any other field                            null, or its default, or nothing: 0, "", no items

Nothing here reads events. Values are as fastavro writes them, without logical types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import xxhash

from user_state.events.decode import SINGLE_OBJECT
from user_state.events.event_reader import write_event
from user_state.events.scalars_written import id_written, nothing_of, takes, time_written, written
from user_state.oracle import used_fields
from user_state.spec import LoadedSpec
from user_state.spec.avro_types import default_value, looked_up, named_types
from user_state.spec.event_schema import EventSchema
from user_state.spec.paths import key_in_map

_ROLES = {"user": "user_id", "id": "event_id", "time": "event_time", "published": "published_at"}
"""What the spec calls a field, and what it is called in interaction.avsc."""
_FILLERS = ("category", "value", "item_id", "event_time")
"""Of interaction.avsc, what a field that the spec uses, and interaction has not, is made of: the first that fits."""
_MOST_LISTED = 3

Interaction = Mapping[str, Any]


class Writer:
    """Events of `interaction.avsc` as events of `schema`, one of a spec's versions."""

    def __init__(self, schema: EventSchema, spec: LoadedSpec) -> None:
        self.schema = schema
        self.header = SINGLE_OBJECT + schema.fingerprint
        self._named = named_types(schema.whole)
        events = spec.spec.events
        self._units = {events.time: events.time_unit, events.published: events.published_unit}
        self._roles = {getattr(events, role): source for role, source in _ROLES.items() if getattr(events, role)}
        self._used = {*used_fields(spec.spec), *self._roles}
        self._alike = [{field["name"], *field.get("aliases", ())} for field in spec.schema.parsed["fields"]]

    def event(self, interaction: Interaction) -> dict[str, Any]:
        """Return the event that an app would have written with this schema."""
        return {
            field["name"]: self._field(field, self._names(field), interaction) for field in self.schema.whole["fields"]
        }

    def body(self, interaction: Interaction) -> bytes:
        """Return that event in single-object encoding."""
        return self.header + write_event(self.schema, self.event(interaction))

    def _names(self, field: Mapping[str, Any]) -> list[str]:
        """Return what a field of the event may be called in the spec's schema, best first."""
        names = [field["name"], *field.get("aliases", ())]
        others: set[str] = set().union(*(group for group in self._alike if group & set(names)))
        return names + sorted(others - set(names))

    def _field(self, field: Mapping[str, Any], paths: list[str], interaction: Interaction) -> Any:
        source, value = self._source(paths, interaction)
        if not self._is_wanted(paths, interaction) or (source is not None and value is None):
            return self._unknown(field)
        return self._value(field["type"], paths, interaction)

    def _is_wanted(self, paths: Iterable[str], interaction: Interaction) -> bool:
        """Return whether anything is to stand at one of these paths, or in what lies there."""
        return any(
            path.rpartition(".")[2] in interaction
            or any(used == path or used.startswith(f"{path}.") for used in self._used)
            for path in paths
        )

    def _value(self, declared: Any, paths: list[str], interaction: Interaction) -> Any:
        declared = looked_up(declared, self._named)
        if isinstance(declared, list):
            return self._branch([looked_up(branch, self._named) for branch in declared], paths, interaction)
        match declared["type"]:
            case "record":
                return {
                    field["name"]: self._field(
                        field,
                        [f"{path}.{name}" for path in paths for name in (field["name"], *field.get("aliases", ()))],
                        interaction,
                    )
                    for field in declared["fields"]
                }
            case "array":
                count = 1 + xxhash.xxh64_intdigest(interaction["event_id"].encode(), 1) % _MOST_LISTED
                return [self._value(declared["items"], paths, _another(interaction, n)) for n in range(count)]
            case "map":
                return {
                    key: self._value(declared["values"], [f"{paths[0]}.{key}"], interaction)
                    for key in self._keys(declared, paths)
                }
        return self._scalar(declared, paths, interaction)

    def _keys(self, declared: Mapping[str, Any], paths: list[str]) -> list[str]:
        inside = sorted(
            used.removeprefix(f"{path}.") for path in paths for used in self._used if used.startswith(f"{path}.")
        )
        keys = (key_in_map(tuple(rest.split(".")), declared["values"], self._named)[0] for rest in inside)
        return list(dict.fromkeys(keys))

    def _branch(self, branches: list[Any], paths: list[str], interaction: Interaction) -> Any:
        """Return a value of the first branch that can have something of what is to stand there."""
        holding = [branch for branch in branches if branch["type"] in ("record", "map", "array")]
        goes_on = any(used.startswith(f"{path}.") for path in paths for used in self._used)
        if goes_on and holding:
            return self._value(holding[0], paths, interaction)
        source, value = self._source(paths, interaction)
        if value is None and {"type": "null"} in branches and source is not None:
            return None
        scalars = [branch for branch in branches if branch["type"] != "null" and branch not in holding]
        fitting = [branch for branch in scalars if value is not None and self._fits(branch, source, value)]
        if fitting or not any(path in self._used for path in paths):
            return self._scalar(fitting[0], paths, interaction) if fitting else nothing_of(branches, self._named)
        return self._value((scalars or holding or branches)[0], paths, interaction)

    def _fits(self, branch: Mapping[str, Any], source: str | None, value: Any) -> bool:
        return takes(branch, value) or source in ("user_id", "event_id", "item_id")

    def _source(self, paths: list[str], interaction: Interaction) -> tuple[str | None, Any]:
        """Return which field of the interaction stands at a path, and its value."""
        names = [*(self._roles[path] for path in paths if path in self._roles), *(p.rpartition(".")[2] for p in paths)]
        source = next((name for name in names if name in interaction), None)
        return source, None if source is None else interaction[source]

    def _scalar(self, declared: Mapping[str, Any], paths: list[str], interaction: Interaction) -> Any:
        source, value = self._source(paths, interaction)
        role = next((path for path in paths if path in self._roles), None)
        if role in self._units and isinstance(value, int):
            return time_written(declared, value, self._units[role])
        if value is not None and source in ("user_id", "event_id", "item_id"):
            return id_written(declared, value)
        if source in ("event_time", "published_at") and isinstance(value, int):
            return time_written(declared, value, None)
        if value is not None and takes(declared, value):
            return written(declared, value)
        if not any(path in self._used for path in paths):
            return nothing_of(declared, self._named)
        fillers = [interaction.get(name) for name in _FILLERS]
        filler = next((one for one in fillers if one is not None and takes(declared, one)), None)
        return nothing_of(declared, self._named) if filler is None else written(declared, filler)

    def _unknown(self, field: Mapping[str, Any]) -> Any:
        if "default" in field:
            with suppress(ValueError):  # a default that does not fit harms nobody who writes the field
                return default_value(field["type"], field["default"], self._named)
        return nothing_of(field["type"], self._named)


def _another(interaction: Interaction, number: int) -> Interaction:
    """Return the interaction with another text and number in it, for the next item of an array."""
    if number == 0:
        return interaction
    value = interaction.get("value")
    return {
        **interaction,
        "category": interaction.get("action" if number == 1 else "surface"),
        "value": number if value is None else value + number,
    }


class Writers:
    """Every version that a spec accepts; an event goes to one of them by its id, so that a copy of it is the same."""

    def __init__(self, spec: LoadedSpec) -> None:
        self.read_as = spec.schema
        self._writers = [Writer(schema, spec) for schema in (spec.schema, *spec.schema.versions)]

    def of(self, interaction: Mapping[str, Any]) -> Writer:
        """Return the writer of an event."""
        return self._writers[xxhash.xxh64_intdigest(interaction["event_id"].encode()) % len(self._writers)]
