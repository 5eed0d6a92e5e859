"""Rows of logs as columns: what was folded, by user and time, and nothing of records that cannot be read."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_against_oracle import Shelf, rows_of
from tests.packed import Records, apply, packed
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, M, S, batch, event, plan_of, record_of
from user_state import oracle
from user_state.plan.compile import compile_plan
from user_state.plan.conditions import AllOf, AnyOf, Compares, Exists, Not, OneOf
from user_state.state.histories import HistoryReader

FIELDS = ["item_id", "value", "amount", "bought", "event_time"]
PLAN = plan_of(
    sequences={"s": {"fields": FIELDS, "last": 3}, "t": {"fields": ["action"], "last": 2, "where": {"action": "view"}}}
)


def reader(logs: range | list[int] | None = None) -> HistoryReader:
    return HistoryReader(PLAN, packed(PLAN), range(len(PLAN.logs)) if logs is None else logs)


def test_rows_are_those_of_each_user_by_time_with_nulls_where_events_have_none():
    made = [event(T0 + S, "v", item_id="b"), event(T0, "u", item_id="a", value=0.5, amount=-7, bought=True)]
    records = record_of(PLAN, [*made, event(T0 + M, "u"), event(T0 + 2 * M, "v", item_id="\u6f22")])
    found = records.histories
    rows = found.logs[0]
    assert (len(found), found.errors) == (2, {})
    assert rows.user.tolist() == [0, 0, 1, 1]
    assert rows.time_us.tolist() == [T0 + S, T0 + 2 * M, T0, T0 + M]
    columns = dict(zip([PLAN.fields[field].name for field in PLAN.logs[0].fields], rows.columns, strict=True))
    assert found.pool.objects[columns["item_id"]].tolist() == ["b", "\u6f22", "a", None]
    np.testing.assert_array_equal(columns["value"], [np.nan, np.nan, 0.5, np.nan])
    least = np.iinfo(np.int64).min
    assert columns["amount"].tolist() == [least, least, -7, least]
    assert columns["bought"].tolist() == [least, least, 1, least]
    assert columns["event_time"].tolist() == rows.time_us.tolist()


def test_users_without_a_record_have_no_rows_and_only_chosen_logs_are_read():
    blobs = [None, *record_of(PLAN, [event(T0, item_id="a")]).blobs, None]
    found = reader([1]).read(blobs)
    assert list(found.logs) == [1]
    assert found.logs[1].user.tolist() == [1]
    assert reader([]).read(blobs).logs == {}
    assert len(reader().read([])) == 0


def test_a_record_that_cannot_be_read_has_an_error_and_costs_no_other_its_rows():
    good = record_of(PLAN, [event(T0, item_id="a")]).blobs[0]
    found = reader().read([good, b"nonsense", good[:-1], good])
    assert set(found.errors) == {1, 2}
    assert found.logs[0].user.tolist() == [0, 3]
    assert found.pool.objects[found.logs[0].columns[0]].tolist() == ["a", "a"]


def test_what_is_no_record_or_log_is_an_error():
    with pytest.raises(TypeError, match="records as bytes"):
        reader().read(["text"])
    with pytest.raises(IndexError):
        reader([2]).read([None])


@pytest.mark.slow
@given(worlds(), st.integers(0, 40))
@settings(QUICK, max_examples=100)
def test_any_log_that_keeps_the_last_events_has_the_last_that_brute_force_applied(world: World, cut: int) -> None:
    plan = compile_plan(world.spec)
    shelf = Shelf(plan)
    rows = rows_of(world, plan)
    shelf.fold(rows[:cut])
    shelf.fold(rows[cut:])
    applied = oracle.replay(world.spec.spec, world.arrivals).applied
    users = list(applied)
    found = shelf.read(users).histories
    for log, piece in enumerate(plan.logs):
        if piece.keeps != "last" or piece.reach_us is not None:
            continue
        for user, name in enumerate(users):
            chosen = found.logs[log].user == user
            events = [e for e in applied[name] if accepts(plan, piece, e.event)]
            events = sorted(events, key=lambda e: (e.time_us, e.id_hash >> 32))[-piece.cap :]
            assert found.logs[log].time_us[chosen].tolist() == [e.time_us for e in events]
            assert found.logs[log].tie[chosen].tolist() == [e.id_hash >> 32 for e in events]
            for field, column in zip(piece.fields, found.logs[log].columns, strict=True):
                expected = [e.event[plan.fields[field].name] for e in events]
                assert plain(plan.fields[field].kind, found.pool.objects, column[chosen]) == expected


def accepts(plan, piece, made) -> bool:
    wanted = all(holds(plan, condition, made) for condition in plan.filters[piece.filter].conditions)
    return wanted and (piece.required is None or made[plan.fields[piece.required].name] is not None)


def holds(plan, condition, made) -> bool:
    match condition:
        case OneOf(field, accepted):
            return made[plan.fields[field].name] in accepted
        case Compares(field, how, number):
            value = made[plan.fields[field].name]
            less, more = ("<", "<="), (">", ">=")
            equal = value == number and how in ("<=", ">=")
            return value is not None and (equal or (value < number and how in less) or (value > number and how in more))
        case Exists(field):
            return made[plan.fields[field].name] is not None
        case Not(part):
            return not holds(plan, part, made)
        case AnyOf(parts):
            return any(holds(plan, part, made) for part in parts)
        case AllOf(parts):
            return all(holds(plan, part, made) for part in parts)
    raise AssertionError(condition)


def plain(kind: str, texts: np.ndarray, column: np.ndarray) -> list[object]:
    if kind == "string":
        return texts[column].tolist()
    if kind == "float":
        return [None if np.isnan(cell) else cell for cell in column.tolist()]
    least = np.iinfo(np.int64).min
    return [None if cell == least else bool(cell) if kind == "bool" else cell for cell in column.tolist()]


def test_threads_read_side_by_side():
    records = record_of(PLAN, [event(T0 + at * S, f"u{at % 50}", item_id=f"i{at}") for at in range(300)])
    expected = records.histories.logs[0]
    shared, wrong = reader(), []

    def read() -> None:
        for _ in range(50):
            found = shared.read(records.blobs)
            if not np.array_equal(found.logs[0].time_us, expected.time_us):
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_more_events_than_a_log_keeps_leave_the_newest():
    records = Records.empty(PLAN, 1)
    for at in range(7):
        records = apply(PLAN, records, batch(PLAN, [event(T0 + at * S, item_id=f"i{at}")]))
    rows = records.histories.logs[0]
    assert records.histories.pool.objects[rows.columns[0]].tolist() == ["i4", "i5", "i6"]
