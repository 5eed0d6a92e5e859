"""What the compiled decoder is told: which schemas events are written with, and where each value of theirs goes.

The columns of a batch are places: 0 the user, 1 the event id, 2 the event time, 3 the publish time, then the plan's
fields. A field of an event may go to several.
"""

from __future__ import annotations

from typing import NamedTuple

from user_state.events.avro_program import Program, program_of
from user_state.events.json_program import json_program_of
from user_state.events.limits import check_names
from user_state.plan.plan import Plan
from user_state.spec.event_schema import EventSchema

SINGLE_OBJECT = b"\xc3\x01"
"""What Avro's single-object encoding begins with; the schema's fingerprint and the event follow."""


class Place(NamedTuple):
    """A column of a batch.

    Attributes:
        name: the path of the event's field that goes there, empty for none.
        check: what its value is held against: `user`, `id`, `time`, `published`, or one of `check_names`.
        is_list: whether an event has a list of such values.
    """

    name: str
    check: str
    is_list: bool = False


class Writer(NamedTuple):
    """How events of one schema are read as the spec's.

    Attributes:
        head: the first bytes of such a body.
        name: for people.
        program: how they are read.
        is_json: whether such bodies are JSON, which has no head but a schema id.
    """

    head: bytes
    name: str
    program: Program
    is_json: bool = False


def head_of(schema: EventSchema) -> bytes:
    """Return what a body of the schema begins with."""
    return SINGLE_OBJECT + schema.fingerprint


def places_of(plan: Plan) -> list[Place]:
    """Return the columns of a batch."""
    return [
        Place(plan.user_field, "user"),
        Place(plan.id_field, "id"),
        Place(plan.time_field, "time"),
        Place(plan.published_field or "", "published"),
        *(Place(field.name, check, field.is_list) for field, check in zip(plan.fields, check_names(plan), strict=True)),
    ]


def writer_of(writer: EventSchema, reader: EventSchema, places: list[Place]) -> Writer:
    """Return how events of `writer` are read as `reader`, which must resolve."""
    same = writer.fingerprint == reader.fingerprint
    name = writer.name if same else f"{writer.name} of {writer.file or writer.fingerprint.hex()}"
    wanted = _wanted(places)
    # The reader's logical types count, whatever those of a writer with the same fingerprint.
    return Writer(head_of(writer), name, program_of(reader.whole if same else writer.whole, reader.whole, wanted))


def json_writer_of(schema: EventSchema, places: list[Place]) -> Writer:
    """Return how JSON events of `schema` are read; raises ValueError where a default cannot be used."""
    return Writer(b"", schema.name, json_program_of(schema.whole, _wanted(places)), is_json=True)


def _wanted(places: list[Place]) -> dict[str, list[int]]:
    wanted: dict[str, list[int]] = {}
    for at, place in enumerate(places):
        if place.name:
            wanted.setdefault(place.name, []).append(at)
    return wanted
