"""Files of an object store through the commands that judge and convert events: the same as files of this machine."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pipelines.traffic import expected_of_file, make_traffic, run_arguments
from tests.servers.object_store import ObjectStore, running_object_store
from tests.servers.pipeline import run_command
from tests.servers.redis import Valkey


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    with running_object_store() as server:
        yield server


@pytest.mark.slow
def test_an_object_store_gives_what_files_of_this_machine_give(
    store: ObjectStore, valkey: Valkey, tmp_path: Path
) -> None:
    traffic = make_traffic(tmp_path, events=600, users=20, seed=3)
    store.files["logs/traffic.avro"] = traffic.path.read_bytes()
    spec, remote = tmp_path / "user_state.yaml", "s3://bucket/logs/*.avro"
    done = run_command("run", *run_arguments(traffic, traffic.path, valkey.url, tmp_path / "dead"))
    assert done.returncode == 0, done.stderr
    told = []
    for events in (remote, str(traffic.path)):
        done = run_command(
            *("verify", "--spec", spec, "--events", events, "--redis", valkey.url), env=store.environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        counts, *_, compared = done.stdout.splitlines()  # in between: what depends on when the file was written
        told.append((counts, compared.partition(" users at ")[0]))
    assert told[0] == told[1]
    assert "applied" in told[0][0]

    served = sorted(expected_of_file(traffic).applied)
    lines = "".join(f"{user},{datetime.datetime.now(datetime.UTC).isoformat()}\n" for user in served)
    (tmp_path / "labels.csv").write_text(f"user_id,event_time\n{lines}")
    rows = []
    for events, out in ((remote, tmp_path / "remote"), (str(traffic.path), tmp_path / "local")):
        done = run_command(
            *("training-set", "--spec", spec, "--input", events, "--labels", tmp_path / "labels.csv", "--out", out),
            env=store.environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        rows.append([path.read_bytes() for path in sorted(out.glob("part-*.parquet"))])
    assert rows[0] == rows[1]
    assert all(pq.read_table(tmp_path / "remote")["present"].to_pylist())
    [named] = json.loads((tmp_path / "remote" / "_manifest.json").read_text())["inputs"]
    assert (named["path"], named["bytes"]) == ("s3://bucket/logs/traffic.avro", traffic.path.stat().st_size)


@pytest.mark.parametrize("option", ["--labels", "--out"])
def test_labels_and_rows_are_of_this_machine(tmp_path: Path, option: str) -> None:
    (tmp_path / "labels.csv").write_text("user_id,event_time\nu1,2025-11-24T16:00:00Z\n")
    given = {"--labels": str(tmp_path / "labels.csv"), "--out": str(tmp_path / "rows"), option: "gs://bucket/x.csv"}
    spec = Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml"
    done = run_command(
        *("training-set", "--spec", spec, "--input", "none.avro"), *(one for pair in given.items() for one in pair)
    )
    assert done.returncode == 2
    assert "expected a path of this machine for" in done.stderr
    assert not Path("gs:").exists()
