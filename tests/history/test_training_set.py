"""history.training_set: what brute force says of every label, whatever the files, shards and sizes of batches."""

from __future__ import annotations

import random
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tests.families.test_against_oracle import assert_row_equals_oracle
from tests.history.files import (
    COLUMNS,
    LOADED,
    UTC,
    arrivals_of,
    in_order,
    labels_at,
    made_events,
    table_of,
    write_events,
)
from tests.trying import T0, D, H, M, S, event, spec_of
from user_state import history, oracle
from user_state.errors import InputError
from user_state.history import event_source, training
from user_state.history.event_source import EventSource
from user_state.history.label_source import labels_in, read_labels
from user_state.history.shards import Shards
from user_state.history.training import TrainingRows
from user_state.history.training_set import label_columns
from user_state.plan.compile import compile_plan
from user_state.state.events import Events

PLAN = compile_plan(LOADED)


def rows_of(events, labels, **how) -> pa.Table:
    """Return a training set as a table, in the order of the labels."""
    batches = list(history.training_set(LOADED, events, labels, **how))
    return in_order(pa.Table.from_batches(batches))


def values_of(table: pa.Table) -> list[str]:
    """Return rows as text, whatever their encoding; NaN is equal to NaN."""
    return [repr(row) for row in table.to_pylist()]


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"arrival_delay": "5s"}, {"as_of": "event"}])
def test_every_label_has_what_brute_force_says(tmp_path: Path, how: dict[str, str]):
    events = made_events(1, 400)
    labels = labels_at(events, 300)
    shards = Shards(tmp_path, PLAN, 3)
    opened = read_labels(labels)
    users, _, _ = shards.split_labels(opened, label_columns(LOADED, opened.schema), None, None)
    shards.split_events(
        EventSource(PLAN, LOADED).of_batches(list(COLUMNS), table_of(events).to_batches(), ""), users, None, bool
    )
    arrivals, compared = arrivals_of(events), 0
    delay_us = 5 * S if how.get("arrival_delay") else 0
    for shard in range(3):
        own = labels_in(shards.labels(shard))
        rows = TrainingRows(PLAN, as_of=how.get("as_of", "publish"), arrival_delay_us=delay_us)
        for one in rows.answer(shards.events(shard), own):
            for row, label in enumerate(one.rows.tolist()):
                user, at_us = own.users[own.user[label]], int(own.at_us[label])
                known = oracle.known_at(
                    LOADED.spec, arrivals, user, at_us, order=how.get("as_of", "publish"), delay_us=delay_us
                )
                assert one.finished.present[row] == bool(known)
                assert_row_equals_oracle(LOADED, PLAN, one.finished, row, known, at_us)
                compared += 1
    assert compared == 300


def test_columns_order_and_duplicates_of_labels_are_kept():
    events = made_events(2, 200)
    labels = labels_at(events, 100)
    labels = pa.concat_tables([labels, labels.slice(0, 7)])
    found = rows_of(table_of(events), labels)
    assert found.column_names[: len(labels.column_names)] == labels.column_names
    assert found.select(labels.column_names).to_pylist() == labels.to_pylist()
    assert found["label_row"].to_pylist() == list(range(107))
    outputs = found.drop_columns("label_row")
    assert values_of(outputs.slice(0, 7)) == values_of(outputs.slice(100, 7))


def test_types_of_columns():
    events = made_events(2, 50)
    schema = rows_of(table_of(events), labels_at(events, 5)).schema
    assert schema.field("views_count_1h").type == pa.float32()
    assert schema.field("recent.item_id").type == pa.list_(pa.dictionary(pa.int32(), pa.string()))
    assert schema.field("recent.event_time").type == pa.list_(UTC)
    assert schema.field("taste_1h").type == pa.list_(pa.float32(), 8)
    assert schema.field("present").type == pa.bool_()


def test_users_without_events_and_labels_before_all_events_have_the_defaults():
    events = [event(T0, "u", published_at=T0, value=1.0)]
    labels = pa.table({"user_id": ["w", "u", "u"], "event_time": pa.array([T0 + M, T0, T0 + M], UTC)})
    found = rows_of(table_of(events), labels)
    assert found["present"].to_pylist() == [False, False, True]
    assert found["views_count_1h"].to_pylist() == [0, 0, 1]
    assert found["recent.action"].to_pylist() == [[], [], ["view"]]


@pytest.mark.slow
@pytest.mark.parametrize("as_of", ["publish", "event"])
def test_order_of_files_and_rows_shards_and_sizes_of_batches_change_nothing(monkeypatch, as_of: str):
    events, chance = made_events(3, 600), random.Random(0)
    labels = labels_at(events, 300)
    expected = values_of(rows_of(table_of(events), labels, as_of=as_of))
    for shards, at_once, rows_at_once in ((1, 7, 50), (5, 1, 1), (16, 20_000, 13)):
        chance.shuffle(events)
        monkeypatch.setattr(training, "LABELS_AT_ONCE", at_once)
        monkeypatch.setattr(event_source, "ROWS_AT_ONCE", rows_at_once)
        assert values_of(rows_of(table_of(events), labels, as_of=as_of, shards=shards)) == expected


def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path):
    events = made_events(4, 120)
    labels = labels_at(events, 60)
    table = table_of(events)
    pattern = write_events(tmp_path, events)
    pyarrow.csv.write_csv(table, tmp_path / "events.csv")
    with (tmp_path / "events.avro").open("wb") as file:
        fastavro.writer(file, LOADED.schema.original, events)
    expected = values_of(rows_of(table, labels))
    for source in (pattern, [str(tmp_path / "events.csv")], tmp_path / "events.avro", table.to_reader(max_chunksize=9)):
        assert values_of(rows_of(source, labels)) == expected


def test_files_without_publish_times_are_sorted_by_event_time():
    made = [event(T0 + D, "u", value=1.0), event(T0, "u", value=1.0), event(T0 + 2 * H, "u", value=1.0)]
    labels = pa.table({"user_id": ["u"] * 3, "event_time": pa.array([T0 + 1, T0 + 3 * H, T0 + D + 1], UTC)})
    found = rows_of(table_of(made), labels)
    assert found["views_count_lifetime"].to_pylist() == [1, 2, 3]


def test_rows_with_something_odd_are_judged_by_row_and_the_others_are_not_lost():
    events = made_events(5, 100)
    table = table_of(events)
    odd = table.set_column(
        table.column_names.index("user_id"),
        "user_id",
        pa.array([None if at == 50 else one["user_id"] for at, one in enumerate(events)], pa.string()),
    )
    kept = table_of([one for at, one in enumerate(events) if at != 50])
    labels = labels_at(events, 50)
    assert values_of(rows_of(odd, labels)) == values_of(rows_of(kept, labels))


def test_a_column_that_training_rows_have_by_themselves_is_refused():
    labels = pa.table({"user_id": ["u"], "event_time": pa.array([T0], UTC), "present": [True]})
    with pytest.raises(InputError, match="got present: rename them"):
        history.training_set(LOADED, table_of([]), labels)


def test_what_is_no_table_is_refused():
    with pytest.raises(InputError, match="got int"):
        history.training_set(LOADED, table_of([]), 7)
    with pytest.raises(InputError, match="publish or event, got 'now'"):
        history.training_set(LOADED, table_of([]), labels_at(made_events(1, 3), 1), as_of="now")
    with pytest.raises(InputError, match="only in order of publishing"):
        history.training_set(LOADED, table_of([]), labels_at(made_events(1, 3), 1), as_of="event", arrival_delay="5s")
    with pytest.raises(InputError, match="got 'soon', as the delay"):
        history.training_set(LOADED, table_of([]), labels_at(made_events(1, 3), 1), arrival_delay="soon")


def test_no_events_and_no_labels():
    labels = labels_at(made_events(6, 20), 10)
    assert rows_of(table_of([]), labels)["present"].to_pylist() == [False] * 10
    assert list(history.training_set(LOADED, table_of(made_events(6, 20)), labels.slice(0, 0))) == []


def test_labels_own_events_are_held_back_where_the_column_of_ids_is_there():
    made = [event(T0, "u", "a", published_at=T0), event(T0 + 30 * S, "u", "b", published_at=T0 + S)]
    labels = pa.table({"user_id": ["u", "u"], "event_time": pa.array([T0 + 30 * S] * 2, UTC), "event_id": ["b", None]})
    assert rows_of(table_of(made), labels)["views_count_1h"].to_pylist() == [1, 2]


SHELF = {"embeddings": {"near": {"kind": "decayed_mean", "of": "item_id", "vectors": "shelf", "half_life": "1h"}}}


def test_item_tables_are_pinned_and_learned_ones_refused(tmp_path: Path):
    np.savez(tmp_path / "shelf.npz", ids=np.array(["a", "b"]), vectors=np.array([[1, 2], [3, 4]], np.float32))
    loaded = spec_of(**SHELF, items={"shelf": {"dimensions": 2}})
    made = [event(T0, "u", item_id="a"), event(T0 + S, "u", item_id="nothing")]
    labels = pa.table({"user_id": ["u"], "event_time": pa.array([T0 + M], UTC)})
    with pytest.raises(InputError, match="near_1h is composed of the item table shelf: say which version with --items"):
        history.training_set(loaded, table_of(made), labels)
    with pytest.raises(InputError, match=r"\(shelf\), got catalogue"):
        history.training_set(loaded, table_of(made), labels, items={"catalogue": tmp_path / "shelf.npz"})
    (found,) = history.training_set(loaded, table_of(made), labels, items={"shelf": tmp_path / "shelf.npz"})
    assert found.column("near_1h").to_pylist() == [[1, 2]]
    assert found.column("missing_items.near_1h").to_pylist() == [1]
    wide = spec_of(**SHELF, items={"shelf": {"dimensions": 3}})
    with pytest.raises(InputError, match="expected vectors of 3 numbers"):
        history.training_set(wide, table_of(made), labels, items={"shelf": tmp_path / "shelf.npz"})


def test_a_shard_gives_back_the_events_that_were_written(tmp_path: Path):
    """Texts come again in later batches, with nulls between; codes differ, values do not."""
    events = made_events(8, 300)
    shards = Shards(tmp_path, PLAN, 1)
    labels = read_labels(labels_at(events, 300))
    users, _, _ = shards.split_labels(labels, label_columns(LOADED, labels.schema), None, None)
    source = EventSource(PLAN, LOADED, rows_at_once=17)
    shards.split_events(source.of_batches(list(COLUMNS), table_of(events).to_batches(), ""), users, None, bool)
    held = shards.events(0)
    (found,) = EventSource(PLAN, LOADED).of_batches(list(COLUMNS), table_of(events).combine_chunks().to_batches(), "")
    assert texts(held) == texts(found.events)


def texts(events: Events) -> list[tuple[object, ...]]:
    columns = []
    for column, kind in zip(events.columns, PLAN.kinds, strict=True):
        columns.append(
            events.pool.objects[column].tolist() if kind == "s" else [repr(value) for value in column.tolist()]
        )
    users = [events.users[user] for user in events.user.tolist()]
    return list(
        zip(
            users, events.id_hash.tolist(), events.time_us.tolist(), events.published_us.tolist(), *columns, strict=True
        )
    )


def test_labels_in_every_kind_of_file_are_the_same_and_ids_in_text_keep_their_zeros(tmp_path: Path):
    events = [event(T0, "007", "1", published_at=T0), event(T0 + S, "7", "2", published_at=T0 + S)]
    made = {"user_id": ["007", "7", "007"], "event_time": pa.array([T0 + M] * 3, UTC), "event_id": [None, "2", "1"]}
    labels = pa.table({**made, "note": ["NA", "x,y", None], "weight": [1.5, None, 2.0]})
    pq.write_table(labels, tmp_path / "labels.parquet")
    pyarrow.csv.write_csv(labels, tmp_path / "labels.csv")
    with pa.OSFile(str(tmp_path / "labels.arrow"), "wb") as sink, pa.ipc.new_file(sink, labels.schema) as writer:
        writer.write_table(labels)
    expected = values_of(rows_of(table_of(events), labels).drop_columns("event_time"))
    assert [row["views_count_1h"] for row in rows_of(table_of(events), labels).to_pylist()] == [1, 0, 0]
    for name in ("labels.parquet", "labels.csv", "labels.arrow"):
        assert values_of(rows_of(table_of(events), tmp_path / name).drop_columns("event_time")) == expected
    (tmp_path / "labels.csv").write_text("user_id,event_time\n,2022-01-08T00:01:00Z\n")
    with pytest.raises(InputError, match="got 1 nulls"):
        list(history.training_set(LOADED, table_of(events), tmp_path / "labels.csv"))
