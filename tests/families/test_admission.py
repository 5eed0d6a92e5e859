"""Admission: the exact edges of lateness and skew, duplicates, and the cap that shortens the horizon."""

import numpy as np
import pytest

from tests.judging import judged
from tests.packed import Records, apply
from tests.trying import T0, D, H, M, S, batch, event, plan_of
from user_state.state.events import Events
from user_state.state.outcome import Outcome
from user_state.state.remembered_ids import BYTES_AN_ID

APPLIED, DUPLICATE, TOO_LATE, FROM_FUTURE = (
    Outcome.APPLIED,
    Outcome.DUPLICATE,
    Outcome.TOO_LATE,
    Outcome.FROM_FUTURE,
)
PLAN = plan_of()
"""A lateness of an hour, a skew of a minute."""


def ids_of(seen: bytes | None) -> list[int]:
    """Return the hashes among remembered ids: a byte, then all hashes, then all seconds."""
    count = 0 if seen is None else (len(seen) - 1) // BYTES_AN_ID
    return np.frombuffer(seen or b"", "<u8", count, 1).tolist() if count else []


class Judge:
    """Judges and folds batch after batch of one user, as a pipeline does."""

    def __init__(self, plan=PLAN):
        self.plan = plan
        self.records = Records.empty(plan, 1)
        self.seen: bytes | None = None
        self.shortened = 0
        self.applied_ids: list[str] = []

    @property
    def remembered(self) -> int:
        """How many ids are remembered."""
        return len(ids_of(self.seen))

    def __call__(self, *events, published_us=None):
        folded = batch(self.plan, events, published_us)
        return self.judge(folded, [e["event_id"] for e in events])

    def judge(self, folded: Events, ids=()):
        verdict = judged(self.plan, self.records.heads, [self.seen], folded)
        chosen = verdict.outcome == APPLIED
        self.records = apply(self.plan, self.records, folded.take(chosen), verdict.horizon_us)
        (self.seen,) = verdict.seen
        self.shortened += verdict.shortened
        self.applied_ids += [i for i, one in zip(ids, chosen, strict=False) if one]
        return [Outcome(o) for o in verdict.outcome.tolist()]


@pytest.mark.parametrize(
    ("time_us", "outcome"),
    [(T0 - H, APPLIED), (T0 - H - 1, TOO_LATE), (T0 + M, APPLIED), (T0 + M + 1, FROM_FUTURE)],
)
def test_an_events_own_publish_time_bounds_its_time_to_the_microsecond(time_us, outcome):
    assert Judge()(event(time_us), published_us=[T0]) == [outcome]


@pytest.mark.parametrize(("time_us", "outcome"), [(T0 - H, APPLIED), (T0 - H - 1, TOO_LATE)])
@pytest.mark.parametrize("same_batch", [True, False])
def test_the_users_clock_bounds_lateness_to_the_microsecond(time_us, outcome, same_batch):
    """The second event was published in time, before the first one moved the clock."""
    events, published_us = [event(T0), event(time_us)], [T0, T0 - 1]
    judge = Judge()
    if same_batch:
        assert judge(*events, published_us=published_us) == [APPLIED, outcome]
    else:
        assert judge(events[0], published_us=[T0]) + judge(events[1], published_us=[T0 - 1]) == [APPLIED, outcome]


def test_what_came_before_the_clock_moved_is_judged_by_the_clock_then():
    assert Judge()(event(T0 - H), event(T0), event(T0 - H - 1), published_us=[T0 - H, T0, T0 - 2]) == [
        APPLIED,
        APPLIED,
        TOO_LATE,
    ]


@pytest.mark.parametrize(
    ("time_us", "published_us", "outcome"),
    [(T0 + 2 * H, T0, FROM_FUTURE), (T0, T0 + 2 * H, TOO_LATE)],
)
def test_a_refused_event_neither_moves_the_clock_nor_leaves_its_id(time_us, published_us, outcome):
    judge = Judge()
    refused = event(time_us, event_id="x")
    judge(event(T0 - M))
    assert judge(refused, published_us=[published_us]) == [outcome]
    assert judge.records.heads.clock_us.tolist() == [T0 - M]
    assert judge.remembered == 1


def test_a_duplicate_does_not_move_the_clock():
    judge = Judge()
    first = event(T0)
    assert judge(first, first, published_us=[T0, T0 + 30 * M]) == [APPLIED, DUPLICATE]
    assert judge(first, published_us=[T0 + 40 * M]) == [DUPLICATE]
    assert judge.records.heads.clock_us.tolist() == [T0]


def test_only_the_first_of_an_id_within_a_batch_is_applied():
    a, b = event(T0), event(T0 + S)
    assert Judge()(a, b, a, b, a) == [APPLIED, APPLIED, DUPLICATE, DUPLICATE, DUPLICATE]


def test_the_same_id_of_two_users_is_two_events():
    plan = PLAN
    events = batch(plan, [event(T0, "a", "x"), event(T0, "b", "x"), event(T0, "a", "x")])
    nobody = Records.empty(plan, 2).heads
    verdict = judged(plan, nobody, [None, None], events)
    assert verdict.outcome.tolist() == [APPLIED, APPLIED, DUPLICATE]
    again = judged(plan, nobody, verdict.seen, events)
    assert again.outcome.tolist() == [DUPLICATE] * 3


@pytest.mark.parametrize(("clock_us", "outcome"), [(T0 + H, DUPLICATE), (T0 + H + 1, TOO_LATE)])
def test_an_id_is_remembered_exactly_as_long_as_its_event_would_be_in_time(clock_us, outcome):
    judge = Judge()
    old = event(T0, event_id="old")
    judge(old)
    judge(event(clock_us))
    assert judge(old, published_us=[T0]) == [outcome]


def test_order_of_judgement():
    """Too late by its own publish time comes before duplicate, as does too late by the clock."""
    judge = Judge()
    known = event(T0, event_id="known")
    judge(known)
    assert judge(known, published_us=[T0 + H]) == [DUPLICATE]
    assert judge(known, published_us=[T0 + H + 1]) == [TOO_LATE]
    assert judge(known, published_us=[T0 - M - 1]) == [FROM_FUTURE]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [2, 7, 400])
def test_a_batch_judged_at_once_is_judged_as_one_by_one(seed, size):
    plan = plan_of(seen_ids_cap=10_000)
    rng = np.random.default_rng(seed)
    events, published_us = [], []
    for n in range(400):
        if events and rng.random() < 0.25:
            events.append(events[-int(rng.integers(1, min(len(events), 20) + 1))])
        else:
            events.append(event(T0 + (n // 4 + int(rng.integers(0, 50))) * M, event_id=f"e{n}"))
        published_us.append(events[-1]["event_time"] + int(rng.choice([0] * 12 + [M, -M, -M - 1, H, H + 1, 30 * M])))
    folded = batch(plan, events, published_us)
    one_by_one, batched = Judge(plan), Judge(plan)
    expected = [one_by_one.judge(folded.take(np.array([i])))[0] for i in range(len(events))]
    found = []
    for begin in range(0, len(events), size):
        found += batched.judge(folded.take(np.arange(begin, min(begin + size, len(events)))))
    assert found == expected
    assert set(expected) == {APPLIED, DUPLICATE, TOO_LATE, FROM_FUTURE}
    assert batched.records.heads.clock_us == one_by_one.records.heads.clock_us
    assert sorted(ids_of(batched.seen)) == sorted(ids_of(one_by_one.seen))


def test_ids_below_the_cap_are_all_kept_and_the_horizon_is_the_clock_less_the_lateness():
    judge = Judge(plan_of(seen_ids_cap=100))
    judge(*(event(T0 + i * S) for i in range(100)))
    assert (judge.remembered, judge.shortened, judge.records.heads.horizon_us.tolist()) == (100, 0, [T0 + 99 * S - H])


def test_a_longer_lateness_admits_nothing_that_a_shorter_one_has_forgotten():
    judge, forgotten = Judge(), event(T0)
    judge(forgotten, event(T0 + H + 1))
    longer = Judge(plan_of(allowed_lateness="7d"))
    longer.records, longer.seen = judge.records, judge.seen
    assert longer(forgotten, event(T0)) == [TOO_LATE, TOO_LATE]
    assert longer(event(T0 + 1)) == [APPLIED]


def test_a_shorter_lateness_forgets_and_a_longer_one_afterwards_does_not_remember():
    judge, known = Judge(plan_of(allowed_lateness="7d")), event(T0)
    judge(known, event(T0 + 2 * H))
    shorter = Judge(plan_of(allowed_lateness="1h"))
    shorter.records, shorter.seen = judge.records, judge.seen
    assert shorter(known, event(T0 + 2 * H)) == [TOO_LATE, APPLIED]
    judge.records, judge.seen = shorter.records, shorter.seen
    assert judge(known, event(T0 + H - 1), event(T0 + H)) == [TOO_LATE, TOO_LATE, APPLIED]


def test_one_id_above_the_cap_forgets_the_oldest_second_and_refuses_it_from_then_on():
    judge = Judge(plan_of(seen_ids_cap=100))
    events = [event(T0 + i * S + 5) for i in range(101)]
    judge(*events)
    assert (judge.remembered, judge.shortened) == (100, 1)
    assert judge.records.heads.horizon_us.tolist() == [T0 + S]
    assert judge(events[0]) == [TOO_LATE]
    assert judge(event(T0 + S - 1)) == [TOO_LATE]
    assert judge(events[1]) == [DUPLICATE]
    assert judge(event(T0 + S)) == [APPLIED]


def test_ids_of_one_second_are_forgotten_together():
    judge = Judge(plan_of(seen_ids_cap=100))
    events = [event(T0 + i) for i in range(60)] + [event(T0 + S + i) for i in range(60)]
    judge(*events)
    assert judge.remembered == 60
    assert judge.records.heads.horizon_us.tolist() == [T0 + S]
    assert set(judge(*events)) == {TOO_LATE, DUPLICATE}


def test_more_ids_than_the_cap_within_one_second_refuse_that_second():
    judge = Judge(plan_of(seen_ids_cap=100))
    events = [event(T0 + i) for i in range(101)]
    assert set(judge(*events)) == {APPLIED}
    assert judge.remembered == 0
    assert set(judge(*events)) == {TOO_LATE}
    assert judge(event(T0 + S)) == [APPLIED]


@pytest.mark.parametrize("seed", range(5))
def test_beyond_the_cap_nothing_is_ever_counted_twice(seed):
    judge = Judge(plan_of(seen_ids_cap=100, allowed_lateness="1d"))
    rng = np.random.default_rng(seed)
    events = [event(T0 + int(rng.integers(0, 3 * H)), event_id=f"e{n}") for n in range(1500)]
    for _ in range(60):
        chosen = rng.integers(0, len(events), 80)
        judge(*(events[i] for i in chosen), published_us=[T0 + 3 * H] * 80)
        assert judge.remembered <= 100
    assert judge.shortened > 1
    assert len(judge.applied_ids) == len(set(judge.applied_ids)) == int(judge.records.heads.applied[0]) > 200


def test_the_cap_of_one_user_leaves_the_others_alone():
    plan = plan_of(seen_ids_cap=100)
    events = batch(plan, [event(T0 + i * S, "many") for i in range(150)] + [event(T0, "few")])
    verdict = judged(plan, Records.empty(plan, 2).heads, [None, None], events)
    assert verdict.horizon_us.tolist() == [T0 + 50 * S, T0 - H]
    assert [len(ids_of(seen)) for seen in verdict.seen] == [100, 1]


def test_no_events_change_nothing():
    verdict = judged(PLAN, Records.empty(PLAN, 0).heads, [], batch(PLAN, []))
    assert (len(verdict.outcome), verdict.seen, verdict.shortened) == (0, [], 0)


def test_ids_of_events_outside_the_lateness_are_forgotten():
    judge = Judge()
    judge(event(T0))
    judge(event(T0 + 2 * D))
    assert np.frombuffer(judge.seen, "<u4", offset=9).tolist() == [(T0 + 2 * D) // S]


@pytest.mark.parametrize("same_batch", [True, False])
@pytest.mark.parametrize("moved_us", [-30 * M, -1, 1, 30 * S])
def test_an_id_that_comes_again_with_another_time_is_a_duplicate_while_it_is_remembered(same_batch, moved_us):
    events = [event(T0, event_id="a"), event(T0 + moved_us, event_id="a")]
    judge = Judge()
    outcomes = judge(*events) if same_batch else [*judge(events[0]), *judge(events[1])]
    assert outcomes == [APPLIED, DUPLICATE]


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_refused_event_leaves_its_id_free_for_one_that_is_in_time(same_batch):
    judge = Judge()
    judge(event(T0))
    refused, in_time = event(T0 - H - 1, event_id="a"), event(T0 - M, event_id="a")
    if same_batch:
        assert judge(refused, in_time, in_time, published_us=[T0 - 1, T0, T0]) == [TOO_LATE, APPLIED, DUPLICATE]
    else:
        assert judge(refused, published_us=[T0 - 1]) == [TOO_LATE]
        assert judge(in_time) == [APPLIED]
