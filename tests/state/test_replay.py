"""Answers before each question are what brute force says of the events that were there by then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_against_oracle import BINS, TABLE, assert_row_equals_oracle, rows_of
from tests.packed import features, from_events
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, D, H, M, S, batch, event, plan_of
from user_state import oracle
from user_state.errors import InputError
from user_state.plan.compile import compile_plan
from user_state.reading.replay import Questions, Replay, asked_at
from user_state.state.events import Events
from user_state.state.outcome import Outcome
from user_state.state.records import TOO_LARGE
from user_state.state.relevant import relevant

COUNT = {"f": {"aggregate": "count", "windows": ["1h"]}}


def questions(*asked: tuple[int, int, int]) -> Questions:
    """Return questions as (user, time, events that came before)."""
    user, at_us, visible = np.array(asked, np.int64).reshape(-1, 3).T
    return Questions(user.copy(), at_us.copy(), visible.copy())


def asking(data: st.DataObject, events: Events) -> Questions:
    """Return questions at times by chance, at those of events among them, about everybody."""
    times_us = sorted({*events.published_us.tolist(), *events.time_us.tolist()})
    moment = st.sampled_from(times_us).flatmap(lambda time_us: st.sampled_from([time_us, time_us + 1, time_us + H]))
    asked = st.tuples(st.integers(0, len(events.users) - 1), st.one_of(moment, moment, st.integers(0, times_us[-1])))
    pairs = data.draw(st.lists(asked, min_size=1, max_size=12))
    user, at_us = np.array(pairs, np.int64).T
    return asked_at(events, user.copy(), at_us.copy())


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=200)
def test_what_is_answered_before_a_question_is_what_brute_force_says_of_what_was_published(
    world: World, data: st.DataObject
) -> None:
    plan = compile_plan(world.spec)
    # In order of publication, which is that of arrival here.
    world.arrivals.sort(key=lambda arrival: arrival.published_us or 0)
    rows = rows_of(world, plan)
    chosen = np.flatnonzero(relevant(plan, Events.from_rows(plan, rows))).tolist()
    if not chosen:
        return
    events = Events.from_rows(plan, [rows[at] for at in chosen])
    arrivals = [world.arrivals[at] for at in chosen]
    asked = asking(data, events)
    played = Replay(plan).play(events, asked)

    assert [BINS[Outcome(o)] for o in played.outcome.tolist()] == oracle.replay(world.spec.spec, arrivals).bins
    found = played.finished({"shelf": TABLE})
    assert not found.errors
    for row, (user, at_us) in enumerate(zip(asked.user.tolist(), asked.at_us.tolist(), strict=True)):
        before = [arrival for arrival in arrivals if (arrival.published_us or 0) < at_us]
        applied = oracle.replay(world.spec.spec, before).applied.get(events.users[user], [])
        assert found.present[row] == bool(applied)
        assert found.last_event_us[row] == max((e.time_us for e in applied), default=0)
        assert_row_equals_oracle(world.spec, plan, found, row, applied, at_us)


def test_an_event_published_at_the_time_of_a_question_is_not_known_yet():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0), event(T0 + M)])
    asked = asked_at(events, np.zeros(4, np.int64), np.array([T0, T0 + 1, T0 + M, T0 + M + 1]))
    found = Replay(plan).play(events, asked).finished()
    assert found.values[:, 0].tolist() == [0, 1, 1, 2]
    assert found.present.tolist() == [False, True, True, True]


def test_questions_in_any_order_about_several_users_are_answered_in_the_order_they_were_asked():
    plan = plan_of(features=COUNT, sequences={"s": {"fields": ["item_id"], "last": 2}})
    events = batch(plan, [event(T0, "u", item_id="a"), event(T0, "v", item_id="b"), event(T0 + S, "u", item_id="c")])
    found = Replay(plan).play(events, questions((0, T0 + M, 3), (1, T0 + M, 3), (0, T0 + M, 1), (1, T0, 1))).finished()
    assert found.values[:, 0].tolist() == [2, 1, 1, 0]
    lists = [found.sequences["s"].of_user(row)["item_id"] for row in range(4)]
    assert lists == [["c", "a"], ["b"], ["a"], []]


def test_duplicates_and_late_events_are_in_no_answer():
    plan = plan_of(features=COUNT)
    made = [event(T0, event_id="a"), event(T0, event_id="a"), event(T0 + 2 * H), event(T0), event(T0 + 2 * H)]
    events = batch(plan, made, [T0, T0 + S, T0 + 2 * H, T0 + 2 * H, T0])
    played = Replay(plan).play(events, questions((0, T0 + M, 2), (0, T0 + 2 * H, 5)))
    assert [Outcome(o).name for o in played.outcome.tolist()] == [
        *("APPLIED", "DUPLICATE", "APPLIED", "TOO_LATE", "FROM_FUTURE")
    ]
    assert played.finished().values[:, 0].tolist() == [1, 1]


def test_a_record_that_outgrows_max_record_has_errors_from_there_on_and_costs_nobody_else_theirs():
    plan = plan_of(sequences={"s": {"fields": ["item_id"], "last": 900}}, max_record="64KB")
    made = [event(T0 + at, "u", item_id=f"{at:0200}") for at in range(500)]
    events = batch(plan, [*made, event(T0 + M, "v", item_id="a")])
    asked = questions((0, T0 + M, 1), (0, T0 + M, 500), (0, T0 + M, 501), (1, T0 + H, 501))
    found = Replay(plan).play(events, asked).finished()
    assert found.errors == {1: TOO_LARGE, 2: TOO_LARGE}
    assert found.present.tolist() == [True, False, False, True]
    assert [found.sequences["s"].length[row] for row in range(4)] == [1, 0, 0, 1]


def test_a_record_outgrows_max_record_at_the_event_at_which_the_packed_one_does():
    plan = plan_of(
        features={"f": {"aggregate": ["sum", "variance", "recency"], "of": "value", "windows": ["1h", "1d"]}}
    )
    events = batch(plan, [event(T0 + at * M, value=at / 7) for at in range(60)])
    sizes = [len(from_events(plan, events.take(np.arange(many))).blobs[0]) for many in range(1, 61)]
    asked = questions(*((0, T0 + D, many) for many in range(1, 61)))
    for most in (sizes[20], sizes[20] - 1, sizes[40], sizes[40] - 1):
        found = Replay(replace(plan, max_record_bytes=most)).play(events, asked).finished()
        first = next(at for at, size in enumerate(sizes) if size > most)
        assert found.errors == dict.fromkeys(range(first, 60), TOO_LARGE)


def test_a_choice_of_outputs_says_of_them_what_all_say():
    plan = plan_of(features={**COUNT, "k": {"aggregate": "last_k", "of": "item_id", "k": 2, "windows": ["1h"]}})
    events = batch(plan, [event(T0, item_id="a"), event(T0 + S, item_id="b")])
    chosen = Replay(plan, ["k_last_k_1h"]).play(events, questions((0, T0 + M, 2))).finished()
    assert (chosen.names, chosen.sequences["k_last_k_1h"].of_user(0)) == ((), ["b", "a"])
    with pytest.raises(InputError, match="no_such"):
        Replay(plan, ["no_such"])


def test_the_last_answer_is_what_the_record_says_that_all_events_were_folded_into():
    plan = plan_of(
        features=COUNT, embeddings={"e": {"kind": "decayed_mean", "of": "item_id", "dimensions": 4, "half_life": "1h"}}
    )
    events = batch(plan, [event(T0 + at * S, item_id="ab"[at % 2]) for at in range(50)])
    asked = questions(*((0, T0 + H, visible) for visible in range(51)))
    found = Replay(plan).play(events, asked).finished()
    whole = features(plan, from_events(plan, events), T0 + H)
    assert found.values[-1].tolist() == whole.values[0].tolist() == [50]
    np.testing.assert_allclose(found.embeddings["e_1h"][-1], whole.embeddings["e_1h"][0], atol=1e-6)


def test_no_questions_and_no_events():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0)])
    assert Replay(plan).play(events, questions()).finished().values.shape == (0, 1)
    none = events.take(np.zeros(0, np.int64))
    assert Replay(plan).play(none, questions((0, T0, 0))).finished().values.tolist() == [[0]]


def test_what_cannot_be_asked_is_an_error():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0), event(T0 - S)])
    with pytest.raises(ValueError, match="about the users of the events"):
        Replay(plan).play(events, questions((1, T0, 1)))
    with pytest.raises(ValueError, match=r"less than 2\^61"):
        Replay(plan).play(events, questions((0, 2**62, 1)))
    with pytest.raises(ValueError, match="order of publish time"):
        asked_at(events, np.zeros(1, np.int64), np.array([T0]))
