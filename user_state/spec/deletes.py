"""Deletes in a stream of change events: which records are null in them, and whether the spec has them ignored.

A change event of a deleted row has no row: the record that the path of `events.user` goes through is null (`after` of
Debezium's envelope), and a tombstone, an empty body, may follow it. Neither is an event. With `deletes: refuse`, the
default, each is a dead letter; with `deletes: ignore` it is counted as `ignored`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

from user_state.spec.event_schema import EventSchema
from user_state.spec.problems import Problem
from user_state.spec.yaml_document import Document

_MISSING = object()


def load_deletes(document: Document, schema: EventSchema) -> tuple[EventSchema, list[Problem]]:
    """Return `schema` with what the spec says of deletes, and what is wrong with that."""
    events = document.mapping("events")
    user = events.get("user")
    rows = tuple(_rows(schema, user)) if isinstance(user, str) else ()
    ignored = events.get("deletes") == "ignore"
    problems = []
    if ignored and isinstance(user, str) and user in schema.fields and not rows:
        said = (
            "expected a `user` within a record that may be null, such as after.user_id, for `deletes: ignore`: a delete"
            f" is told by that record, and {user} has none above it"
        )
        problems.append(document.problem(("events", "deletes"), said))
    return replace(schema, bodies=replace(schema.bodies, rows=rows, ignores_deletes=ignored)), problems


def deleted_row(rows: tuple[str, ...], event: Mapping[str, Any]) -> str | None:
    """Return the path of the record that an event lacks because its row was deleted, None if it was not.

    >>> deleted_row(("after",), {"before": {"id": 1}, "after": None}), deleted_row(("after",), {"after": {"id": 1}})
    ('after', None)
    >>> deleted_row(("payload", "payload.after"), {"payload": {"after": None}})
    'payload.after'
    """
    for path in rows:
        value: Any = event
        for part in path.split("."):
            value = value.get(part, _MISSING) if isinstance(value, Mapping) else _MISSING
        if value is None:
            return path
    return None


def _rows(schema: EventSchema, user: str) -> Iterator[str]:
    """Yield the paths of the records above the user's field that may be null, the outermost first."""
    *above, _ = accumulate(user.split("."), lambda so_far, part: f"{so_far}.{part}")
    for path in above:
        field = schema.fields.get(path)
        if field is not None and field.nullable and "record" in field.avro_type.split(" or "):
            yield path
