"""What an event is to a plan, by fastavro and by rules that are written down here a second time.

reason, or a row (user, xxh64 of the id, event time, publish time, *fields)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import xxhash

from user_state.plan.plan import Plan
from user_state.spec.event_schema import EventSchema

FIRST_US, END_US = 31_536_000_000_000, 4_102_444_800_000_000
"""1971 and 2100."""
LEAST = -(2**63)


def row_or_reason(plan: Plan, schema: EventSchema, event: Mapping[str, Any], publish_us: int | None) -> Any:
    """The row that an event of `schema` is in a plan, or `invalid`."""
    user, event_id, time = (event[name] for name in (plan.user_field, plan.id_field, plan.time_field))
    published = None if plan.published_field is None else event[plan.published_field]
    if not (1 <= len(user.encode()) <= 1024 and 1 <= len(event_id.encode()) <= 1024):
        return "invalid"
    if not FIRST_US <= time * plan.time_unit_us < END_US:
        return "invalid"
    if publish_us is None:
        publish_us = time * plan.time_unit_us
        if published is not None:
            publish_us = published * plan.published_unit_us
            if not FIRST_US <= publish_us < END_US:
                return "invalid"
    row = [user, xxhash.xxh64_intdigest(event_id.encode()), time * plan.time_unit_us, publish_us]
    for field in plan.fields:
        value = event[field.name]
        if not _stands(value, is_item=field.name in plan.item_fields):
            return "invalid"
        row.append(value)
    return tuple(row)


def _stands(value: Any, is_item: bool) -> bool:
    match value:
        case str():
            return len(value.encode()) <= 0xFFFF and not (is_item and value == "")
        case float():
            return math.isfinite(value)
        case int():
            return LEAST < value < 2**63
    return value is None
