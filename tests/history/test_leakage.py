"""Nothing of the future is in a row: an event counts from the microsecond on at which it was seen, and not before."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.history.files import LOADED, UTC, in_order, labels_at, made_events, table_of
from tests.random_worlds import QUICK
from tests.trying import T0, D, H, M, S, event
from user_state import history


def rows_of(events, labels: pa.Table, **how) -> list[str]:
    batches = list(history.training_set(LOADED, table_of(events), labels, shards=2, **how))
    return [repr(row) for row in in_order(pa.Table.from_batches(batches)).to_pylist()]


def views(events, at_us: int, **how) -> float:
    labels = pa.table({"user_id": ["u"], "event_time": pa.array([at_us], UTC)})
    (batch,) = history.training_set(LOADED, table_of(events), labels, shards=1, **how)
    return batch.column("views_count_1h").to_pylist()[0]


@pytest.mark.parametrize(("as_of", "clock"), [("publish", "published_at"), ("event", "event_time")])
@pytest.mark.parametrize("off_us", [-2, -1, 0, 1, 2])
def test_an_event_counts_for_a_label_after_its_microsecond_by_the_clock_of_the_order_alone(as_of, clock, off_us):
    before = event(T0 - M, "u", published_at=T0 - M)
    moved = {**event(T0 - S, "u", published_at=T0), clock: T0 + off_us}
    if clock == "published_at":
        moved["event_time"] = T0 - S
    else:
        moved["published_at"] = T0 + 30 * S
    assert views([before, moved], T0, as_of=as_of) == 1 + (off_us < 0)


@pytest.mark.parametrize("off_us", [-1, 0, 1])
def test_the_delay_of_arrival_is_to_the_microsecond(off_us: int):
    made = event(T0 - H // 2, "u", published_at=T0 - 5 * S + off_us)
    assert views([made], T0, arrival_delay="5s") == (off_us < 0)


def test_by_publish_time_the_event_time_decides_nothing_and_in_event_order_the_publish_time_nothing():
    ahead = event(T0 + 30 * S, "u", published_at=T0 - 1)
    late = event(T0 - 1, "u", published_at=T0 + H - S)
    assert (views([ahead], T0), views([ahead], T0, as_of="event")) == (1, 0)
    assert (views([late], T0), views([late], T0, as_of="event")) == (0, 1)


@pytest.mark.slow
@given(st.integers(0, 10_000), st.sampled_from(["publish", "event"]))
@settings(QUICK, max_examples=25)
def test_appending_the_future_changes_no_row_of_the_past(seed: int, as_of: str):
    """Events that are published and happen after the last label, in files of their own, and labels of later."""
    events = made_events(seed, 120, users=4, span_us=2 * D)
    labels = labels_at(events, 40, seed)
    end_us = max(labels["event_time"].cast(pa.int64()).to_pylist())
    chance = random.Random(seed)
    future = [
        {**one, "event_id": chance.choice([one["event_id"], f"later {at}"]), "event_time": later, "published_at": later}
        for at, one in enumerate(events[:60])
        for later in [end_us + chance.choice([0, 1, H, 3 * D])]
    ]
    later = labels.set_column(1, "event_time", pa.array([end_us + D] * len(labels), UTC))
    before = rows_of(events, labels, as_of=as_of)
    after = rows_of([*future, *events], pa.concat_tables([labels, later]), as_of=as_of)
    assert after[: len(before)] == before
    assert after[len(before) :] != before
