"""Training rows hold what brute force says of the events that had been published before each label."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_against_oracle import TABLE, assert_row_equals_oracle, rows_of
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, H, M, S, batch, event, plan_of
from user_state import oracle
from user_state.history import training
from user_state.history.labels import labels_of
from user_state.history.rows import RowWriter
from user_state.history.training import TrainingRows
from user_state.plan.compile import compile_plan
from user_state.state.events import Events
from user_state.state.relevant import relevant

COUNT = {"f": {"aggregate": "count", "windows": ["1h"]}}
UTC = pa.timestamp("us", tz="UTC")


def labels(*asked: tuple[str, int]):
    """Return labels as (user, time)."""
    users, at_us = [user for user, _ in asked], [at_us for _, at_us in asked]
    return labels_of(pa.table({"user": users, "time": pa.array(at_us, UTC)}), "user", "time")


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=100)
def test_every_label_has_what_brute_force_says_of_what_was_published_before_it(world: World, data: st.DataObject):
    plan = compile_plan(world.spec)
    world.arrivals.sort(key=lambda arrival: arrival.published_us or 0)
    events = Events.from_rows(plan, rows_of(world, plan))
    arrived = training.in_order_of_arrival(events)
    # Brute force in the order that history has: files do not tell in which order one microsecond's events came.
    place = np.lexsort((events.id_hash, events.time_us, events.published_us))
    arrivals = [world.arrivals[at] for at, taken in zip(place, relevant(plan, arrived), strict=True) if taken]
    times_us = sorted({T0, *events.published_us.tolist(), *events.time_us.tolist()})
    user = st.sampled_from(["nobody", *events.users])
    asked = data.draw(st.lists(st.tuples(user, st.sampled_from(times_us)), min_size=1, max_size=12))
    at_once = data.draw(st.sampled_from([1, 3, training.LABELS_AT_ONCE]))
    rows = TrainingRows(plan, item_vectors={"shelf": TABLE})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LABELS_AT_ONCE", at_once)
        answered = list(rows.answer(events, labels(*asked)))
    assert sorted(np.concatenate([one.rows for one in answered]).tolist()) == [*range(len(asked))]
    for one in answered:
        for row, label in enumerate(one.rows.tolist()):
            name, at_us = asked[label]
            before = [arrival for arrival in arrivals if (arrival.published_us or 0) < at_us]
            applied = oracle.replay(world.spec.spec, before).applied.get(name, [])
            assert one.finished.present[row] == bool(applied)
            assert_row_equals_oracle(world.spec, plan, one.finished, row, applied, at_us)
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
