"""What an event is to a plan, by rules that are written down here a second time.

reason, or a row (user, xxh64 of the id, event time, publish time, *fields)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import xxhash

from user_state.oracle.view import TextOrNumber, View
from user_state.plan.plan import Plan
from user_state.spec.event_schema import EventSchema

FIRST_US, END_US = 31_536_000_000_000, 4_102_444_800_000_000
"""1971 and 2100."""
LEAST = -(2**63)


def row_or_reason(plan: Plan, schema: EventSchema, event: Mapping[str, Any], publish_us: int | None) -> Any:
    """The row that an event of `schema` is in a plan, or `invalid`; what lies at a path is the oracle's to say."""
    arrival = _view(plan, schema).arrival(event)
    seen: Any = arrival.event
    user, event_id = (str(seen[name]) for name in (plan.user_field, plan.id_field))
    time_us, published_us = (arrival.time(name or "") for name in (plan.time_field, plan.published_field))
    if not (1 <= len(user.encode()) <= 1024 and 1 <= len(event_id.encode()) <= 1024):
        return "invalid"
    if not FIRST_US <= time_us < END_US:
        return "invalid"
    if publish_us is None:
        publish_us = time_us if published_us is None else published_us
        if not FIRST_US <= publish_us < END_US:
            return "invalid"
    row = [user, xxhash.xxh64_intdigest(event_id.encode()), time_us, publish_us]
    for field in plan.fields:
        value = seen[field.name]
        if field.is_list:
            value = value or []
        elif field.kind == "string" and value is not None and not isinstance(value, dict):
            value = str(value)
        is_item = field.name in plan.item_fields
        if not all(_stands(one, field.value_kind, is_item) for one in (value if field.is_list else [value])):
            return "invalid"
        row.append([str(one) for one in value] if field.kind == "strings" else value)
    return tuple(row)


def _view(plan: Plan, schema: EventSchema) -> View:
    events = SimpleNamespace(
        user=plan.user_field, id=plan.id_field, time=plan.time_field, published=plan.published_field
    )
    events.time_unit = events.published_unit = None
    spec: Any = SimpleNamespace(events=events)
    return View(spec, schema.whole, [field.name for field in plan.fields])


def _stands(value: Any, kind: str, is_item: bool) -> bool:
    match value:
        case str():
            is_text = kind == "string" or isinstance(value, TextOrNumber)
            return is_text and len(value.encode()) <= 0xFFFF and not (is_item and value == "")
        case float():
            return math.isfinite(value) and kind == "float"
        case int():
            return LEAST < value < 2**63
    return value is None
