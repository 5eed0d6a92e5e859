"""Names of Avro's types across schemas that refer to each other: one schema with all definitions in it.

A schema that refers to others by name cannot be read alone. Where a type of another is named for the first time, in the
order in which a reader meets it, its definition is put in place of the name, as Avro wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PRIMITIVE = frozenset(("null", "boolean", "int", "long", "float", "double", "bytes", "string"))
_NAMED = ("record", "error", "enum", "fixed")
_INSIDE = ("type", "items", "values")


def with_definitions(schema: Any, others: Sequence[Any]) -> Any:
    """Return a schema, as JSON values, with the definitions of `others` that it names.

    >>> with_definitions({"type": "record", "name": "a.R", "fields": [{"name": "f", "type": "F"}]},
    ...     [{"type": "fixed", "name": "F", "namespace": "a", "size": 2}])["fields"]
    [{'name': 'f', 'type': {'type': 'fixed', 'name': 'a.F', 'size': 2}}]
    """
    if not others:
        return schema
    definitions: dict[str, tuple[Any, str]] = {}
    for other in others:
        for one in other if isinstance(other, list) else [other]:
            if isinstance(one, dict) and one.get("type") in _NAMED:
                name = full_name(one, "")
                definitions[name] = ({**one, "name": name}, _namespace(name))
    return _Joining(definitions).of(schema, "")


def full_name(declared: Any, namespace: str) -> str:
    """Return the full name of a named type that is declared within a namespace."""
    name = str(declared.get("name", ""))
    if "." in name:
        return name
    namespace = str(declared.get("namespace", namespace) or "")
    return f"{namespace}.{name}" if namespace else name


class _Joining:
    def __init__(self, definitions: dict[str, tuple[Any, str]]) -> None:
        self._definitions = definitions
        self._met: set[str] = set()

    def of(self, schema: Any, namespace: str) -> Any:
        if isinstance(schema, str):
            return self._named(schema, namespace)
        if isinstance(schema, list):
            return [self.of(branch, namespace) for branch in schema]
        if not isinstance(schema, dict):
            return schema
        if schema.get("type") in _NAMED:
            name = full_name(schema, namespace)
            self._met.add(name)
            namespace = _namespace(name)
        made = dict(schema)
        for key in _INSIDE:
            if key in made and not (key == "type" and made[key] in _NAMED):
                made[key] = self.of(made[key], namespace)
        if isinstance(made.get("fields"), list):
            made["fields"] = [
                {**field, "type": self.of(field.get("type"), namespace)} if isinstance(field, dict) else field
                for field in made["fields"]
            ]
        return made

    def _named(self, name: str, namespace: str) -> Any:
        if name in PRIMITIVE:
            return name
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in self._met:
            return full
        found = self._definitions.get(full)
        if found is None:
            return name
        definition, within = found
        return self.of({key: value for key, value in definition.items() if key != "namespace"}, within)


def _namespace(name: str) -> str:
    return name.rpartition(".")[0]
