"""Judging events in compiled code and in numpy: the same outcomes and the same remembered bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import event as seen_by_hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_worlds import QUICK
from tests.trying import T0, H, M, S, plan_of
from user_state.codec.seen import BYTES_AN_ID, FORMAT, decode_seen, encode_seen
from user_state.core.admission import Outcome, admit
from user_state.core.events import I64, Events
from user_state.core.plan import Plan
from user_state.core.pool import StringPool
from user_state.errors import CodecError
from user_state.state.admission import Admitted, PackedAdmission

APPLIED, DUPLICATE, TOO_LATE = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.TOO_LATE
PLAN = replace(plan_of(), seen_ids_cap=6)
"""A lateness of an hour, a skew of a minute, and fewer ids than a spec may ask for."""

Row = tuple[int, int, int, int]
"""User, hash of the id, event time and publish time."""


@dataclass
class Times:
    clock_us: I64
    horizon_us: I64


class Both:
    """Users' clocks, horizons and ids, judged in both ways; both must come to the same."""

    def __init__(self, users: int, plan: Plan = PLAN) -> None:
        self.times = Times(np.zeros(users, np.int64), np.zeros(users, np.int64))
        self.seen: list[bytes | None] = [None] * users
        self.plan = plan
        self.compiled = PackedAdmission(plan)

    def judge(self, *rows: Row) -> list[Outcome]:
        """Judge a batch; what comes of it is what the next batch finds."""
        events = batch(len(self.seen), rows)
        found, expected = self.natively(events), admit(self.plan, self.times, decode_seen(self.seen), events)
        assert found.refused == {}
        np.testing.assert_array_equal(found.outcome, expected.outcome)
        np.testing.assert_array_equal(found.horizon_us, expected.horizon_us)
        expected_seen = encode_seen(expected.seen, len(self.seen))
        assert (found.seen, found.shortened) == (expected_seen, expected.shortened)
        applied = found.outcome == APPLIED
        clock_us = self.times.clock_us.copy()
        np.maximum.at(clock_us, events.user[applied], events.published_us[applied])
        self.times, self.seen = Times(clock_us, found.horizon_us), list(found.seen)
        return [Outcome(outcome) for outcome in found.outcome.tolist()]

    def natively(self, events: Events) -> Admitted:
        return self.compiled.admit(self.times, self.seen, events)


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
def test_damaged_ids_are_taken_for_none_and_cost_nobody_else_theirs(damaged):
    both = Both(users=3)
    both.judge((0, 1, T0, T0), (2, 1, T0, T0))
    both.seen[1] = damaged
    found = both.natively(batch(3, [(0, 1, T0, T0), (1, 1, T0, T0), (2, 2, T0, T0)]))
    assert found.outcome.tolist() == [DUPLICATE, APPLIED, APPLIED]
    assert set(found.refused) == {1}
    assert found.refused[1].startswith("invalid remembered ids: ")
    assert found.refused[1].endswith(f"({len(damaged)} bytes beginning {damaged[:1].hex()!r})")


@given(st.binary(max_size=60))
@settings(QUICK, max_examples=100)
def test_any_bytes_are_ids_or_are_refused(ids: bytes) -> None:
    both = Both(users=1)
    both.seen = [ids]
    events = batch(1, [(0, 0, T0, T0)])
    try:
        decode_seen([ids])
    except CodecError:
        assert set(both.natively(events).refused) == {0}
    else:
        both.judge((0, 0, T0, T0))


@pytest.mark.parametrize("time_us", [-1, 1 << 62])
def test_times_that_no_record_holds_are_a_mistake_of_the_caller(time_us):
    both = Both(users=1)
    with pytest.raises(ValueError, match="expected times from 0 to 2"):
        both.natively(batch(1, [(0, 1, time_us, time_us)]))
