"""Judging batches of events: as one by one by plain rules, and by remembered ids as they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import event as seen_by_hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judging import Judged, judged
from tests.random_worlds import QUICK
from tests.trying import T0, H, M, S, plan_of
from user_state.plan.plan import Plan
from user_state.state.events import I64, Events
from user_state.state.outcome import Outcome
from user_state.state.remembered_ids import BYTES_AN_ID, FORMAT
from user_state.state.string_dictionary import StringPool

APPLIED, DUPLICATE, TOO_LATE = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.TOO_LATE
PLAN = replace(plan_of(), seen_ids_cap=6)
"""A lateness of an hour, a skew of a minute, and fewer ids than a spec may ask for."""

Row = tuple[int, int, int, int]
"""User, hash of the id, event time and publish time."""


@dataclass
class Times:
    clock_us: I64
    horizon_us: I64


@dataclass
class Known:
    """What plain rules know of a user: the clock, the horizon, and the second of each remembered id."""

    clock_us: int = 0
    horizon_us: int = 0
    seconds: dict[int, int] = field(default_factory=dict)


class Both:
    """Users' clocks, horizons and ids, judged as they are stored and by plain rules; both must come to the same."""

    def __init__(self, users: int, plan: Plan = PLAN) -> None:
        self.times = Times(np.zeros(users, np.int64), np.zeros(users, np.int64))
        self.seen: list[bytes | None] = [None] * users
        self.plan = plan
        self.known = [Known() for _ in range(users)]

    def judge(self, *rows: Row) -> list[Outcome]:
        """Judge a batch; what comes of it is what the next batch finds."""
        events = batch(len(self.seen), rows)
        found, expected = self.natively(events), [self.plainly(*row) for row in rows]
        assert found.refused == {}
        assert [Outcome(outcome) for outcome in found.outcome.tolist()] == expected
        for user, known in enumerate(self.known):
            self.forget(known)
            assert found.horizon_us[user] == known.horizon_us
            ids, seconds = taken_apart(found.seen[user])
            assert dict(zip(ids, seconds, strict=True)) == known.seconds
        self.times = Times(np.array([known.clock_us for known in self.known], np.int64), found.horizon_us)
        self.seen = list(found.seen)
        return expected

    def plainly(self, user: int, id_hash: int, time_us: int, published_us: int) -> Outcome:
        """Judge one event, by the rules as docs/design/layers.md has them."""
        known, lateness_us = self.known[user], self.plan.allowed_lateness_us
        if time_us > published_us + self.plan.max_clock_skew_us:
            return Outcome.FROM_FUTURE
        if time_us < published_us - lateness_us:
            return TOO_LATE
        new = id_hash not in known.seconds
        clock_us = max(known.clock_us, published_us) if new and time_us >= known.horizon_us else known.clock_us
        if time_us < max(clock_us - lateness_us, known.horizon_us):
            return TOO_LATE
        if not new:
            return DUPLICATE
        known.clock_us, known.seconds[id_hash] = clock_us, time_us // S
        return APPLIED

    def forget(self, known: Known) -> None:
        """Forget the ids of events that would be too late, and the oldest seconds of more than the cap."""
        known.horizon_us = max(known.clock_us - self.plan.allowed_lateness_us, known.horizon_us, 0)
        kept = {one: second for one, second in known.seconds.items() if second >= known.horizon_us // S}
        if len(kept) > self.plan.seen_ids_cap:
            newest_forgotten = sorted(kept.values())[-self.plan.seen_ids_cap - 1]
            kept = {one: second for one, second in kept.items() if second > newest_forgotten}
            known.horizon_us = max(known.horizon_us, (newest_forgotten + 1) * S)
        known.seconds = kept

    def natively(self, events: Events) -> Judged:
        return judged(self.plan, self.times, self.seen, events)


def taken_apart(seen: bytes) -> tuple[list[int], list[int]]:
    """Return the hashes and seconds of remembered ids: a byte, all hashes, all seconds."""
    count = (len(seen) - 1) // BYTES_AN_ID
    hashes = np.frombuffer(seen, "<u8", count, 1) if count else np.zeros(0, np.uint64)
    return hashes.tolist(), np.frombuffer(seen, "<u4", count, 1 + 8 * count).tolist() if count else []


def batch(users: int, rows: Sequence[Row]) -> Events:
    user, id_hash, time_us, published_us = np.array(rows, np.int64).reshape(-1, 4).T
    names = [f"u{number}" for number in range(users)]
    return Events(names, user, id_hash.astype(np.uint64), time_us, published_us, (), StringPool())


# Few users, ids and times, so that they meet; times lie around the edges of lateness and skew.
OFFSETS = st.sampled_from([0, 1, -1, S, M, M + 1, -M, -M - 1, H, H + 1, H - 1, H + S, 2 * H, -H]) | st.integers(
    0, 3 * H
)
ROWS = st.tuples(st.integers(0, 2), st.integers(0, 15), OFFSETS, OFFSETS).map(
    lambda row: (row[0], row[1], T0 + row[2], T0 + row[2] + row[3] % (H + 2 * S))
)


@pytest.mark.slow
@given(st.lists(st.lists(ROWS, max_size=25), min_size=1, max_size=5))
@settings(QUICK, max_examples=300)
def test_any_batches(batches: list[list[Row]]) -> None:
    both = Both(users=3)
    for rows in batches:
        for outcome in set(both.judge(*rows)):
            seen_by_hypothesis(outcome.name)


@given(st.lists(st.tuples(ROWS, st.integers(0, 8)), min_size=1, max_size=40))
@settings(QUICK, max_examples=100)
def test_events_of_many_ids_reach_the_cap_again_and_again(rows: list[tuple[Row, int]]) -> None:
    both = Both(users=2)
    numbered = [(row[0] % 2, number, row[2], row[2]) for number, (row, _) in enumerate(rows)]
    for begin in range(0, len(numbered), 9):
        both.judge(*numbered[begin : begin + 9])
        assert all(len(ids) <= 1 + PLAN.seen_ids_cap * BYTES_AN_ID for ids in both.seen)


def test_every_outcome_comes_up_and_the_cap_is_reached():
    both = Both(users=1)
    rows = [(0, number, T0 + number * S, T0 + number * S) for number in range(7)]
    assert both.judge(*rows, rows[3], (0, 9, T0 + H, T0)) == [APPLIED] * 7 + [DUPLICATE, Outcome.FROM_FUTURE]
    assert both.times.horizon_us.tolist() == [T0 + S]
    assert both.judge(rows[0], rows[1], (0, 10, T0 - M, T0 + H)) == [TOO_LATE, DUPLICATE, TOO_LATE]


def test_ids_that_fill_one_place_of_the_table_are_told_apart():
    """They agree in their lower halves, so that a table by those would have them all in one."""
    both = Both(users=1, plan=replace(PLAN, seen_ids_cap=1000))
    rows = [(0, number << 32, T0, T0) for number in range(100)]
    assert both.judge(*rows) == [APPLIED] * 100
    assert both.judge(*rows, (0, 100 << 32, T0, T0)) == [DUPLICATE] * 100 + [APPLIED]


def test_ids_of_users_without_events_stay_in_time():
    both = Both(users=2)
    both.judge((0, 1, T0, T0), (1, 1, T0, T0))
    before = both.seen[1]
    assert both.judge((0, 2, T0 + 3 * H, T0 + 3 * H)) == [APPLIED]
    assert both.seen[1] == before


def test_no_events_and_no_users():
    assert Both(users=0).judge() == Both(users=2).judge() == []


@pytest.mark.parametrize("damaged", [b"", b"\2", b"\1 ", FORMAT + bytes(11), b"\0" + bytes(12)])
def test_damaged_ids_set_their_users_events_aside_and_cost_nobody_else_theirs(damaged):
    both = Both(users=3)
    both.judge((0, 1, T0, T0), (2, 1, T0, T0))
    both.seen[1] = damaged
    found = both.natively(batch(3, [(0, 1, T0, T0), (1, 1, T0, T0), (2, 2, T0, T0)]))
    assert found.outcome.tolist() == [DUPLICATE, Outcome.BAD_RECORD, APPLIED]
    assert set(found.refused) == {1}
    assert found.refused[1].startswith("invalid remembered ids: ")
    assert found.refused[1].endswith(f"({len(damaged)} bytes beginning {damaged[:1].hex()!r})")


@given(st.binary(max_size=60))
@settings(QUICK, max_examples=100)
def test_any_bytes_are_ids_or_are_refused(ids: bytes) -> None:
    both = Both(users=1)
    both.seen = [ids]
    events = batch(1, [(0, 0, T0, T0)])
    sound = ids[:1] == FORMAT and len(ids) % BYTES_AN_ID == 1
    assert set(both.natively(events).refused) == (set() if sound else {0})


@pytest.mark.parametrize("time_us", [-1, 1 << 61])
def test_times_that_no_record_holds_are_a_mistake_of_the_caller(time_us):
    both = Both(users=1)
    with pytest.raises(ValueError, match="expected times from 0 to 2"):
        both.natively(batch(1, [(0, 1, time_us, time_us)]))
