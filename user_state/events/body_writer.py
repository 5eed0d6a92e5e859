"""Events as message bodies in the spec's encoding: for what publishes files, and for made-up traffic.

raw             the event alone, if the spec says `encoding: raw`; where it says nothing, in single-object encoding,
                which is read as well, and says of which version it is
single_object   C3 01, fingerprint, event
container       an Avro file of the one event
confluent       00, the id that the schema has in the registry, event; nothing is ever registered
json            the event as JSON; one that JSON cannot say, such as of an infinite number, in single-object encoding,
                which is read as well
"""

from __future__ import annotations

from collections.abc import Iterable

from user_state.errors import InputError
from user_state.events.containers import ContainerWriter
from user_state.events.json_written import JsonWriter
from user_state.events.known_writers import ID_HEAD
from user_state.events.writers import head_of
from user_state.schema_registry.schemas import schemas_of
from user_state.spec.event_schema import EventSchema


class BodyWriter:
    """Writes bodies of a spec's events.

    Args:
        schema: the spec's, with its versions and how bodies are encoded.
        subjects: under which a registry may have the schemas.

    Raises:
        InputError: the registry has no id for the schema.
        RegistryUnavailable: the registry does not say.
    """

    def __init__(self, schema: EventSchema, subjects: Iterable[str] = ()) -> None:
        self._schema = schema
        self._encoding = schema.bodies.encoding
        self._subjects = list(subjects)
        self._before: dict[bytes, bytes | None] = {}
        self._containers: dict[bytes, ContainerWriter] = {}
        self._json = JsonWriter(schema) if self._encoding == "json" else None
        if not self.tells(schema):
            where = schema.bodies.registry or "the folder of `registry:`"
            under = f" under {' or '.join(self._subjects)}" if schema.bodies.registry else ""
            raise InputError(f"{where} has no id for the schema {schema.label}{under}: register it there first")

    def tells(self, written: EventSchema) -> bool:
        """Return whether a body can say that its event is of this schema."""
        if self._json is not None or (self._encoding == "raw" and self._schema.bodies.declared):
            return written.fingerprint == self._schema.fingerprint
        if self._encoding == "confluent":
            return self._id_head(written) is not None
        return self._encoding == "container" or self._schema.knows(written)

    def body(self, written: EventSchema, event: bytes) -> bytes:
        """Return the body with an event's bytes, which are of a schema that it can tell."""
        if self._encoding == "container":
            if written.fingerprint not in self._containers:
                self._containers[written.fingerprint] = ContainerWriter(written)
            return self._containers[written.fingerprint].body(event)
        if self._encoding == "confluent":
            return (self._id_head(written) or b"") + event
        if self._encoding == "raw" and self._schema.bodies.declared:
            return event
        return (self._json.body(event) if self._json is not None else None) or head_of(written) + event

    def _id_head(self, written: EventSchema) -> bytes | None:
        """Return what stands before an event of a schema, None if it has no id."""
        if written.fingerprint not in self._before:
            bodies = self._schema.bodies
            if bodies.registry is None:
                ids = [one for one, held in bodies.by_id.items() if held.fingerprint == written.fingerprint]
                number = max(ids, default=None)
            else:
                number = schemas_of(bodies.registry).id_of(written, self._subjects)
            self._before[written.fingerprint] = None if number is None else ID_HEAD + number.to_bytes(4, "big")
        return self._before[written.fingerprint]
