"""Message bodies -> events -> event rows, or the one error that says why not.

A body is Avro's single-object encoding (C3 01, schema fingerprint, event) or the event alone. The two cannot be
confused where the schema's first field is a string: C3 01 would be a negative length.

The fingerprint says which of the schema's versions the event was written with. An event alone does not say, so it is
taken for one of the schema itself.

An event must be the very bytes that a writer writes for it, so that what was damaged on its way is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xxhash

from user_state.core.events import EventRow
from user_state.core.plan import Plan
from user_state.errors import EventError, shorten
from user_state.events.compiled_rows import row_reader
from user_state.events.event_reader import event_reader, write_event
from user_state.events.message import Message
from user_state.events.row_checks import CHECKS, check_names, identifier, time_of
from user_state.spec.event_schema import EventSchema
from user_state.spec.problems import listing

SINGLE_OBJECT = b"\xc3\x01"


class EventDecoder:
    """Decodes the events of one plan.

    Args:
        plan: what a row has.
        schema: what events are read as, and the versions that they may have been written with.
        compiled: whether to use the compiled code where there is any.
    """

    def __init__(self, plan: Plan, schema: EventSchema, *, compiled: bool = True) -> None:
        self._plan = plan
        self._schema = schema
        self._head = SINGLE_OBJECT + schema.fingerprint
        self._read = event_reader(schema, schema)
        heads = {self._head: schema} | {SINGLE_OBJECT + one.fingerprint: one for one in schema.versions}
        self._readers = {head: (event_reader(writer, schema), writer) for head, writer in heads.items()}
        self._compiled = row_reader(plan, heads, schema) if compiled else None
        self._checks = [
            (field.name, CHECKS[check]) for field, check in zip(plan.fields, check_names(plan, schema), strict=True)
        ]

    @property
    def compiled(self) -> bool:
        """Whether compiled code reads."""
        return self._compiled is not None

    def rows(self, messages: Sequence[Message]) -> list[EventRow | EventError]:
        """Return for each message its row (see `row`), or what is wrong with it: `undecodable`, `invalid`."""
        if self._compiled is None or any(message.event is not None for message in messages):
            return [self._row_or_error(message) for message in messages]
        rows = self._compiled.rows([message.data for message in messages], [one.publish_us for one in messages])
        if None in rows:
            return [
                self._row_or_error(message) if row is None else row for row, message in zip(rows, messages, strict=True)
            ]
        return rows

    def _row_or_error(self, message: Message) -> EventRow | EventError:
        try:
            event = message.event if message.event is not None else self.decode(message.data)
            return self.row(event, message.publish_us)
        except EventError as exc:
            return exc

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the event that `data` holds, as the schema has it, whichever version it was written with.

        Raises:
            EventError: `undecodable`.
        """
        read, writer = self._read, self._schema
        if data[:2] == SINGLE_OBJECT:
            found = self._readers.get(data[:10])
            if found is None:
                raise EventError("undecodable", self._unknown(data[2:10]))
            read, writer = found
            data = data[10:]
        try:
            return read(data)
        except Exception as exc:  # a reader raises whatever Python raises where it stumbles
            raise EventError(
                "undecodable",
                f"expected an Avro {writer.name}{self._version(writer)}, got {len(data)} bytes that are none:"
                f" {type(exc).__name__} {shorten(str(exc), 160)}",
            ) from exc

    def _version(self, writer: EventSchema) -> str:
        return "" if writer is self._schema else f" of {writer.file or writer.fingerprint.hex()}"

    def _unknown(self, fingerprint: bytes) -> str:
        known = listing(schema.label for schema in (self._schema, *self._schema.versions))
        return (
            f"expected one of the event schemas that the spec names: {known}; got fingerprint {fingerprint.hex()},"
            " of a schema to be added to `versions:`, or of other events"
        )

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
        plan = self._plan
        user = identifier(event, plan.user_field)
        event_id = identifier(event, plan.id_field)
        time_us = time_of(event, plan.time_field, plan.time_unit_us)
        if publish_us is None:
            published = None if plan.published_field is None else event.get(plan.published_field)
            if published is None:
                publish_us = time_us
            else:
                publish_us = time_of(event, plan.published_field or "", plan.published_unit_us)
        values = [check(event.get(name), name) for name, check in self._checks]
        return (user, xxhash.xxh64_intdigest(event_id.encode()), time_us, publish_us, *values)
