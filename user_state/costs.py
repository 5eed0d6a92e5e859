"""What a user costs in the store, in bytes: real records of made-up users, weighed.

Nothing is estimated by formula but what Redis adds to a value: each activity's events are folded as anybody's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.plan.compile import compile_plan
from user_state.plan.conditions import asked_of
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import Field, KeyedDecay, Vectors
from user_state.spec import LoadedSpec
from user_state.state.events import EventRow, Events
from user_state.state.records import PackedRecords
from user_state.state.remembered_ids import BYTES_AN_ID, HEAD_BYTES

KEY_OVERHEAD = 56
"""Bytes Redis spends on a key of some twenty characters, its entry and rounding up, beside the value; measured."""
DAY_US = 86_400_000_000
NOW_US = 1_800_000_000_000_000
MOST_DAYS = 90
SESSION_US = 900_000_000
LISTED_VALUES = 2
"""Of an array, in the mean."""
_ITEMS = 5_000


@dataclass(frozen=True)
class Activity:
    """How much a user does: sessions of so many events a day, each within a quarter of an hour, for so many days."""

    label: str
    sessions_a_day: float
    events_a_session: int
    days: int

    @property
    def events_a_day(self) -> float:
        """Mean events a day."""
        return self.sessions_a_day * self.events_a_session

    def times_us(self, now_us: int, rng: random.Random) -> list[int]:
        """Return the times of the user's events until `now_us`, microseconds UTC."""
        starts = [rng.random() * self.days * DAY_US for _ in range(round(self.sessions_a_day * self.days))]
        return [
            now_us - int(start + rng.random() * SESSION_US) for start in starts for _ in range(self.events_a_session)
        ]


ACTIVITIES = (
    Activity("light", 1, 5, 1),
    Activity("typical", 1, 10, 30),
    Activity("heavy", 24, 20, 30),
)


@dataclass(frozen=True)
class Cost:
    """Bytes of one user's values.

    Attributes:
        record: the record.
        seen: the remembered ids of the events of the last `allowed_lateness`.
    """

    record: int
    seen: int

    @property
    def record_in_redis(self) -> int:
        """Bytes of the record's key and value in the server's memory."""
        return self.record + KEY_OVERHEAD

    @property
    def seen_in_redis(self) -> int:
        """Bytes of the remembered ids' key and value in the server's memory."""
        return self.seen + KEY_OVERHEAD


def cost(loaded: LoadedSpec, activity: Activity, seed: int = 0) -> Cost:
    """Return what a user of this activity costs."""
    plan = compile_plan(loaded)
    events = made_up(plan, activity, seed)
    return Cost(_weigh(plan, events), _seen_bytes(plan, events))


def added_bytes(loaded: LoadedSpec, activity: Activity) -> dict[str, int]:
    """Return what each feature, sequence and embedding adds to the record of a user of this activity.

    What two share is counted for neither: without one of them the other would still need it.
    """
    plan = compile_plan(loaded)
    events = made_up(plan, activity)
    whole = _weigh(plan, events)
    added = {}
    for section in ("features", "sequences", "embeddings"):
        declared: Mapping[str, Any] = getattr(loaded.spec, section)
        for name in declared:
            rest = {other: entry for other, entry in declared.items() if other != name}
            without = LoadedSpec(loaded.spec.model_copy(update={section: rest}), loaded.schema, loaded.path)
            added[name] = whole - _weigh(compile_plan(without), events)
    return added


def made_up(plan: Plan, activity: Activity, seed: int = 0, now_us: int = NOW_US) -> list[dict[str, Any]]:
    """Return a user's events as the fields that the plan reads, by name and kind; the time under the empty name."""
    rng = random.Random(seed)
    choices = [_asked(plan, index) for index in range(len(plan.fields))]
    events = []
    for number, time_us in enumerate(activity.times_us(now_us, rng)):
        event: dict[str, Any] = {"": time_us}
        for field, asked in zip(plan.fields, choices, strict=True):
            event[_key(field)] = time_us if field.name == plan.time_field else _made_up(field, asked, number, rng)
        events.append(event)
    return events


def rows(plan: Plan, events: Sequence[Mapping[str, Any]], user: str = "user") -> list[EventRow]:
    """Return made-up events as rows of a plan, published as they happened, with ids spread over 64 bits."""
    return [
        (
            user,
            (number * 0x9E3779B97F4A7C15) & (2**64 - 1),
            event[""],
            event[""],
            *(event[_key(field)] for field in plan.fields),
        )
        for number, event in enumerate(events)
    ]


def _weigh(plan: Plan, events: Sequence[Mapping[str, Any]]) -> int:
    records = PackedRecords(plan)
    (record,), _ = records.fold([None], Events.from_rows(plan, rows(plan, events)), np.zeros(1, np.int64), [bytes(8)])
    return 0 if record is None else len(record)


def _seen_bytes(plan: Plan, events: Sequence[Mapping[str, Any]]) -> int:
    clock_us = max((event[""] for event in events), default=0)
    remembered = sum(event[""] >= clock_us - plan.allowed_lateness_us for event in events)
    held: int = min(remembered, plan.seen_ids_cap)
    return HEAD_BYTES + BYTES_AN_ID * held


def _asked(plan: Plan, index: int) -> list[Any]:
    """Return the values that some filter or weight asks of a field: events that nobody wants cost nothing."""
    conditions = [condition for accepting in plan.filters for condition in accepting.conditions]
    asked = [value for condition in conditions for value in asked_of(condition, index)]
    weighing: list[Vectors | KeyedDecay] = [*plan.vectors, *plan.keyed_decays]
    asked += [key for w in weighing if w.weight_field == index and w.weights for key in w.weights]
    distinct = sorted(set(asked), key=asked.index)
    # A number may be written otherwise than its field has it.
    return [float(value) for value in distinct] if plan.fields[index].kind == "float" else distinct


def _key(field: Field) -> str:
    """Return what an event has a field under: one may be read as a number and as the text of an id."""
    return f"{field.name} {field.kind}"


def _made_up(field: Field, asked: Sequence[Any], number: int, rng: random.Random) -> Any:
    if not field.is_list:
        return _value(field.name, field.kind, asked, number, rng)
    return [_value(field.name, field.value_kind, asked, number, rng) for _ in range(rng.randint(0, 2 * LISTED_VALUES))]


def _value(name: str, kind: str, asked: Sequence[Any], number: int, rng: random.Random) -> Any:
    if asked:
        # The first one asked for leads, as views lead in any feed.
        return asked[0] if rng.random() < 0.7 else rng.choice(asked)
    match kind:
        case "string":
            return f"{name}_{int(_ITEMS * rng.random() ** 3)}"
        case "float":
            return rng.random() * 60
        case "bool":
            return rng.random() < 0.5
        case _:
            return number
