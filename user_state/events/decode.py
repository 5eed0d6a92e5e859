"""Message bodies -> events in columns, or the one error that says why not.

How bodies are encoded is the spec's to say (`user_state/spec/bodies.py`). What stands before an event says which schema
it was written with; an event alone does not, so it is taken for one of the spec's own schema.

An event must be bytes that a writer writes for it, so that what was damaged on its way is found out. Compiled code
reads them (`native/events/event_decoder.hpp`), whatever the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from user_state.errors import EventError
from user_state.events.event_reader import write_event
from user_state.events.framing import Unpacking
from user_state.events.known_writers import KnownWriters, Unreadable
from user_state.events.limits import limits_of
from user_state.events.looks_like import Looks, looks_like
from user_state.events.message import Message
from user_state.events.writers import SINGLE_OBJECT, Writer, head_of, places_of
from user_state.plan.plan import Plan
from user_state.spec.deletes import deleted_row
from user_state.spec.event_schema import EventSchema
from user_state.spec.problems import listing
from user_state.state.event_batch import BodyDecoder, EventBatch, MessageList
from user_state.state.events import EventRow

__all__ = ["SINGLE_OBJECT", "Decoded", "EventDecoder"]


IGNORED = "ignored"
UNKNOWN_ID = "unknown id"
"""What the core says of a body with a schema id that it was not told of."""
_FRAMING = {"raw": "raw", "single_object": "single_object", "confluent": "confluent", "json": "json"}


class Decoded(NamedTuple):
    """What a pull's messages are.

    Attributes:
        batch: the events, in order of arrival.
        refused: the other messages, and what is wrong with each: `undecodable`, `invalid`; or `ignored`, where the
            spec has deleted rows ignored.
        refused_at: which messages those are, ascending.
    """

    batch: EventBatch
    refused: list[tuple[Message, EventError]]
    refused_at: Sequence[int] = ()


class EventDecoder:
    """Decodes the events of one plan.

    Args:
        plan: what a batch has.
        schema: what events are read as, and the versions that they may have been written with.
    """

    def __init__(self, plan: Plan, schema: EventSchema) -> None:
        self._plan = plan
        self._schema = schema
        self._head = head_of(schema)
        self._fingerprints = frozenset(one.fingerprint for one in (*schema.versions, schema))
        self._places = places_of(plan)
        self._known = KnownWriters(schema, self._places)
        self._unpacking = Unpacking(schema.bodies, schema.fingerprint, self._known)
        self._framing = _FRAMING.get(schema.bodies.encoding, "")
        self._native = self._made(self._framing)
        self._number = self._known.number
        self._is_flat = not schema.has_logical_bytes and all("." not in place.name for place in self._places)

    def _made(self, framing: str) -> BodyDecoder:
        listed = listing(one.label for one in (self._schema, *self._schema.versions))
        return BodyDecoder(self._places, self._known.writers, limits_of(self._plan), listed, framing)

    def batch(self, messages: Sequence[Message] | MessageList) -> Decoded:
        """Return the events of messages, and which are none."""
        if isinstance(messages, MessageList):
            held, values = messages, None
        else:
            held = MessageList.of_messages(messages)
            read = [None if one.event is None else self._values_of(one.event) for one in messages]
            values = read if any(one is not None for one in read) else None
        unpack = self._unpacking.of_messages(held)
        if unpack:
            given: list[Any] = [None] * len(held) if values is None else values
            for at, one in unpack.items():
                given[at] = one if given[at] is None else given[at]
            values = given
        self._renew()
        batch, refused = self._native.decode(held, values)
        # A schema id that was never met: its schema is asked for, and all is decoded anew.
        if any(reason == UNKNOWN_ID for _, reason, _ in refused):
            reasons = {detail: self._known.of_id(int(detail)) for _, reason, detail in refused if reason == UNKNOWN_ID}
            if self._renew():
                batch, refused = self._native.decode(held, values)
            refused = [(at, *_told(reason, detail, reasons)) for at, reason, detail in refused]
        told = [(Message(*held.message(at)), reason, detail) for at, reason, detail in refused]
        if self._schema.bodies.rows:
            told = [(message, *self._of_delete(message, *why)) for message, *why in told]
        return Decoded(batch, [self._refused(*one) for one in told], [at for at, *_ in refused])

    def _renew(self) -> bool:
        """Decode what was met since by its schema, too; returns whether there was anything new."""
        if self._known.number == self._number:
            return False
        self._native, self._number = self._made(self._framing), self._known.number
        return True

    def _refused(self, message: Message, reason: str, detail: str) -> tuple[Message, EventError]:
        """Return a refused message and why, with what its body looks like."""
        if reason == "undecodable" and message.event is None:
            seen = self.looks(message.data, message.attributes)
            if seen is not None and seen.kind != "single object":  # of which the detail says that nobody knows it
                detail = f"{detail}; looks like {seen.words}{': ' if seen.advice else ''}{seen.advice}"
        return message, EventError(reason, detail)

    def _of_delete(self, message: Message, reason: str, detail: str) -> tuple[str, str]:
        """Return reason and detail of what is no event: others, if it says that a row was deleted."""
        bodies = self._schema.bodies
        if bodies.ignores_deletes and message.event is None and not message.data:
            return IGNORED, "an empty body: the tombstone of a deleted row"
        if reason != "invalid" or message.event is not None:
            return reason, detail
        row = deleted_row(bodies.rows, self.decode(message.data, message.attributes))
        if row is None:
            return reason, detail
        if bodies.ignores_deletes:
            return IGNORED, f"{row} is null: a deleted row"
        return reason, f"{detail}; {row} is null, as of a deleted row: set events.deletes: ignore to have such ignored"

    def looks(self, data: bytes, attributes: Mapping[str, str]) -> Looks | None:
        """Return what a refused body looks like; None where its attributes say what is wrong with it."""
        try:
            body = self._unpacking.decompressed(data, attributes)
        except EventError:
            return None
        return looks_like(body, self._is_event, self._fingerprints, self._schema.bodies.encoding)

    def _is_event(self, body: bytes) -> bool:
        """Return whether bytes are an event alone, or in single-object encoding."""
        return isinstance(self._bare.event(body), dict)

    @cached_property
    def _bare(self) -> BodyDecoder:
        return self._made("raw")

    def _values_of(self, event: Mapping[str, Any]) -> list[Any]:
        if self._is_flat:
            return [event.get(place.name) for place in self._places]
        raise TypeError("expected a body: an event of nested or logical types has to be written to be read")

    def decode(self, data: bytes, attributes: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the event that a body holds, as the schema has it, whichever version it was written with.

        Raises:
            EventError: `undecodable`.
            RegistryUnavailable: its schema is in a registry, which does not answer.
        """
        body = data
        if attributes or self._framing == "":
            body = self._unpacking.unpacked(data, attributes or {})
            self._renew()
        event = self._native.event(body)
        if not isinstance(event, dict) and event[0] == UNKNOWN_ID:
            reasons = {event[1]: self._known.of_id(int(event[1]))}
            event = self._native.event(body) if self._renew() else _told(*event, reasons)
        if isinstance(event, dict):
            return event
        raise EventError(*event)

    def encode(self, event: Mapping[str, Any]) -> bytes:
        """Return the event in single-object encoding.

        Raises:
            EventError: `invalid`, it does not fit the schema.
        """
        try:
            return self._head + write_event(self._schema, event)
        except Exception as exc:
            raise EventError("invalid", f"expected an event that fits {self._schema.name}: {exc}") from exc

    def row(self, event: Mapping[str, Any], publish_us: int | None) -> EventRow:
        """Return `(user, id_hash, time_us, published_us, *fields)`.

        Raises:
            EventError: `invalid`: a field is missing, empty, too long, out of range or not finite.
        """
        if self._is_flat:
            row, wrong = self._native.row(self._values_of(event), publish_us)
        else:
            row, wrong = self._native.row_of_body(self.encode(event), publish_us)
        if row is None:
            raise EventError(*wrong)
        return row


def _told(reason: str, detail: str, ids: Mapping[str, Writer | Unreadable]) -> tuple[str, str]:
    """Return reason and detail of a dead letter, of an id that there is no schema of why."""
    known = ids.get(detail) if reason == UNKNOWN_ID else None
    return ("undecodable", known.why) if isinstance(known, Unreadable) else (reason, detail)
