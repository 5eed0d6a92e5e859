"""Readings before what a record can answer for are errors, to the microsecond; every other one is exact.

The border is the user's clock, the greatest publish time of an applied event, less `max_clock_skew`. It is taken from
brute force here. Before it, values would count events that came later, and lack what windows had given up by then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_against_oracle import TABLE, Shelf, assert_row_equals_oracle, clock_of, rows_of
from tests.packed import Records, merge, packed
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, D, H, M, S, batch, event, plan_of, record_of
from user_state import oracle
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.reading.features import Finished, Reader
from user_state.reading.replay import Questions, Replay
from user_state.state.records import PackedRecords

COUNT = {"f": {"aggregate": "count", "windows": ["1h"]}}
EARLIER = "expected a reading time from "


def read(plan: Plan, records: Records, at_us: Any, held: PackedRecords | None = None) -> Finished:
    reader = Reader(plan, held or packed(plan))
    return reader.features(records.blobs, at_us, reader.histories(records.blobs, at_us), {"shelf": TABLE})


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=200)
def test_a_time_a_record_is_refused_just_before_the_border_and_exact_from_it_on(
    world: World, data: st.DataObject
) -> None:
    """Training rows served what did not exist yet at their time (feast-dev/feast#6615, dssg/triage#304)."""
    plan = compile_plan(world.spec)
    shelf = Shelf(plan)
    shelf.fold(rows_of(world, plan))
    of_users = oracle.replay(world.spec.spec, world.arrivals).applied
    if not of_users:
        return
    records = shelf.read(list(of_users))
    near = st.sampled_from([-400 * D, -H, -S, -1, -1, 0, 0, 1, S, H, 2 * D])
    offsets = [data.draw(near) for _ in of_users]
    border_us = [clock_of(applied) - world.spec.spec.max_clock_skew for applied in of_users.values()]
    times_us = np.add(border_us, offsets).astype(np.int64)
    found = read(plan, records, times_us)
    blank = read(plan, Records.empty(plan, 1), times_us[:1])

    assert sorted(found.errors) == [row for row, offset in enumerate(offsets) if offset < 0]
    for row, (applied, offset, at_us) in enumerate(zip(of_users.values(), offsets, times_us.tolist(), strict=True)):
        if offset >= 0:
            assert found.present[row]
            assert_row_equals_oracle(world.spec, plan, found, row, applied, at_us)
            continue
        assert found.errors[row].startswith(EARLIER)
        assert (found.present[row], found.last_event_us[row]) == (False, 0)
        np.testing.assert_array_equal(found.values[row], blank.values[0])
        for name in found.arrays:
            np.testing.assert_array_equal(found.arrays[name][row], blank.arrays[name][0])
        for name in found.embeddings:
            np.testing.assert_array_equal(found.embeddings[name][row], blank.embeddings[name][0])
        assert all(not padded.length[row] for padded in found.sequences.values())


def test_the_border_is_of_the_publish_time_and_the_message_has_both_times():
    plan = plan_of(features=COUNT)  # a skew of a minute
    records = record_of(plan, [event(T0 + 30 * S)], [T0])
    assert read(plan, records, T0 - M).values.tolist() == [[1]]
    found = read(plan, records, T0 - M - 1)
    assert found.errors[0].startswith(
        "expected a reading time from 2022-01-07T23:59:00Z on (the user's clock less max_clock_skew), got"
        " 2022-01-07T23:58:59.999999Z: "
    )
    assert "replay history" in found.errors[0]


def test_a_refused_reading_costs_no_other_record_its_values():
    plan = plan_of(features=COUNT, sequences={"s": {"fields": ["item_id"], "last": 2}})
    records = record_of(plan, [event(T0, "a", item_id="x"), event(T0 + H, "b", item_id="y"), event(T0, "c")])
    found = read(plan, records, T0)
    assert (list(found.errors), found.present.tolist()) == ([1], [True, False, True])
    assert found.values.tolist() == [[1], [0], [1]]
    assert [found.sequences["s"].of_user(row)["item_id"] for row in range(3)] == [["x"], [], [None]]


def test_two_records_of_one_person_answer_from_the_later_clock_on():
    plan = plan_of(features=COUNT)
    merged = merge(plan, record_of(plan, [event(T0)]), record_of(plan, [event(T0 + H)]))
    assert list(read(plan, merged, T0 + H - M - 1).errors) == [0]
    assert read(plan, merged, T0 + H - M).values.tolist() == [[2]]


@pytest.mark.parametrize(("before", "after", "border"), [("1m", "10m", "1m"), ("10m", "1m", "1m"), ("5m", "5m", "5m")])
def test_a_record_of_another_spec_answers_for_the_shorter_of_both_skews(before: str, after: str, border: str):
    """It gave up by the skew of its own spec what a longer one would need."""
    old = plan_of(
        features={**COUNT, "g": {"aggregate": "sum", "of": "value", "windows": ["1h"]}}, max_clock_skew=before
    )
    new = plan_of(features=COUNT, max_clock_skew=after)
    records = record_of(old, [event(T0)])
    held = PackedRecords(new, _Layouts(old))
    first_us = T0 - {"1m": M, "5m": 5 * M}[border]
    assert read(new, records, first_us, held).values.tolist() == [[1]]
    assert list(read(new, records, first_us - 1, held).errors) == [0]


class _Layouts:
    """Knows the layout of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._layout = plan.layout

    def layout(self, fingerprint: bytes) -> Any:
        return self._layout if fingerprint == self._layout.fingerprint else None


def test_a_question_about_a_history_of_which_too_much_is_visible_is_refused():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0), event(T0 + H), event(T0 + H)])
    user, at_us, visible = np.array([[0, T0, 1], [0, T0, 2], [0, T0 + H - M, 3], [0, T0 + H - M - 1, 3]], np.int64).T
    found = Replay(plan).play(events, Questions(user.copy(), at_us.copy(), visible.copy())).finished()
    assert sorted(found.errors) == [1, 3]
    assert all(text.startswith(EARLIER) for text in found.errors.values())
    assert (found.values[:, 0].tolist(), found.present.tolist()) == ([1, 0, 3, 0], [True, False, True, False])
