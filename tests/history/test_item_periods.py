"""Labels are answered with the item tables that were in use at their time, and refused where nobody knows which."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.history.files import UTC, labels_at, made_events, table_of
from tests.servers.redis import Valkey
from tests.trying import T0, D, H, M, S, event, spec_of, text_of
from user_state.client import UserStateClient
from user_state.embeddings.activation import Activation
from user_state.embeddings.table import ItemTable
from user_state.embeddings.table_file import write_table
from user_state.errors import InputError
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.history.event_source import EventSource
from user_state.history.item_periods import ItemPeriods, in_use
from user_state.history.label_source import read_labels
from user_state.history.shards import Shards
from user_state.history.training_batches import Answering, TrainingBatches
from user_state.history.training_set import label_columns
from user_state.plan.compile import compile_plan
from user_state.spec import parse_spec
from user_state.store.item_tables import ItemTableStore
from user_state.store.redis_store import RedisStateStore
from user_state.times import format_time

OVER = {"of": "item_id", "vectors": "shelf", "last": 5}
PARTS = {
    "embeddings": {
        "near": {"kind": "decayed_mean", "half_life": "1h", **OVER},
        "folded": {"kind": "fold_in", "half_life": "1d", **OVER},
        "two": {"kind": "interests", "most": 2, "half_life": "1d", **OVER},
    },
    "items": {"shelf": {"dimensions": 2}},
    "events": {
        **{"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "published": "published_at",
    },
}
SPEC = spec_of(**PARTS)
PLAN = compile_plan(SPEC)


def table_made(seed: int) -> ItemTable:
    items = ["a", "b", "ü"][: 2 + seed % 2]
    return ItemTable(items, np.random.default_rng(seed).normal(size=(len(items), 2)).astype(np.float32))


VERSIONS = [table_made(seed) for seed in range(4)]


def rows_of(folder: Path, labels: pa.Table, items: ItemPeriods) -> pa.Table:
    """Return the rows of labels in their order."""
    events = made_events(3, 500)
    shards, opened = Shards(folder, PLAN, 1), read_labels(labels)
    batches = TrainingBatches(PLAN, opened.schema, Answering(items=items))
    users, _, _ = shards.split_labels(opened, label_columns(SPEC, opened.schema), None, None)
    shards.split_events(EventSource(PLAN, SPEC).of_batches(*columns_of(table_of(events))), users, None, bool)
    rows, _ = batches.of_shard(shards, 0)
    return pa.Table.from_batches(list(rows)).sort_by("label_row")


def columns_of(table: pa.Table):
    return table.column_names, table.to_batches(), "the table of events"


def found(
    activations: list[Activation], times_us: tuple[int, int], versions: list[ItemTable] = VERSIONS
) -> ItemPeriods:
    by_version = {one.version: one for one in versions}
    return in_use({}, {"shelf": activations}, times_us, {"shelf": 2}, lambda _, version: by_version.get(version))


def test_each_label_has_the_rows_of_the_version_that_was_in_use_pinned(tmp_path: Path):
    labels = labels_at(made_events(3, 500), 200)
    at_us = labels["event_time"].cast(pa.int64()).to_numpy()
    # A version comes into use at a label's own microsecond, one an hour on, and the first one again.
    begins = [0, int(np.sort(at_us)[60]), int(np.sort(at_us)[120]), int(np.sort(at_us)[120]) + H]
    tables = [*VERSIONS[:3], VERSIONS[0]]
    activations = [Activation(us, one.version) for us, one in zip(begins, tables, strict=True)]
    made = rows_of(tmp_path, labels, found(activations, (int(at_us.min()), int(at_us.max()))))
    pinned = [rows_of(tmp_path, labels, ItemPeriods.always({"shelf": one})) for one in tables]
    # Worked out label by label: the last that began before it.
    period = [max(at for at, begin in enumerate(begins) if begin < us) for us in at_us.tolist()]
    assert set(period) == {0, 1, 2, 3}
    for row, of in enumerate(period):
        assert made.slice(row, 1).to_pylist() == pinned[of].slice(row, 1).to_pylist()
        assert json.loads(made["item_versions"][row].as_py()) == {"shelf": tables[of].version}
    assert pinned[0]["near_1h"].to_pylist() != pinned[1]["near_1h"].to_pylist()


def test_a_label_at_the_microsecond_of_a_new_version_has_the_one_before():
    periods = found([Activation(T0, VERSIONS[0].version), Activation(T0 + M, VERSIONS[1].version)], (T0 + 1, T0 + H))
    assert periods.period(np.array([T0 + 1, T0 + M - 1, T0 + M, T0 + M + 1])).tolist() == [0, 0, 0, 1]


def test_a_version_that_comes_into_use_later_is_in_no_earlier_row_and_not_asked_for():
    some = [Activation(T0, VERSIONS[0].version), Activation(T0 + H, VERSIONS[1].version)]
    later = [*some, Activation(T0 + 2 * H, "of the future")]
    for times_us in ((T0 + 1, T0 + 2 * H), (T0 + H + 1, T0 + 2 * H)):
        one, other = found(some, times_us), found(later, times_us)
        assert one.described() == other.described()
    assert found(later, (T0 + H + 1, T0 + 2 * H)).described() == {"shelf": VERSIONS[1].version}


def test_labels_that_nobody_knows_a_version_for_are_refused():
    first = [Activation(T0, VERSIONS[0].version)]
    with pytest.raises(InputError, match=f"labels after {format_time(T0)}, when the first version of the item table"):
        found(first, (T0, T0 + D))
    assert found(first, (T0 + 1, T0 + D)).described() == {"shelf": VERSIONS[0].version}
    with pytest.raises(InputError, match="since when which version of the item table shelf was in use, got nothing"):
        found([], (T0, T0 + D))
    with pytest.raises(InputError, match=f"expected version {VERSIONS[0].version} of .* --item-version shelf=FILE"):
        found(first, (T0 + 1, T0 + D), [])
    wide = ItemTable(["a"], np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match="for the table shelf, as the spec says, got 3"):
        found([Activation(T0, wide.version)], (T0 + 1, T0 + D), [wide])


def test_tables_change_at_times_of_their_own_and_pinned_ones_never():
    one, other, fixed = VERSIONS[:3]
    activations = {
        "x": [Activation(T0, one.version), Activation(T0 + 2 * S, other.version)],
        "y": [
            Activation(T0, other.version),
            Activation(T0 + 3 * S, one.version),
            Activation(T0 + 2 * S, other.version),
        ],
    }
    activations["y"].sort()
    by_version = {table.version: table for table in VERSIONS}
    sizes = {"x": 2, "y": 2}
    periods = in_use({"z": fixed}, activations, (T0 + S, T0 + D), sizes, lambda _, version: by_version[version])
    of = [periods.tables[at] for at in periods.period(np.array([T0 + S, T0 + 2 * S + 1, T0 + 3 * S + 1])).tolist()]
    expected = [(one, other, fixed), (other, other, fixed), (other, one, fixed)]
    assert [(each["x"], each["y"], each["z"]) for each in of] == expected


@pytest.mark.slow
@pytest.mark.server
def test_the_command_answers_with_what_the_client_was_composed_of_at_the_time(valkey: Valkey, tmp_path: Path):
    (tmp_path / "spec.yaml").write_text(text_of(**{**PARTS, "name": "tables"}))
    spec = parse_spec(text_of(**{**PARTS, "name": "tables"}), beside=Path(__file__).parents[1])
    (tmp_path / "tried.avsc").write_text((Path(__file__).parents[1] / "tried.avsc").read_text())
    plan, now_us = compile_plan(spec), time.time_ns() // 1000
    events = [
        event(now_us - at * M, f"u{at % 3}", f"e{at}", published_at=now_us - at * M, item_id="abü"[at % 3])
        for at in range(20)
    ]
    pq.write_table(table_of(events), tmp_path / "events.parquet")
    told, asked = [], []
    store = RedisStateStore(valkey.url, plan.name, timeout_s=5)
    decoder = EventDecoder(plan, spec.schema)
    Folder(plan, store).fold([decoder.row(one, one["published_at"]) for one in events])
    with ItemTableStore(valkey.url, plan.name) as tables:
        for number in (0, 1, 2):
            tables.load("shelf", VERSIONS[number], at_us=0, grace_s=0 if number == 1 else 600)
            time.sleep(0.01)
            at_us = time.time_ns() // 1000
            with UserStateClient.from_url(valkey.url, spec, timeout_s=5) as client:
                told.append(client.get_many(["u0", "u1", "u2", "nobody"], at_us))
            asked.append(at_us)
            time.sleep(0.01)
    store.close()
    users = [user for batch in told for user in batch.users]
    times = pa.array(np.repeat(asked, 4), UTC)
    pq.write_table(pa.table({"user_id": users, "event_time": times}), tmp_path / "labels.parquet")

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        words = ["--spec", "spec.yaml", "--input", "events.parquet", "--labels", "labels.parquet", *more]
        command = [sys.executable, "-m", "user_state.cli.main", "training-set", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    gone = run("--redis", valkey.url, "--out", "rows")
    assert gone.returncode == 2
    assert f"expected version {VERSIONS[0].version} of the item table shelf" in gone.stderr
    assert "Traceback" not in gone.stderr
    write_table(tmp_path / "first.npz", VERSIONS[0])
    done = run("--redis", valkey.url, "--item-version", "shelf=first.npz", "--out", "rows")
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / "rows").sort_by("label_row")
    said = [json.loads(one) for one in rows["item_versions"].to_pylist()]
    assert said == [batch.item_versions for batch in told for _ in batch.users]
    assert [one["shelf"] for one in said[::4]] == [one.version for one in VERSIONS[:3]]
    near = np.array(rows["near_1h"].to_pylist(), np.float32)
    np.testing.assert_allclose(near, np.concatenate([one.embeddings["near_1h"] for one in told]), rtol=1e-6)
    assert len(np.unique(near[::4], axis=0)) == 3

    one = run("--redis", valkey.url, "--items", f"shelf={VERSIONS[1].version}", "--out", "pinned")
    assert one.returncode == 0, one.stderr
    assert set(pq.read_table(tmp_path / "pinned")["item_versions"].to_pylist()) == {
        json.dumps({"shelf": VERSIONS[1].version})
    }
    unknown = run("--redis", valkey.url, "--items", "shelf=0123456789abcdef", "--out", "none")
    assert "expected a version of the item table shelf that Redis has, got 0123456789abcdef" in unknown.stderr
    alone = run("--items", f"shelf={VERSIONS[1].version}", "--out", "none")
    assert "expected --redis beside --items shelf=" in alone.stderr
    assert not (tmp_path / "none").exists()
