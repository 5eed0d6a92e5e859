"""What is taken over by columns is what the long way by rows makes of it, and what is odd is left to that."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.random_worlds import QUICK
from tests.trying import T0, S, spec_of, text_of
from user_state.events.arrow_events import ArrowEvents, hashes_of
from user_state.events.row_files import publish_column_of
from user_state.history.event_source import EventSource
from user_state.plan.compile import compile_plan
from user_state.spec import parse_spec
from user_state.state.events import Events

LOADED = spec_of(
    events={
        **{"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "published": "published_at",
    },
    sequences={
        "s": {
            "fields": ["item_id", "action", "event_time", "value", "amount", "bought", "stars", "seen_at"],
            "last": 5,
        }
    },
    features={"f": {"aggregate": "sum", "of": "amount", "windows": ["1h"]}},
)
PLAN = compile_plan(LOADED)
TIMES = (T0, T0 + S, T0 + 1, 0, -1, 2**62)
UTC = pa.timestamp("us", "UTC")
VALUES: dict[str, list[tuple[pa.DataType, Any]]] = {
    "event_id": [(pa.string(), ["a", "b", "ü"]), (pa.int64(), [1, 17, -3]), (pa.string(), ["a", "", None])],
    "user_id": [
        (pa.string(), ["u", "v"]),
        (pa.large_string(), ["u", "é"]),
        (pa.dictionary(pa.int32(), pa.string()), ["u", "v", None]),
        (pa.float64(), [17.0, 18.0]),
        (pa.string(), ["x" * 1024, "y" * 1025]),
    ],
    "event_time": [
        (UTC, TIMES[:3]),
        (pa.timestamp("us"), TIMES[:3]),
        (pa.timestamp("ns", "UTC"), [T0 * 1000 + 999, T0 * 1000]),
        (pa.timestamp("s", "Europe/Berlin"), [T0 // S]),
        (pa.int64(), TIMES[:3]),
        (pa.int64(), [T0 // 1000, T0 // 1000 + 1]),
        (pa.int64(), [T0, T0 // 1000]),
        (pa.int64(), TIMES),
        (pa.string(), ["2022-01-08T00:00:00Z", "yesterday"]),
        (UTC, [T0, None]),
    ],
    "published_at": [(UTC, [T0, None]), (pa.int64(), [T0 // 1000, None]), (UTC, TIMES[:4]), (pa.null(), [None])],
    "publish_time": [(UTC, [T0, None, T0 + S]), (pa.string(), [str(T0), "", None]), (pa.int64(), [T0, None, 12])],
    "action": [
        (pa.string(), ["view", "like", ""]),
        (pa.dictionary(pa.int8(), pa.string()), ["view"]),
        (pa.bool_(), [True]),
    ],
    "item_id": [(pa.string(), ["a", None, ""]), (pa.int32(), [5, None]), (pa.null(), [None])],
    "value": [
        (pa.float64(), [0.1, None, -0.0]),
        (pa.float32(), [0.1, None]),
        (pa.int64(), [3, 2**60 + 1]),
        (pa.float64(), [float("nan"), 1.0]),
        (pa.float64(), [float("inf"), 1.0]),
        (pa.string(), ["1.5", None]),
    ],
    "amount": [
        (pa.int64(), [0, -5, None, 2**63 - 1]),
        (pa.int64(), [-(2**63), 1]),
        (pa.uint64(), [1, 2**64 - 1]),
        (pa.float64(), [17.0, None]),
    ],
    "bought": [(pa.bool_(), [True, False, None]), (pa.int8(), [1, 0])],
    "stars": [(pa.float64(), [0.1, 1e39, None]), (pa.float32(), [4.5])],
    "seen_at": [(pa.timestamp("ms", "UTC"), [T0 // 1000, None]), (UTC, [T0, T0 + 1]), (pa.int64(), [T0 // 1000, None])],
    "surplus": [(pa.string(), ["x"])],
}
REQUIRED = ("event_id", "user_id", "event_time", "action")


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table with most of the columns, each of some type; plain values far more often than odd ones."""
    rows = draw(st.integers(1, 6))
    columns = {}
    for name, kinds in VALUES.items():
        if name not in REQUIRED and draw(st.integers(0, 5)) == 0:
            continue
        kind, values = draw(st.one_of(st.just(kinds[0]), st.just(kinds[0]), st.sampled_from(kinds)))
        columns[name] = pa.array(draw(st.lists(st.sampled_from(values), min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


def texts(events: Events) -> list[tuple[object, ...]]:
    columns = [
        events.pool.objects[column].tolist() if kind == "s" else [repr(value) for value in np.asarray(column).tolist()]
        for column, kind in zip(events.columns, PLAN.kinds, strict=True)
    ]
    users = [events.users[user] for user in events.user.tolist()]
    times = events.time_us.tolist(), events.published_us.tolist()
    return list(zip(users, events.id_hash.tolist(), *times, *columns, strict=True))


def found_in(table: pa.Table) -> tuple[list[tuple[object, ...]], dict[str, int]]:
    rows, refused = [], {}
    for found in EventSource(PLAN, LOADED).of_batches(table.column_names, table.to_batches(), "t"):
        rows += texts(found.events)
        for reason, number in found.refused.items():
            refused[reason] = refused.get(reason, 0) + number
    return rows, refused


@pytest.mark.slow
@given(tables())
@settings(QUICK, max_examples=600)
def test_columns_are_what_rows_are(table: pa.Table):
    by_column = found_in(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrowEvents, "events", lambda *_: None)
        by_row = found_in(table)
    assert by_column == by_row


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("times", [[T0 // S, T0 // S + 1], [T0 // 1000, T0 // 1000 + 1], [T0, T0 + 1]])
def test_integers_of_a_stated_unit_are_what_rows_are(unit: str, times: list[int], tmp_path, monkeypatch):
    types = {"id": "string", "u": "long", "t": "long", "p": ["null", "long"], "x": ["null", "float"]}
    schema = {
        "type": "record",
        "name": "E",
        "fields": [{"name": n, "type": t, **({"default": None} if len(t) == 2 else {})} for n, t in types.items()],
    }
    (tmp_path / "e.avsc").write_text(json.dumps(schema))
    events = {"schema": "e.avsc", "user": "u", "id": "id", "time": "t", "published": "p", "time_unit": unit}
    text = text_of(events={**events, "published_unit": unit}, sequences={"s": {"fields": ["t", "x"], "last": 3}})
    loaded = parse_spec(text, beside=tmp_path)
    table = pa.table({"id": ["a", "b"], "u": [1, 2], "t": times, "p": pa.array([None, times[0]]), "x": [0.1, None]})

    def found() -> list[object]:
        read = EventSource(compile_plan(loaded), loaded).of_batches(table.column_names, table.to_batches(), "t")
        made = []
        for one in read:
            events = one.events
            times_us = events.time_us.tolist(), events.published_us.tolist()
            columns = [repr(np.asarray(column).tolist()) for column in events.columns]
            made.append((events.users, times_us, columns, one.refused))
        return made

    by_column = found()
    monkeypatch.setattr(ArrowEvents, "events", lambda *_: None)
    assert by_column == found()
    assert by_column[0][0] == ["1", "2"]


def plain(**columns: Any) -> pa.RecordBatch:
    held = {
        **{"event_id": pa.array(["a", "b"]), "user_id": pa.array(["u", "v"]), "event_time": pa.array([T0, T0], UTC)},
        "action": pa.array(["view", "like"]),
        **columns,
    }
    return pa.RecordBatch.from_pydict(held)


def taken(batch: pa.RecordBatch) -> Events | None:
    return ArrowEvents(PLAN, LOADED.schema, batch.schema.names, publish_column_of(LOADED, None)).events(batch)


def test_plain_columns_are_taken_over_and_a_missing_column_is_null():
    events = taken(plain(value=pa.array([1, None], pa.int32())))
    assert events is not None
    assert (events.users, events.user.tolist()) == (["u", "v"], [0, 1])


@pytest.mark.parametrize(
    "odd",
    [
        {"user_id": pa.array(["u", None])},
        {"event_id": pa.array(["", "b"])},
        {"value": pa.array([float("nan"), 1.0])},
        {"event_time": pa.array([T0, 0], UTC)},
        {"amount": pa.array(["1", "2"])},
        {"user_id.x": pa.array(["u", "v"])},
        {"event_id": pa.array([b"a", b"\xff"]).view(pa.string())},
    ],
)
def test_odd_ones_are_left_to_be_looked_at_by_row(odd: dict[str, Any]):
    assert taken(plain(**odd)) is None


def test_hashes_are_those_of_the_texts():
    import xxhash

    texts = ["", "a", "ü" * 40, "x" * 31, "y" * 32]
    expected = [xxhash.xxh64_intdigest(text.encode()) for text in texts]
    array = pa.array(["before", *texts, "behind"], pa.large_string())
    assert hashes_of(array.slice(1, 5)).tolist() == expected
    assert hashes_of(array.slice(0, 0)).tolist() == []
