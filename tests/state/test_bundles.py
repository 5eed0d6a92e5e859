"""A bundle is judged and folded by one call: what comes of each user, and of users whose bytes are out of order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from tests.fuzz.envelope import with_horizon
from tests.judging import judged
from tests.packed import Records, apply
from tests.trying import T0, H, S, batch_of, event, plan_of
from user_state.evaluation.memory_store import MemoryStore
from user_state.fold import Folder
from user_state.plan.plan import Plan
from user_state.state.envelope import heads_of, version_of
from user_state.state.event_batch import EventBatch
from user_state.state.events import I64, Events
from user_state.state.outcome import Outcome
from user_state.state.records import OVERFLOWING, UNKNOWN_LAYOUT, PackedRecords
from user_state.state.remembered_ids import NO_IDS

APPLIED, DUPLICATE, TOO_LATE = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.TOO_LATE
BAD_RECORD, OVERSIZED = Outcome.BAD_RECORD, Outcome.OVERSIZED
PLAN = plan_of(
    features={"seen": {"aggregate": ["count", "sum"], "of": "amount", "windows": ["1h"]}},
    sequences={"recent": {"fields": ["item_id"], "last": 500}},
)
OTHER = plan_of(features={"likes": {"aggregate": "count", "where": {"action": "like"}, "windows": ["1d"]}})
CHANCE = b"free"


class Found(NamedTuple):
    records: list[bytes | None]
    ids: list[bytes | None]
    last_event_us: I64
    shortened: list[int]
    wrong: dict[int, tuple[int, str | bytes]]
    outcome: npt.NDArray[np.int8]


def fold(
    events: Events | EventBatch,
    records: Sequence[bytes | None],
    ids: Sequence[bytes | None] | None = None,
    *,
    plan: Plan = PLAN,
    users: Sequence[int] | None = None,
    lost: Sequence[int] = (),
    due: Sequence[int] = (),
    counts_events: bool = False,
) -> Found:
    n = len(records)
    outcome = np.full(len(events), -1, np.int8)
    chosen = np.arange(n) if users is None else np.array(users)
    *made, wrong = PackedRecords(plan).native.fold_bundle(
        events, chosen, records, ids or [None] * n, lost, due, CHANCE * n, counts_events, outcome
    )
    return Found(*made, {at: (kind, text) for at, kind, text in wrong}, outcome)


def views(user: str = "u", begin: int = 0, count: int = 3) -> list[dict[str, Any]]:
    return [
        event(T0 + n * S, user, f"{user}{n}", amount=n, item_id=f"item {n % 7}") for n in range(begin, begin + count)
    ]


def held(*events: dict[str, Any], plan: Plan = PLAN) -> Events:
    return Events.of_batch(batch_of(plan, events))


def stored(user: str = "u", count: int = 3, plan: Plan = PLAN) -> tuple[bytes, bytes]:
    """Return the record of some views, and the ids to remember."""
    found = fold(held(*views(user, count=count), plan=plan), [None], plan=plan)
    assert found.records[0] is not None
    assert found.ids[0] is not None
    return found.records[0], found.ids[0]


def test_a_batch_of_the_core_and_its_columns_come_to_the_same_as_judging_first_and_folding_then() -> None:
    mixed = [*views("a"), *views("b", count=2), views("a")[0], event(T0 - 3 * H, "b"), *views("c", 5, 9)]
    record, ids = stored("c", 8)
    blobs: list[bytes | None] = [None, None, record]
    packed = batch_of(PLAN, mixed)
    by_batch, by_columns = (fold(events, blobs, [None, None, ids]) for events in (packed, Events.of_batch(packed)))
    assert by_batch.records == by_columns.records
    assert by_batch.ids == by_columns.ids
    assert by_batch.outcome.tolist() == by_columns.outcome.tolist()
    expected = [APPLIED] * 5 + [DUPLICATE, TOO_LATE] + [DUPLICATE] * 3 + [APPLIED] * 6
    assert by_batch.outcome.tolist() == expected

    events = Events.of_batch(packed)
    verdict = judged(PLAN, heads_of(blobs)[0], [None, None, ids], events)
    assert verdict.outcome.tolist() == expected
    after = apply(PLAN, Records(PLAN, blobs), events.take(verdict.outcome == APPLIED), verdict.horizon_us.tolist())
    versions = [version_of(one) for one in by_batch.records]
    rewritten = [
        with_horizon(one or b"", int(horizon_us), version)
        for one, horizon_us, version in zip(after.blobs, after.heads.horizon_us.tolist(), versions, strict=True)
    ]
    assert by_batch.records == rewritten
    assert by_batch.last_event_us.tolist() == [T0 + 2 * S, T0 + S, T0 + 13 * S]


def test_versions_count_writes_or_events_and_end_with_chance() -> None:
    record, ids = stored()
    (again,) = fold(held(*views(begin=3)), [record], [ids]).records
    assert [version_of(one) for one in (record, again)] == [b"\0\0\0\1" + CHANCE, b"\0\0\0\2" + CHANCE]
    (by_events,) = fold(held(*views(begin=3)), [record], [ids], counts_events=True).records
    assert version_of(by_events) == b"\0\0\0\6" + CHANCE


def test_the_first_half_of_a_version_goes_round_after_its_greatest_number() -> None:
    record, ids = stored()
    last = with_horizon(record, int(heads_of([record])[0].horizon_us[0]), b"\xff" * 4 + CHANCE)
    (again,) = fold(held(*views(begin=3)), [last], [ids]).records
    assert version_of(again) == bytes(4) + CHANCE


def test_only_users_who_are_asked_for_are_judged_and_folded() -> None:
    events = held(*views("a"), *views("b"), *views("c"))
    found = fold(events, [None, None], users=[2, 0])
    whole = fold(events, [None] * 3)
    assert found.records == [whole.records[2], whole.records[0]]
    assert found.outcome.tolist() == [APPLIED] * 3 + [-1] * 3 + [APPLIED] * 3


def test_who_has_no_new_event_is_not_written_unless_due() -> None:
    record, ids = stored()
    again = held(*views())
    assert fold(again, [record], [ids]).records == [None]
    moved = fold(again, [record], [ids], due=[0])
    horizon_us = int(heads_of([record])[0].horizon_us[0])
    assert moved.records == [with_horizon(record, horizon_us, b"\0\0\0\2" + CHANCE)]
    assert (moved.ids, moved.outcome.tolist()) == ([ids], [DUPLICATE] * 3)
    assert moved.last_event_us.tolist() == [T0 + 2 * S]
    assert fold(again, [None], due=[0]).outcome.tolist() == [APPLIED] * 3


def test_lost_ids_close_the_record_up_to_its_last_event() -> None:
    record, _ = stored()
    found = fold(held(*views(count=4)), [record], lost=[0], due=[0])
    assert found.outcome.tolist() == [TOO_LATE] * 3 + [APPLIED]
    none_new = fold(held(*views()), [record], lost=[0], due=[0])
    assert none_new.records == [with_horizon(record, T0 + 2 * S + 1, b"\0\0\0\2" + CHANCE)]
    assert none_new.ids == [NO_IDS]


def test_a_record_that_would_get_too_large_stays_as_it_was_with_its_duplicates_judged() -> None:
    record, ids = stored()
    small = replace(PLAN, max_record_bytes=len(record) + 20)
    events = held(*views("v"), *views(count=400), plan=small)
    found = fold(events, [None, record], [None, ids], plan=small)
    assert found.outcome.tolist() == [APPLIED] * 3 + [DUPLICATE] * 3 + [OVERSIZED] * 397
    assert (found.records[0] is None, found.records[1]) == (False, None)
    kind, text = found.wrong[1]
    assert kind == OVERFLOWING
    assert isinstance(text, str)
    assert text.endswith(f" bytes, more than max_record, {len(record) + 20:,}")
    due = fold(events, [None, record], [None, ids], plan=small, due=[1])
    assert (heads_of(due.records)[0].applied.tolist(), due.ids[1]) == ([3, 3], ids)


@pytest.mark.parametrize("damaged", ["record", "ids"])
def test_damaged_bytes_set_all_events_of_their_user_aside_and_nobody_elses(damaged: str) -> None:
    record, _ = stored()
    records, ids = [None, record, None], [None, b"\2", None]
    if damaged == "record":
        records, ids = [None, record[:-9], None], [None] * 3
    found = fold(held(*views("a"), *views(), *views("b")), records, ids, due=[1])
    assert found.outcome.tolist() == [APPLIED] * 3 + [BAD_RECORD] * 3 + [APPLIED] * 3
    assert found.wrong.keys() == {1}
    assert [one is None for one in found.records] == [False, True, False]
    if damaged == "ids":
        assert found.wrong[1][1] == "invalid remembered ids: a format that there is not (1 bytes beginning '02')"


def test_an_unknown_layout_is_named_and_nothing_is_said_of_it_where_nothing_is_folded() -> None:
    record, ids = stored(plan=OTHER)
    found = fold(held(*views(begin=3)), [record], [ids])
    assert found.wrong == {0: (UNKNOWN_LAYOUT, OTHER.layout.fingerprint)}
    assert fold(held(*views()), [record], [ids]).wrong == {}


def test_arguments_that_do_not_fit_are_the_callers_mistake() -> None:
    events, native = held(*views()), PackedRecords(PLAN).native
    outcome, users = np.zeros(3, np.int8), np.arange(1)
    with pytest.raises(ValueError, match="expected users of the events"):
        native.fold_bundle(events, users + 1, [None], [None], [], [], CHANCE, False, outcome)
    with pytest.raises(ValueError, match="expected a record and ids for each user"):
        native.fold_bundle(events, users, [], [None], [], [], CHANCE, False, outcome)
    with pytest.raises(ValueError, match="expected 4 bytes of chance for each user"):
        native.fold_bundle(events, users, [None], [None], [], [], b"", False, outcome)
    with pytest.raises(ValueError, match="expected a place for the outcome of each event"):
        native.fold_bundle(events, users, [None], [None], [], [], CHANCE, False, outcome[:2])
    with pytest.raises(ValueError, match="expected events with the fields of the plan"):
        native.fold_bundle(batch_of(OTHER, views()), users, [None], [None], [], [], CHANCE, False, outcome)
    with pytest.raises(TypeError):
        native.fold_bundle(events, users, [None], [None], [], [], CHANCE, False, np.zeros(3))
    with pytest.raises(IndexError):
        native.fold_bundle(events, users, [None], [None], [1], [], CHANCE, False, outcome)


def verbs_called(work: Callable[[], object]) -> list[str]:
    """Return the names of the core's functions that take or give records, as they are called."""
    called = []

    def watch(frame: FrameType, what: str, function: Any) -> None:
        if what == "c_call" and function.__name__ in {"fold_bundle", "fold", "heads", "migrate", "admit"}:
            called.append(function.__name__)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(before)
    return called


@pytest.mark.parametrize("users", [1, 300])
def test_a_fold_calls_the_core_once_however_many_users_it_has(users: int) -> None:
    folder = Folder(PLAN, MemoryStore(), epoch=1)
    for begin in (0, 3):
        packed = batch_of(PLAN, [one for user in range(users) for one in views(f"u{user}", begin)])
        assert verbs_called(lambda packed=packed: folder.fold_events(packed)) == ["fold_bundle"]
