"""Message bodies -> events in columns, or the one error that says why not.

A body is Avro's single-object encoding (C3 01, schema fingerprint, event) or the event alone. The two cannot be
confused where the schema's first field is a string: C3 01 would be a negative length.

The fingerprint says which of the schema's versions the event was written with. An event alone does not say, so it is
taken for one of the schema itself.

An event must be the very bytes that a writer writes for it, so that what was damaged on its way is found out. Flat
events are read by compiled code (`native/events/event_decoder.hpp`), those of nested types by fastavro; what values
have to be is held against both in one place, and the words are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from user_state.errors import EventError
from user_state.events.event_reader import ReadEvent, nested_reader, write_event
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
_HEAD_BYTES = 10


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
        places = places_of(plan, schema)
        self._names = [place.name for place in places]
        writers = [writer_of(one, schema, places) for one in sorted(known.values(), key=lambda one: one is not schema)]
        listed = listing(one.label for one in (schema, *schema.versions))
        self._native = BodyDecoder(places, writers, limits_of(plan), listed)
        self._nested: dict[bytes, tuple[ReadEvent, str]] = {
            writer.head: (nested_reader(known[writer.head[len(SINGLE_OBJECT) :]], schema), writer.name)
            for writer in writers
            if not writer.is_flat
        }

    def batch(self, messages: Sequence[Message] | MessageList) -> Decoded:
        """Return the events of messages, and which are none."""
        if isinstance(messages, MessageList):
            held, values = messages, self._values(messages, {})
        else:
            held = MessageList.of_messages(messages)
            read = {at: one.event for at, one in enumerate(messages) if one.event is not None}
            values = self._values(held, read)
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

    def _values(self, messages: MessageList, read: Mapping[int, Mapping[str, Any]]) -> list[Any] | None:
        """Return for each message the values that the compiled code cannot read itself, or why there are none."""
        if not self._nested and not read:
            return None
        values: list[Any] = [None] * len(messages)
        for at in self._native.others(messages):
            if at not in read:
                try:
                    values[at] = self._values_of(self.decode(messages.message(at)[0]))
                except EventError as exc:
                    values[at] = (exc.reason, exc.detail)
        for at, event in read.items():
            values[at] = self._values_of(event)
        return values

    def _values_of(self, event: Mapping[str, Any]) -> list[Any]:
        return [event.get(name) for name in self._names]

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the event that `data` holds, as the schema has it, whichever version it was written with.

        Raises:
            EventError: `undecodable`.
        """
        has_head = data[: len(SINGLE_OBJECT)] == SINGLE_OBJECT
        nested = self._nested.get(data[:_HEAD_BYTES] if has_head else self._head)
        if nested is None:
            event = self._native.event(data)
            if isinstance(event, dict):
                return event
            raise EventError(*event)
        read, name = nested
        body = data[_HEAD_BYTES:] if has_head else data
        try:
            return read(body)
        except Exception as exc:  # fastavro raises whatever Python raises where it stumbles
            detail = f"cannot decode {len(body)} bytes as Avro {name}: fastavro stops with {type(exc).__name__}"
            raise EventError("undecodable", detail) from exc

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
        row, wrong = self._native.row(self._values_of(event), publish_us)
        if row is None:
            raise EventError(*wrong)
        return row
