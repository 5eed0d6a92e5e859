"""Worlds of history: what a backfill makes of messages, and what records say, for tests of the backfill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from tests.families.test_against_oracle import TABLE, assert_row_equals_oracle
from tests.packed import Records, features
from tests.random_worlds import World, reading_times
from tests.trying import H
from user_state import oracle
from user_state.backfill.fold import Made, ShardFold
from user_state.backfill.judge import Judge
from user_state.events.arrow_events import hashes_of
from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.history.event_source import Found
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.events import EventRow, Events

MESSAGE = Message(b"", {}, None, None, "a file")


def forgetting(world: World, data: st.DataObject) -> LoadedSpec:
    """Return the world's spec, perhaps with a retention so short that users are forgotten between their events."""
    shortest_us = world.spec.spec.allowed_lateness
    retention_us = data.draw(
        st.sampled_from([world.spec.spec.retention, shortest_us, shortest_us + H, 2 * shortest_us])
    )
    return replace(world.spec, spec=world.spec.spec.model_copy(update={"retention": retention_us}))


def row_of(loaded: LoadedSpec, plan: Plan, arrival: oracle.Arrival) -> EventRow:
    """Return an arrival as a row."""
    return EventDecoder(plan, loaded.schema).row(arrival.event or {}, arrival.published_us)


def judged(
    loaded: LoadedSpec, plan: Plan, arrivals: Sequence[oracle.Arrival], now_us: int, until_us: int | None = None
) -> Events:
    """Return the events that a backfill folds."""
    events = Events.from_rows(plan, [row_of(loaded, plan, one) for one in arrivals])
    hashes = hashes_of(pa.array(events.users, pa.large_string()))[events.user]
    found = Found(events, message=lambda _: MESSAGE)
    return events.take(Judge(plan, now_us, until_us).judge(found, hashes).kept)


def records_of(made: Iterable[Made]) -> dict[str, tuple[bytes, bytes, int]]:
    """Return (record, remembered ids, last event) by user, each there once."""
    held: dict[str, tuple[bytes, bytes, int]] = {}
    for some in made:
        assert not held.keys() & set(some.users)
        held |= dict(
            zip(some.users, zip(some.records, some.seen, some.last_event_us.tolist(), strict=True), strict=True)
        )
    return held


def backfilled(plan: Plan, events: Events, now_us: int, token: int = 7) -> dict[str, tuple[bytes, bytes, int]]:
    """Return the records of a backfill, of users who are not forgotten by now."""
    made = records_of(ShardFold(plan, token).fold(events)) if len(events) else {}
    return {user: one for user, one in made.items() if one[2] + plan.retention_us > now_us}


def assert_say(
    loaded: LoadedSpec,
    plan: Plan,
    records: Mapping[str, bytes | None],
    applied: Mapping[str, Sequence[oracle.AppliedEvent]],
) -> None:
    """Assert that there are records of the users with applied events, and say what brute force says of these."""
    assert {user for user, record in records.items() if record is not None} == set(applied)
    for user, events in applied.items():
        held = Records(plan, [records[user]])
        assert int(held.heads.applied[0]) == len(events)
        clock_us, last_us = max(one.published_us for one in events), max(one.time_us for one in events)
        for at_us in reading_times(loaded, clock_us, last_us):
            found = features(plan, held, at_us, {"shelf": TABLE})
            assert_row_equals_oracle(loaded, plan, found, 0, events, at_us)


def pieces(events: Events, sizes: Sequence[int]) -> Iterator[Events]:
    """Yield consecutive events, so many at a time, the last size again and again."""
    begin = number = 0
    while begin < len(events):
        size = sizes[min(number, len(sizes) - 1)]
        yield events.take(np.arange(begin, min(begin + size, len(events))))
        begin, number = begin + size, number + 1
