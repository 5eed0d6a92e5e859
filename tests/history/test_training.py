"""Training rows hold what brute force says of the events that had been published before each label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_against_oracle import TABLE, assert_row_equals_oracle, rows_of
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, D, H, M, S, batch, event, plan_of
from user_state import oracle
from user_state.history import training
from user_state.history.item_periods import ItemPeriods
from user_state.history.labels import labels_of
from user_state.history.rows import RowWriter
from user_state.history.training import TrainingRows
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.state.events import Events
from user_state.state.relevant import relevant

COUNT = {"f": {"aggregate": "count", "windows": ["1h"]}}
UTC = pa.timestamp("us", tz="UTC")


def labels(*asked: tuple[str, int] | tuple[str, int, str | None]):
    """Return labels as (user, time, id of the own event)."""
    users, at_us = [one[0] for one in asked], pa.array([one[1] for one in asked], UTC)
    own = pa.array([one[2] if len(one) > 2 else None for one in asked], pa.string())
    return labels_of(pa.table({"user": users, "time": at_us, "own": own}), "user", "time", event_id="own")


ORDERS = (("publish", 0), ("publish", 0), ("publish", 5 * S), ("event", 0))


def forgetting(world: World, data: st.DataObject) -> LoadedSpec:
    """Return the world's spec, perhaps with a retention so short that users are forgotten between their events."""
    shortest_us = world.spec.spec.allowed_lateness
    retention_us = data.draw(
        st.sampled_from([world.spec.spec.retention, shortest_us, shortest_us + H, 2 * shortest_us])
    )
    return replace(world.spec, spec=world.spec.spec.model_copy(update={"retention": retention_us}))


def in_any_order(world: World, data: st.DataObject) -> None:
    """Shuffle what arrived, without two events of one user, time and id that differ: files do not tell their order."""
    data.draw(st.randoms(use_true_random=False)).shuffle(world.arrivals)


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=150)
def test_every_label_has_what_brute_force_says_that_it_may_know(world: World, data: st.DataObject):
    in_any_order(world, data)
    loaded = forgetting(world, data)
    plan = compile_plan(loaded)
    events = Events.from_rows(plan, rows_of(world, plan))
    is_relevant = relevant(plan, events)
    arrivals = [arrival for arrival, taken in zip(world.arrivals, is_relevant, strict=True) if taken]
    times_us = sorted({T0, *events.published_us.tolist(), *events.time_us.tolist()})
    edges = st.sampled_from([0, 0, 1, loaded.spec.retention - 1, loaded.spec.retention])
    asked = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["nobody", *events.users]),
                st.tuples(st.sampled_from(times_us), edges).map(sum),
                st.sampled_from([None, None, *{arrival.event["event_id"] for arrival in world.arrivals}]),
            ),
            min_size=1,
            max_size=12,
        )
    )
    at_once = data.draw(st.sampled_from([1, 3, training.LABELS_AT_ONCE]))
    as_of, delay_us = data.draw(st.sampled_from(ORDERS))
    rows = TrainingRows(plan, as_of=as_of, arrival_delay_us=delay_us, items=ItemPeriods.always({"shelf": TABLE}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LABELS_AT_ONCE", at_once)
        patch.setattr(training, "EVENTS_AT_ONCE", at_once)
        answered = list(rows.answer(events.take(is_relevant), labels(*asked)))
    assert sorted(np.concatenate([one.rows for one in answered]).tolist()) == [*range(len(asked))]
    for one in answered:
        for row, label in enumerate(one.rows.tolist()):
            name, at_us, own = asked[label]
            known = oracle.known_at(loaded.spec, arrivals, name, at_us, order=as_of, delay_us=delay_us, held_back=own)
            assert one.finished.present[row] == bool(known), (name, at_us)
            assert_row_equals_oracle(loaded, plan, one.finished, row, known, at_us)
        columns = RowWriter(plan).columns(one.finished)
        table = pa.Table.from_arrays(columns, schema=RowWriter(plan).schema())
        table.validate(full=True)
        assert_same_values(table, one.finished)


def assert_same_values(table: pa.Table, finished) -> None:
    """Compare Arrow's columns with what the client's types give for each user."""
    for name, padded in finished.sequences.items():
        for row in range(len(padded)):
            listed = padded.of_user(row)
            for column, values in {"": listed}.items() if padded.single else listed.items():
                held = table.column(f"{name}.{column}" if column else name)[row]
                if pa.types.is_timestamp(held.type.value_type):
                    held = held.values.cast(pa.int64()).to_pylist()
                    assert held == values
                else:
                    assert held.as_py() == values
    for at, name in enumerate(finished.names):
        np.testing.assert_array_equal(table.column(name).to_numpy(), finished.values[:, at])
    for name, vectors in {**finished.arrays, **finished.embeddings}.items():
        np.testing.assert_array_equal(np.array(table.column(name).to_pylist()).reshape(vectors.shape), vectors)


def test_an_event_published_at_the_microsecond_of_a_label_is_not_seen_and_one_a_microsecond_before_is():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0)])
    (one,) = TrainingRows(plan).answer(events, labels(("u", T0), ("u", T0 + 1)))
    assert one.finished.values[:, 0].tolist() == [0, 1]
    assert one.finished.present.tolist() == [False, True]


def test_a_delay_of_arrival_hides_what_was_published_less_than_it_ago():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0)])
    rows = TrainingRows(plan, arrival_delay_us=5 * S)
    (one,) = rows.answer(events, labels(("u", T0 + 5 * S), ("u", T0 + 5 * S + 1)))
    assert one.finished.values[:, 0].tolist() == [0, 1]


def test_labels_keep_duplicates_and_users_without_events_have_defaults():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0, "u"), event(T0 + S, "v")])
    rows = TrainingRows(plan)
    (one,) = rows.answer(events, labels(("v", T0 + M), ("w", T0 + M), ("u", T0 + M), ("v", T0 + M), ("u", T0 - H)))
    assert one.rows.tolist() == [0, 1, 2, 3, 4]
    assert one.finished.values[:, 0].tolist() == [1, 0, 1, 1, 0]
    assert one.finished.present.tolist() == [True, False, True, True, False]
    assert (rows.counts.labels, rows.counts.without_events, rows.counts.errors) == (5, 2, 0)
    assert rows.counts.events == {"applied": 2}


def test_in_order_of_event_time_a_late_event_is_seen_where_it_happened():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0), event(T0 + M)], [T0 + H - S, T0 + M])
    (one,) = TrainingRows(plan, as_of="event").answer(events, labels(("u", T0), ("u", T0 + 1), ("u", T0 + M + 1)))
    assert one.finished.values[:, 0].tolist() == [0, 1, 2]
    (one,) = TrainingRows(plan).answer(events, labels(("u", T0 + 1), ("u", T0 + M + 1), ("u", T0 + H)))
    assert one.finished.values[:, 0].tolist() == [0, 1, 2]


def test_in_order_of_event_time_what_the_stream_refuses_is_in_no_row():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0), event(T0 + 2 * H)], [T0 + H + 1, T0 + 2 * H])
    rows = TrainingRows(plan, as_of="event")
    (one,) = rows.answer(events, labels(("u", T0 + M)))
    assert one.finished.values[:, 0].tolist() == [0]
    assert rows.counts.events == {"applied": 1, "too_late": 1}


def test_in_order_of_event_time_the_clock_follows_it_so_that_no_window_is_rolled_up_before_the_label():
    """The second event is published an hour after the label: by that clock the label's minute is long past."""
    plan = plan_of(features={"f": {"aggregate": "count", "windows": ["48s", "30d"]}}, allowed_lateness="20d")
    events = batch(plan, [event(T0 + 7 * S), event(T0 + 20 * S)], [T0 + 7 * S, T0 + 19 * D])
    (one,) = TrainingRows(plan, as_of="event").answer(events, labels(("u", T0 + 54 * S), ("u", T0 + 56 * S)))
    assert one.finished.values.tolist() == [[2, 2], [1, 2]]
    assert not one.finished.errors


def test_a_user_is_forgotten_at_the_microsecond_at_which_the_retention_has_passed():
    plan = plan_of(features={"f": {"aggregate": "count", "windows": ["lifetime"]}}, retention="2d")
    events = batch(plan, [event(T0), event(T0 + D), event(T0 + 3 * D), event(T0 + 3 * D + H)])
    (one,) = TrainingRows(plan).answer(
        events, labels(("u", T0 + 3 * D - 1), ("u", T0 + 3 * D), ("u", T0 + 3 * D + 1), ("u", T0 + 4 * D))
    )
    assert one.finished.present.tolist() == [True, False, True, True]
    assert one.finished.values[:, 0].tolist() == [2, 0, 1, 2]


def test_a_forgotten_user_s_event_ids_are_forgotten_too():
    plan = plan_of(features=COUNT, retention="1h", allowed_lateness="1h", max_clock_skew="1m")
    events = batch(plan, [event(T0, event_id="a"), event(T0 + H, event_id="a"), event(T0 + H + S, event_id="a")])
    rows = TrainingRows(plan)
    (one,) = rows.answer(events, labels(("u", T0 + H + M)))
    assert one.finished.values[:, 0].tolist() == [1]
    assert rows.counts.events == {"applied": 2, "duplicate": 1}


def test_a_user_is_forgotten_as_often_as_it_happens_with_thousands_of_events_between():
    plan = plan_of(features={"f": {"aggregate": "count", "windows": ["lifetime"]}}, retention="1h")
    made = [event(T0 + day * D + second * S) for day in range(3) for second in range(2500)]
    asked = [("u", T0 + day * D + 2600 * S) for day in range(3)]
    (one,) = TrainingRows(plan).answer(batch(plan, made), labels(*asked))
    assert one.finished.values[:, 0].tolist() == [2500, 2500, 2500]


def test_by_publish_time_a_label_of_a_clock_ahead_sees_its_own_event_unless_it_is_named():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0, event_id="a"), event(T0 + 30 * S, event_id="b")], [T0, T0 + S])
    rows = TrainingRows(plan)
    asked = labels(("u", T0 + 30 * S), ("u", T0 + 30 * S, "b"), ("u", T0, "a"), ("u", T0 + M, "c"))
    found = {row: one.finished.values[at, 0] for one in rows.answer(events, asked) for at, row in enumerate(one.rows)}
    assert found == {0: 2, 1: 1, 2: 0, 3: 2}
    assert (rows.counts.held_back, rows.counts.labels) == (1, 4)
    assert rows.counts.events == {"applied": 2}


def test_a_copy_of_a_label_s_own_event_is_held_back_with_it():
    plan = plan_of(features=COUNT)
    events = batch(plan, [event(T0, event_id="a"), event(T0, event_id="a")], [T0, T0 + S])
    (one,) = TrainingRows(plan).answer(events, labels(("u", T0 + M, "a")))
    assert one.finished.present.tolist() == [False]


def test_copies_that_differ_have_one_order_whatever_that_of_the_rows():
    plan = plan_of(sequences={"s": {"fields": ["item_id", "value"], "last": 3}})
    made = [
        event(T0, event_id="a", item_id=item, value=value) for item, value in (("x", 1.0), (None, 1.0), ("x", None))
    ]
    found = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 0, 1, 2], [2, 1, 1, 0, 2]):
        (one,) = TrainingRows(plan).answer(batch(plan, [made[at] for at in order]), labels(("u", T0 + M)))
        found.append(one.finished.sequences["s"].of_user(0))
    assert all(one == found[0] for one in found)
    assert len(found[0]["item_id"]) == 1


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=60)
def test_several_threads_give_the_rows_and_the_counts_of_one_in_its_order(world: World, data: st.DataObject):
    plan = compile_plan(forgetting(world, data))
    events = Events.from_rows(plan, rows_of(world, plan))
    events = events.take(relevant(plan, events))
    times_us = sorted({T0, *events.published_us.tolist()})
    own = [None, None, *{arrival.event["event_id"] for arrival in world.arrivals}]
    one = st.tuples(st.sampled_from(["nobody", *events.users]), st.sampled_from(times_us), st.sampled_from(own))
    asked = labels(*data.draw(st.lists(one, min_size=1, max_size=12)))
    as_of, delay_us = data.draw(st.sampled_from(ORDERS))

    def answered(threads: int):
        rows = TrainingRows(
            plan,
            as_of=as_of,
            arrival_delay_us=delay_us,
            items=ItemPeriods.always({"shelf": TABLE}),
            threads=threads,
        )
        schema = RowWriter(plan).schema()
        made = [
            (some.rows.tolist(), pa.Table.from_arrays(RowWriter(plan).columns(some.finished), schema=schema))
            for some in rows.answer(events, asked)
        ]
        return [rows for rows, _ in made], [_bits(table) for _, table in made], rows.counts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LABELS_AT_ONCE", data.draw(st.sampled_from([1, 3])))
        assert answered(3) == answered(1)


def _bits(table: pa.Table) -> bytes:
    """Return a table's bytes: NaN is equal to itself there."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
