"""Message bodies -> events in columns, or the one error that says why not.

A body is Avro's single-object encoding (C3 01, schema fingerprint, event) or the event alone. The two cannot be
confused where the schema's first field is a string: C3 01 would be a negative length.

The fingerprint says which of the schema's versions the event was written with. An event alone does not say, so it is
taken for one of the schema itself.

An event must be bytes that a writer writes for it, so that what was damaged on its way is found out. Compiled code
reads them (`native/events/event_decoder.hpp`), whatever the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from user_state.errors import EventError
from user_state.events.event_reader import write_event
from user_state.events.limits import limits_of
from user_state.events.looks_like import looks_like
from user_state.events.message import Message
from user_state.events.writers import SINGLE_OBJECT, head_of, places_of, writer_of
from user_state.plan.plan import Plan
from user_state.spec.event_schema import EventSchema
from user_state.spec.problems import listing
from user_state.state.event_batch import BodyDecoder, EventBatch, MessageList
from user_state.state.events import EventRow

__all__ = ["SINGLE_OBJECT", "Decoded", "EventDecoder"]


class Decoded(NamedTuple):
    """What a pull's messages are.

    Attributes:
        batch: the events, in order of arrival.
        refused: the other messages, and what is wrong with each: `undecodable`, `invalid`.
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
        known = {one.fingerprint: one for one in (*schema.versions, schema)}
        self._fingerprints = frozenset(known)
        self._places = places_of(plan)
        writers = [
            writer_of(one, schema, self._places) for one in sorted(known.values(), key=lambda one: one is not schema)
        ]
        listed = listing(one.label for one in (schema, *schema.versions))
        self._native = BodyDecoder(self._places, writers, limits_of(plan), listed)
        self._is_flat = not schema.has_logical_bytes and all("." not in place.name for place in self._places)

    def batch(self, messages: Sequence[Message] | MessageList) -> Decoded:
        """Return the events of messages, and which are none."""
        if isinstance(messages, MessageList):
            held, values = messages, None
        else:
            held = MessageList.of_messages(messages)
            read = [None if one.event is None else self._values_of(one.event) for one in messages]
            values = read if any(one is not None for one in read) else None
        batch, refused = self._native.decode(held, values)
        return Decoded(
            batch,
            [self._refused(Message(*held.message(at)), reason, detail) for at, reason, detail in refused],
            [at for at, *_ in refused],
        )

    def _refused(self, message: Message, reason: str, detail: str) -> tuple[Message, EventError]:
        """Return a refused message and why, with what its body looks like."""
        if reason == "undecodable" and message.event is None:
            seen = looks_like(message.data, self._is_event, self._fingerprints)
            if seen is not None and seen.kind != "single object":  # of which the detail says that nobody knows it
                detail = f"{detail}; looks like {seen.words}{': ' if seen.advice else ''}{seen.advice}"
        return message, EventError(reason, detail)

    def _is_event(self, body: bytes) -> bool:
        try:
            self.decode(body)
        except EventError:
            return False
        return True

    def _values_of(self, event: Mapping[str, Any]) -> list[Any]:
        if self._is_flat:
            return [event.get(place.name) for place in self._places]
        raise TypeError("expected a body: an event of nested or logical types has to be written to be read")

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the event that `data` holds, as the schema has it, whichever version it was written with.

        Raises:
            EventError: `undecodable`.
        """
        event = self._native.event(data)
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
