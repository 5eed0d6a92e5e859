"""What the compiled decoder is told: which schemas events are written with, and where each field of theirs goes.

The columns of a batch are places: 0 the user, 1 the event id, 2 the event time, 3 the publish time, then the plan's
fields. A field of an event may go to several.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from user_state.events.flat_types import FlatType, flat_record
from user_state.events.limits import check_names
from user_state.plan.plan import Plan
from user_state.spec.event_schema import EventSchema

SINGLE_OBJECT = b"\xc3\x01"
"""What Avro's single-object encoding begins with; the schema's fingerprint and the event follow."""


class Place(NamedTuple):
    """A column of a batch.

    Attributes:
        name: the event's field that goes there, empty for none.
        check: what its value is held against: `user`, `id`, `time`, `published`, or one of `check_names`.
    """

    name: str
    check: str


class Writer(NamedTuple):
    """How events of one schema are read as the spec's.

    Attributes:
        head: the first bytes of such a body.
        name: for people.
        is_flat: False where fastavro has to read them; there is nothing else then.
        fields: in order (the writer's name for it, the spec's or None if it is read over, how it is read, its places).
        defaults: (name, value, places) of the fields that the writer does not have.
    """

    head: bytes
    name: str
    is_flat: bool
    fields: list[tuple[str, str | None, FlatType, list[int]]]
    defaults: list[tuple[str, Any, list[int]]]


def head_of(schema: EventSchema) -> bytes:
    """Return what a body of the schema begins with."""
    return SINGLE_OBJECT + schema.fingerprint


def places_of(plan: Plan, schema: EventSchema) -> list[Place]:
    """Return the columns of a batch."""
    return [
        Place(plan.user_field, "user"),
        Place(plan.id_field, "id"),
        Place(plan.time_field, "time"),
        Place(plan.published_field or "", "published"),
        *(Place(field.name, check) for field, check in zip(plan.fields, check_names(plan), strict=True)),
    ]


def writer_of(writer: EventSchema, reader: EventSchema, places: list[Place]) -> Writer:
    """Return how events of `writer` are read as `reader`, which must resolve."""
    same = writer.fingerprint == reader.fingerprint
    name = writer.name if same else f"{writer.name} of {writer.file or writer.fingerprint.hex()}"
    flat = flat_record(writer.parsed, None if same else reader.parsed)
    if flat is None:
        return Writer(head_of(writer), name, is_flat=False, fields=[], defaults=[])
    places_of_field: Mapping[str | None, list[int]] = _by_name(places)
    written = [field["name"] for field in writer.parsed["fields"]]
    return Writer(
        head_of(writer),
        name,
        is_flat=True,
        fields=[
            (own, read_as, how, places_of_field[read_as])
            for own, (read_as, how) in zip(written, flat.fields, strict=True)
        ],
        defaults=[(field, value, places_of_field[field]) for field, value in flat.defaults.items()],
    )


def _by_name(places: list[Place]) -> Mapping[str | None, list[int]]:
    found: Mapping[str | None, list[int]] = defaultdict(list)
    for at, place in enumerate(places):
        if place.name:
            found[place.name].append(at)
    return found
