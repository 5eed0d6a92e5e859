"""A registry's schemas by id, each as the schema of events, or why it is none; asked for once.

    GET /schemas/ids/7                       {"schema": "...", "schemaType": "AVRO", "references": [...]}
    GET /subjects/S/versions/1               the same, of a schema that another refers to
    POST /subjects/S                         {"id": 7}: the id of a schema

An id never changes its schema, so that a schema is kept for as long as the process lives; that an id does not exist is
asked again after UNKNOWN_S seconds, since a registry may be behind the one that a producer has registered with.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote

from user_state.errors import RegistryUnavailable, SpecError, shorten
from user_state.schema_registry.http import NotThere, Registry
from user_state.spec.avro_names import with_definitions
from user_state.spec.event_schema import EventSchema, parse_event_schema

UNKNOWN_S = 30.0
MOST_UNKNOWN = 10_000
MOST_REFERENCES = 100


class JsonSchema(NamedTuple):
    """A JSON Schema: its bodies are JSON behind their id. What it says of them is the producer's to check."""

    number: int


class RegisteredSchemas:
    """The schemas of one registry.

    Args:
        registry: where they are.
        clock: seconds.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._known: dict[int, EventSchema | JsonSchema | str] = {}
        self._unknown_until_s: dict[int, tuple[float, str]] = {}

    def schema(self, number: int) -> EventSchema | JsonSchema | str:
        """Return the schema with this id, or why there is none that events could have.

        Raises:
            RegistryUnavailable: the registry does not say.
        """
        if number in self._known:
            return self._known[number]
        until_s, why = self._unknown_until_s.get(number, (0.0, ""))
        if until_s > self._clock():
            return why
        try:
            found = self._registry.get(f"/schemas/ids/{number}")
        except NotThere as exc:
            why = f"schema id {number} does not exist in the schema registry {self._registry.url}: {shorten(str(exc))}"
            if len(self._unknown_until_s) >= MOST_UNKNOWN:
                self._unknown_until_s.clear()
            self._unknown_until_s[number] = (self._clock() + UNKNOWN_S, why)
            return why
        self._known[number] = self._read(number, found)
        return self._known[number]

    def id_of(self, schema: EventSchema, subjects: Iterable[str]) -> int | None:
        """Return the id that a schema has under one of these subjects, None if it has none.

        Raises:
            RegistryUnavailable: the registry does not say.
        """
        for subject in subjects:
            try:
                found = self._registry.post(
                    f"/subjects/{quote(subject, safe='')}", {"schema": json.dumps(schema.original)}
                )
            except NotThere:
                continue
            if isinstance(found, dict) and isinstance(found.get("id"), int):
                return int(found["id"])
            raise self._strange(f"/subjects/{subject}")
        return None

    def _read(self, number: int, found: Any) -> EventSchema | JsonSchema | str:
        text, kind = self._text(found, f"/schemas/ids/{number}")
        if kind == "JSON":
            return JsonSchema(number)
        if kind != "AVRO":
            return f"schema id {number} is of type {shorten(kind)}, and events are read as Avro or JSON"
        try:
            whole = with_definitions(json.loads(text), self._definitions(found))
            return replace(parse_event_schema(whole), file=f"schema id {number}")
        except NotThere as exc:
            return f"schema id {number} refers to a schema that does not exist: {shorten(str(exc))}"
        except (SpecError, ValueError, RecursionError) as exc:
            return f"schema id {number}: {exc}"

    def _definitions(self, found: Any) -> list[Any]:
        """Return the schemas that one refers to, those that another needs before it.

        Raises:
            NotThere: one of them does not exist.
            ValueError: they are no schemas, too many, or refer to each other in a circle.
        """
        made: dict[tuple[str, int], Any] = {}
        under_way: set[tuple[str, int]] = set()

        def follow(holder: Any) -> None:
            for reference in holder.get("references") or []:
                subject, version = reference.get("subject"), reference.get("version")
                if not isinstance(subject, str) or not isinstance(version, int):
                    raise ValueError("a reference without subject and version")  # noqa: TRY004 - as all here
                key = (subject, version)
                if key in made:
                    continue
                if key in under_way or len(made) + len(under_way) >= MOST_REFERENCES:
                    raise ValueError(f"references in a circle, or more than {MOST_REFERENCES}")
                under_way.add(key)
                path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
                referred = self._registry.get(path)
                text, kind = self._text(referred, path)
                if kind != "AVRO":
                    raise ValueError(f"a reference to a schema of type {shorten(kind)}")
                follow(referred)
                under_way.discard(key)
                made[key] = json.loads(text)

        follow(found)
        return list(made.values())

    def _text(self, found: Any, path: str) -> tuple[str, str]:
        if not isinstance(found, dict) or not isinstance(found.get("schema"), str):
            raise self._strange(path)
        return found["schema"], str(found.get("schemaType") or "AVRO")

    def _strange(self, path: str) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"expected a schema from the schema registry {self._registry.url} at {path}, got none"
        )


@cache
def schemas_of(url: str) -> RegisteredSchemas:
    """Return the schemas of the registry at a URL, the same for all that ask in this process."""
    return RegisteredSchemas(Registry(url))
