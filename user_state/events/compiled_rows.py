"""Message bodies -> event rows in one pass of compiled code, where the events are flat.

It declines each body that is not in order, and all of a schema that it was not made for; `EventDecoder` reads what is
left, and has the words for what is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from user_state import native
from user_state.core.events import FIXED_COLUMNS
from user_state.core.plan import Plan
from user_state.errors import EventError
from user_state.events.event_reader import flat_event
from user_state.events.flat_types import FlatRecord
from user_state.events.row_checks import (
    CHECKS,
    END_TIME_US,
    FIRST_TIME_US,
    MAX_ID_BYTES,
    MAX_TEXT_BYTES,
    check_names,
)
from user_state.spec.event_schema import EventSchema

_PUBLISHED = 3
_Targets = dict[str, list[tuple[int, str]]]
"""Field of an event -> (place in the row, check)."""


class RowLimits(NamedTuple):
    """What the checks of a row go by; see `row_checks`. Lengths are in bytes of UTF-8, units in microseconds."""

    id_bytes: int
    text_bytes: int
    first_us: int
    end_us: int
    time_unit_us: int
    published_unit_us: int


def row_reader(plan: Plan, heads: dict[bytes, EventSchema], schema: EventSchema) -> native.RowReader | None:
    """Return what reads rows of `plan`, None if the events of `schema` are not flat.

    Args:
        plan: what a row has.
        heads: first bytes of a body -> the schema that it was written with.
        schema: what bodies without such bytes were written with, and all are read as.
    """
    targets = _targets(plan, schema)
    writers = {written: _writer(flat_event(written, schema), targets) for written in heads.values()}
    if writers[schema] is None:
        return None
    ordered = sorted(heads.items(), key=lambda item: item[1] is not schema)
    limits = RowLimits(
        MAX_ID_BYTES, MAX_TEXT_BYTES, FIRST_TIME_US, END_TIME_US, plan.time_unit_us, plan.published_unit_us
    )
    listed = [(head, *found) for head, written in ordered if (found := writers[written]) is not None]
    try:
        return native.RowReader(listed, limits, FIXED_COLUMNS + len(plan.fields))
    except NotImplementedError:
        return None


def _targets(plan: Plan, schema: EventSchema) -> _Targets:
    targets: _Targets = defaultdict(list)
    for place, (name, check) in enumerate(
        [
            (plan.user_field, "user"),
            (plan.id_field, "id"),
            (plan.time_field, "time"),
            (plan.published_field, "published"),
            *zip((field.name for field in plan.fields), check_names(plan, schema), strict=True),
        ]
    ):
        if name is not None:
            targets[name].append((place, check))
    return targets


def _writer(record: FlatRecord | None, targets: _Targets) -> tuple[list[Any], list[tuple[int, Any]]] | None:
    """Return (fields, values of what is not written) as `native.RowReader` takes them, None if it cannot."""
    if record is None:
        return None
    fields = [(read, targets.get(name, []) if name is not None else []) for name, read in record.fields]
    fillings = []
    for name, value in record.defaults.items():
        for place, check in targets.get(name, []):
            if place == _PUBLISHED and value is None:
                continue  # as if the spec named none
            if check not in CHECKS:
                return None  # a user, an id or a time that stands for all who sent none
            try:
                fillings.append((place, CHECKS[check](value, name)))
            except EventError:
                return None
    return fields, fillings
