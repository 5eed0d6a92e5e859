"""The schemas that bodies were met to be written with, beside those that the spec names: by id, or in the bodies.

Whoever decodes is told of a schema the first time that a body names it, and then knows it. One that cannot be read as
the events' schema is known too: as the reason why.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

from user_state.errors import SpecError, shorten
from user_state.events.writers import Place, Writer, head_of, json_writer_of, writer_of
from user_state.schema_registry.schemas import JsonSchema, schemas_of
from user_state.spec.event_schema import EventSchema, parse_event_schema
from user_state.spec.version_checks import unread

ID_HEAD = b"\0"
"""What stands before a schema id of four bytes, big-endian."""
MOST_MET = 1_000
"""Schemas that are remembered of those in bodies. With one more all are forgotten, and met anew."""
MOST_SCHEMA_BYTES = 256 * 1024
"""Of a schema in a body."""


class Unreadable(NamedTuple):
    """Why no body of a schema can be read."""

    why: str


class KnownWriters:
    """How bodies are read, by what stands before the event.

    Args:
        schema: what events are read as, with its versions and how bodies are encoded.
        places: the columns of a batch.
    """

    def __init__(self, schema: EventSchema, places: list[Place]) -> None:
        self._schema = schema
        self._places = places
        self._by_id = dict(schema.bodies.by_id)
        own = {one.fingerprint: one for one in (*schema.bodies.by_revision.values(), *schema.versions, schema)}
        ordered = sorted(own.values(), key=lambda one: one is not schema)
        self._named = [writer_of(one, schema, places) for one in ordered]
        self.named_heads = frozenset(one.head for one in self._named)
        """What stands before events of the schemas that the spec names."""
        if schema.bodies.encoding == "json":
            self._named.append(json_writer_of(schema, places))
        self._of_ids: dict[int, Writer | Unreadable] = {}
        self._met: dict[bytes, Writer | Unreadable] = {}
        self._texts: dict[bytes, Writer | Unreadable] = {}
        self.number = 0
        """Changes with `writers`."""

    @property
    def writers(self) -> list[Writer]:
        """All that can be read, the spec's own schema first."""
        heads: dict[bytes, Writer] = {}
        for one in (*self._named, *self._of_ids.values(), *self._met.values()):
            if isinstance(one, Writer):
                heads.setdefault(one.head, one)
        return list(heads.values())

    def of_id(self, number: int) -> Writer | Unreadable:
        """Return how bodies with a schema id are read.

        Raises:
            RegistryUnavailable: the registry does not say.
        """
        if number in self._of_ids:
            return self._of_ids[number]
        if number == 0:
            return Unreadable(
                "schema id 0, which no registry gives: is it the first half of an id of 8 bytes, as Apicurio's"
                " serializers write them unless apicurio.registry.as-confluent is set?"
            )
        registry = self._schema.bodies.registry
        if registry is None:
            found: EventSchema | JsonSchema | None = self._by_id.get(number)
            if found is None:
                known = ", ".join(map(str, sorted(self._by_id)))
                return Unreadable(f"expected a schema id that `registry:` has a file of: {known}; got {number}")
        else:
            asked = schemas_of(registry).schema(number)
            if isinstance(asked, str):
                return Unreadable(asked)
            found = asked
        if isinstance(found, JsonSchema):
            made = self._json()
        else:
            made = self._read(found, f"schema id {number} ({found.name})")
        if isinstance(made, Writer):
            made = made._replace(head=ID_HEAD + number.to_bytes(4, "big"))
            self.number += 1
        self._of_ids[number] = made
        return made

    def forget_some(self) -> None:
        """Forget the schemas of bodies if there are too many; not while a pull is decoded, whose bodies they are of."""
        if len(self._texts) > MOST_MET:
            self._texts.clear()
            self._met.clear()
            self.number += 1

    def of_text(self, text: bytes) -> Writer | Unreadable:
        """Return how bodies that bring their schema along are read; `text` is the schema's JSON."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = self._of_new_text(text)
            if isinstance(found, Writer) and found.head not in self._met:
                self._met[found.head] = found
                self.number += 1
        return found

    def _of_new_text(self, text: bytes) -> Writer | Unreadable:
        if len(text) > MOST_SCHEMA_BYTES:
            return Unreadable(f"a schema of {len(text):,} bytes in the body, of at most {MOST_SCHEMA_BYTES:,}")
        try:
            schema = replace(parse_event_schema(json.loads(text)), file="the body")
        except (SpecError, ValueError, RecursionError) as exc:
            return Unreadable(f"the schema in the body is none of events: {shorten(str(exc), 200)}")
        head = head_of(schema)
        known = next((one for one in self._named if one.head == head), None)
        return known or self._read(schema, f"the schema in the body ({schema.name})")

    def _json(self) -> Writer | Unreadable:
        """Return how bodies in JSON are read: as the spec's schema, whatever a JSON Schema says of them."""
        try:
            return json_writer_of(self._schema, self._places)
        except ValueError as exc:
            return Unreadable(f"events in JSON cannot be read as {self._schema.name}: {exc}")

    def _read(self, schema: EventSchema, called: str) -> Writer | Unreadable:
        wrong = unread(schema, self._schema)
        if wrong:
            return Unreadable(f"events of {called} cannot be read as {self._schema.name}: {wrong[0]}")
        return writer_of(schema, self._schema, self._places)
