"""What a user costs in the store, in bytes: real records of made-up users, encoded and weighed.

Nothing is estimated by formula: each profile's events go through the same `apply` and codec as anybody's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from user_state.codec.record import encode_records
from user_state.codec.seen import BYTES_AN_ID
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan
from user_state.core.records import Records, apply

KEY_OVERHEAD = 90
"""Bytes Redis spends on a key, its entry, its expiry and rounding up, beside key and value; measured."""
DAY_US = 86_400_000_000
_NOW_US = 1_800_000_000_000_000
_ITEMS = 5_000


@dataclass(frozen=True)
class ExpectedBytes:
    """Bytes a user in the store, for three activities, remembered ids apart."""

    light: int
    typical: int
    heavy: int
    bytes_an_event: int


def expected_bytes(plan: Plan) -> ExpectedBytes:
    """Weigh the records of a light, a typical and a heavy user of the plan."""
    days = _days(plan)
    rng = random.Random(0)
    light = [_NOW_US - rng.randrange(DAY_US) for _ in range(5)]
    typical = []
    for day in range(days):
        for session in rng.sample(range(16), 3):
            start = _NOW_US - day * DAY_US - session * 3_600_000_000
            typical += [start - rng.randrange(900_000_000) for _ in range(10)]
    heavy = [_NOW_US - int(days * DAY_US * rng.random() ** 3) for _ in range(20_000)]
    return ExpectedBytes(
        light=_weigh(plan, light, rng),
        typical=_weigh(plan, typical, rng),
        heavy=_weigh(plan, heavy, rng),
        bytes_an_event=BYTES_AN_ID,
    )


def _days(plan: Plan) -> int:
    longest_s = max((level.reach_s for level in plan.axis.levels), default=7 * 86_400)
    return max(1, min(90, longest_s // 86_400))


def _weigh(plan: Plan, times_us: list[int], rng: random.Random) -> int:
    rows = [_row(plan, number, time_us, rng) for number, time_us in enumerate(times_us)]
    records = apply(plan, Records.empty(plan, 1), Events.from_rows(plan, rows))
    return KEY_OVERHEAD + len(encode_records(records, plan.layout, [bytes(8)])[0])


def _row(plan: Plan, number: int, time_us: int, rng: random.Random) -> EventRow:
    values = [_value(plan, index, number, time_us, rng) for index in range(len(plan.fields))]
    return ("user", (number * 0x9E3779B97F4A7C15) & (2**64 - 1), time_us, _NOW_US, *values)


def _value(plan: Plan, index: int, number: int, time_us: int, rng: random.Random) -> Any:
    field = plan.fields[index]
    if field.name == plan.time_field:
        return time_us
    # A value that some filter or weight asks for, where there is one: events that nobody wants cost nothing.
    conditions = [condition for accepting in plan.filters for condition in accepting.conditions]
    asked = [value for f, values in conditions if f == index for value in values]
    asked += [key for v in plan.vectors if v.weight_field == index and v.weights for key in v.weights]
    if asked:
        # The first one asked for leads, as views lead in any feed.
        choices = sorted(set(asked), key=asked.index)
        return choices[0] if rng.random() < 0.7 else rng.choice(choices)
    match field.kind:
        case "string":
            return f"{field.name}_{int(_ITEMS * rng.random() ** 3)}"
        case "float":
            return rng.random() * 60
        case "bool":
            return rng.random() < 0.5
        case _:
            return number
