"""What a value has to be to stand in an event; the compiled decoder holds each against it, and has the words.

The text of a user and of an event id (`user_state/id_text.py`) has 1 to MAX_ID_BYTES bytes of UTF-8, other texts have
at most MAX_TEXT_BYTES, and what names items is not empty. Times are from FIRST_TIME_US up to END_TIME_US. Numbers are
finite, whole ones above the least of 64 bits, which stands for null.
"""

from __future__ import annotations

from typing import NamedTuple

from user_state.plan.plan import Plan

MAX_ID_BYTES = 1024
MAX_TEXT_BYTES = 0xFFFF
FIRST_TIME_US = 31_536_000_000_000
"""1971-01-01: tiles start at whole seconds, and second 0 means lifetime."""
END_TIME_US = 4_102_444_800_000_000
"""2100-01-01: seconds must fit 32 bits, and anything later is nonsense."""


class Limits(NamedTuple):
    """Lengths in bytes of UTF-8; units in nanoseconds, 0 for times that are ISO 8601 text."""

    id_bytes: int
    text_bytes: int
    first_us: int
    end_us: int
    time_unit_ns: int
    published_unit_ns: int


def limits_of(plan: Plan) -> Limits:
    """Return what values of the plan's events are held against."""
    return Limits(MAX_ID_BYTES, MAX_TEXT_BYTES, FIRST_TIME_US, END_TIME_US, plan.time_unit_ns, plan.published_unit_ns)


def check_names(plan: Plan) -> list[str]:
    """Return for each of `plan.fields` what it is held against: text, item, float, or int.

    A time that is a value stays in the unit of its field: only what `events.time` and `published` name is converted.
    """
    return [
        "item" if field.name in plan.item_fields and field.value_kind == "string" else _OF_KIND[field.value_kind]
        for field in plan.fields
    ]


_OF_KIND = {"string": "text", "float": "float", "int": "int", "bool": "int"}
