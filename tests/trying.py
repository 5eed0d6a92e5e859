"""Specs, events and records in few words, for tests of the core, the codec and what lies above them.

Events are those of `tried.avsc`: a field of every kind. A spec has a lateness of an hour, a skew of a minute and
whatever a test asks for.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.packed import Records, apply, features, from_events
from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.spec.event_schema import EventSchema, load_event_schema
from user_state.state.event_batch import EventBatch
from user_state.state.events import EventRow, Events

S = 1_000_000
M, H, D = 60 * S, 3600 * S, 86_400 * S
T0 = 19_000 * D
"""Midnight, so that tiles of every width have an edge here."""
_IDS = itertools.count()


def spec_of(**parts: Any) -> LoadedSpec:
    """Return the spec with these parts, by way of YAML text; counts everything if no output is asked for."""
    return _parsed(text_of(**parts))


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> LoadedSpec:
    return parse_spec(text, beside=Path(__file__).parent)


def text_of(**parts: Any) -> str:
    """Return the text of such a spec."""
    settings: dict[str, Any] = {
        "name": "tried",
        "events": {"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "allowed_lateness": "1h",
        "max_clock_skew": "1m",
        "retention": "400d",
    }
    if not {"features", "sequences", "embeddings"} & parts.keys():
        settings["features"] = {"all": {"aggregate": "count", "windows": ["1h"]}}
    return yaml.dump({**settings, **parts}, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


def plan_of(**parts: Any) -> Plan:
    """Return the compiled spec with these parts."""
    return compile_plan(spec_of(**parts))


@functools.cache
def schema() -> EventSchema:
    """Return the schema of the events."""
    return load_event_schema("tried.avsc", Path(__file__).parent)


def event(time_us: int = T0, user: str = "u", event_id: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a view by `user`, with an id of its own unless one is given."""
    made = {"event_id": f"e{next(_IDS)}" if event_id is None else event_id, "user_id": user, "event_time": time_us}
    blank = {"published_at": None, "action": "view", "item_id": None, "value": None, "amount": None, "bought": None}
    return {**made, **blank, **fields}


def row(plan: Plan, made: Mapping[str, Any], published_us: int | None = None) -> EventRow:
    """Return the event's row, published when it happened unless said otherwise."""
    return EventDecoder(plan, schema()).row(made, published_us)


def batch(plan: Plan, events: Iterable[Mapping[str, Any]], published_us: Sequence[int] | None = None) -> Events:
    """Return events as a batch; `published_us` one for each, or all published when they happened."""
    listed = list(events)
    times = [None] * len(listed) if published_us is None else published_us
    decoder = EventDecoder(plan, schema())
    return Events.from_rows(plan, [decoder.row(e, p) for e, p in zip(listed, times, strict=True)])


def record_of(plan: Plan, events: Iterable[Mapping[str, Any]], published_us: Sequence[int] | None = None) -> Records:
    """Return the records of the events' users, in order of their first event, made of these events alone."""
    return from_events(plan, batch(plan, events, published_us))


def fold_all(plan: Plan, batches: Iterable[Iterable[Mapping[str, Any]]]) -> Records:
    """Return one user's record, folded batch by batch."""
    records = Records.empty(plan, 1)
    for events in batches:
        records = apply(plan, records, batch(plan, events))
    return records


def value_of(plan: Plan, records: Records, name: str, at_us: int, user: int = 0) -> float:
    """Return one scalar output of one user, in single precision."""
    column = [output.name for output in plan.scalars].index(name)
    return float(features(plan, records, at_us).values[user, column])


def same_record(plan: Plan, a: Records, b: Records, values: bool = True) -> None:
    """Assert that two records say the same: exactly of times, logs and lists, to a millionth of numbers.

    `values` False leaves out all numbers, for events whose values cancel one another.
    """
    for name in ("clock_us", "last_event_us", "horizon_us", "applied"):
        np.testing.assert_array_equal(getattr(a.heads, name), getattr(b.heads, name), name)
    for log in range(len(plan.logs)):
        of_a, of_b = a.histories, b.histories
        for column in ("user", "time_us", "tie"):
            np.testing.assert_array_equal(getattr(of_a.logs[log], column), getattr(of_b.logs[log], column))
        for field, mine, theirs in zip(
            plan.logs[log].fields, of_a.logs[log].columns, of_b.logs[log].columns, strict=True
        ):
            if plan.fields[field].value_kind == "string":
                assert of_a.pool.objects[mine].tolist() == of_b.pool.objects[theirs].tolist()
            else:
                np.testing.assert_array_equal(mine, theirs)
    if not values or plan.item_tables:
        return
    clock_us = int(a.heads.clock_us.max(initial=0))
    for at_us in (clock_us, clock_us + H, clock_us + 9 * D):
        one, other = features(plan, a, at_us), features(plan, b, at_us)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-6)
        for name, array in one.arrays.items():
            np.testing.assert_allclose(array, other.arrays[name], rtol=1e-6)
        for output in plan.embeddings:
            near = 1e-6 if plan.vectors[output.vectors].component_bytes == 4 else 1e-3
            theirs = other.embeddings[output.name]
            np.testing.assert_allclose(
                one.embeddings[output.name], theirs, rtol=0, atol=near * abs(theirs).max(initial=1.0)
            )
        for name, padded in one.sequences.items():
            for user in range(len(a)):
                same_entries(padded.of_user(user), other.sequences[name].of_user(user))


def same_entries(one: Any, other: Any) -> None:
    """Assert that two lists of one user are the same, numbers of tables to a millionth."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        for column in one:
            same_entries(one[column], other[column])
    else:
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            if isinstance(mine, float):
                np.testing.assert_allclose(mine, theirs, rtol=1e-6)
            else:
                assert mine == theirs


def batch_of(plan: Plan, events: Sequence[dict[str, Any]], messages: Sequence[Message] | None = None) -> EventBatch:
    """A batch of events and the messages that they came from, of files with empty bodies if not given."""
    if messages is None:
        messages = [Message(b"", {}, None, None, "somewhere") for _ in events]
    whole = [message._replace(event=one) for message, one in zip(messages, events, strict=True)]
    decoded = EventDecoder(plan, schema()).batch(whole)
    assert decoded.refused == []
    return decoded.batch
