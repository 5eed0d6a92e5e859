"""user-state training-set: a folder that is whole or goes on, and what it refuses."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.history.files import UTC, in_order, labels_at, made_events, write_events, write_spec
from tests.trying import T0, D
from user_state import history
from user_state.times import format_time

WITHIN_S = 120


def command(folder: Path, *more: str, out: str = "out", labels: str = "labels.parquet") -> list[str]:
    return [
        *(sys.executable, "-m", "user_state.cli.main", "training-set", "--spec", str(folder / "spec.yaml")),
        *("--input", str(folder / "events-*.parquet"), "--labels", str(folder / labels), "--out", str(folder / out)),
        *more,
    ]


def run(folder: Path, *more: str, **where: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *more, **where), capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def refused(folder: Path, *more: str, **where: str) -> str:
    done = run(folder, *more, **where)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with a spec, events and labels."""
    events = made_events(11, 800)
    write_spec(tmp_path)
    write_events(tmp_path, events)
    pq.write_table(labels_at(events, 300), tmp_path / "labels.parquet")
    return tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.slow
def test_the_command_writes_what_python_gives_and_counts_every_event_and_label(world: Path):
    done = run(world, "--shards", "3")
    assert done.returncode == 0, done.stderr
    table = in_order(pq.read_table(world / "out"))
    batches = history.training_set(world / "spec.yaml", world / "events-*.parquet", world / "labels.parquet")
    expected = in_order(pa.Table.from_batches(list(batches)))
    assert [repr(row) for row in table.to_pylist()] == [repr(row) for row in expected.to_pylist()]
    assert sorted(path.name for path in (world / "out").iterdir()) == [
        "_manifest.json",
        *(f"part-{shard:05}-of-00003.parquet" for shard in range(3)),
    ]
    manifest = json.loads((world / "out" / "_manifest.json").read_text())
    assert sum(manifest["counts"]["events"].values()) == 800
    assert manifest["counts"]["events"]["duplicate"] > 0
    labels = manifest["counts"]["labels"]
    assert (labels["answered"], labels["present"]) == (300, sum(expected["present"].to_pylist()))
    assert f"labels: 300 answered, {labels['present']}" in done.stdout


@pytest.mark.slow
def test_a_job_that_is_killed_at_any_moment_goes_on_to_the_same_bytes(world: Path):
    chance = random.Random(5)
    began = time.monotonic()
    assert run(world, "--shards", "7", out="whole").returncode == 0
    shortest_s = time.monotonic() - began
    killed = 0
    while killed < 5:
        began = time.monotonic()
        process = subprocess.Popen(command(world, "--shards", "7"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            process.wait(chance.uniform(0.4, 1.0) * shortest_s)
            # It was faster than before: from the beginning, and sooner.
            shortest_s = min(shortest_s, time.monotonic() - began)
            shutil.rmtree(world / "out")
        except subprocess.TimeoutExpired:
            killed += 1
        process.kill()
        process.communicate()
    done = run(world, "--shards", "7")
    assert done.returncode == 0, done.stderr
    assert files_of(world / "out") == files_of(world / "whole")
    assert [path.name for path in (world / "out").iterdir() if path.is_dir()] == []


@pytest.mark.slow
def test_shards_that_are_there_are_not_made_again(world: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed after the first shard: the second command makes the others and leaves the first alone."""
    script = (
        "import os, signal\n"
        "from user_state.history import job\n"
        "answer = job.TrainingSetJob._answer\n"
        "def killed(self, shard, advance):\n"
        "    answer(self, shard, advance)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "job.TrainingSetJob._answer = killed\n"
        "from user_state.cli.main import main\n"
        "main()\n"
    )
    arguments = command(world, "--shards", "3", "--workers", "1")[3:]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == -9
    first = world / "out" / "part-00000-of-00003.parquet"
    made_ns = first.stat().st_mtime_ns
    assert [path.name for path in (world / "out").iterdir() if path.is_file()] == [first.name]
    assert run(world, "--shards", "3").returncode == 0
    assert first.stat().st_mtime_ns == made_ns
    assert pq.read_table(world / "out").num_rows == 300
    again = run(world, "--shards", "3")
    assert (again.returncode, first.stat().st_mtime_ns) == (0, made_ns)
    assert "300 answered" in again.stdout


@pytest.mark.slow
def test_a_folder_of_something_else_is_refused_and_left_alone(world: Path):
    (world / "out").mkdir()
    (world / "out" / "thesis.txt").write_text("mine")
    assert "which has thesis.txt" in refused(world)
    assert files_of(world / "out") == {"thesis.txt": b"mine"}
    assert run(world, "--shards", "2", out="rows").returncode == 0
    before = files_of(world / "rows")
    assert 'whose job has another as_of: "event" instead of "publish"' in refused(
        world, "--shards", "2", "--as-of", "event", out="rows"
    )
    os.utime(world / "events-0.parquet", ns=(1, 1))
    assert "another inputs" in refused(world, "--shards", "2", out="rows")
    assert files_of(world / "rows") == before


@pytest.mark.slow
def test_a_disk_that_fills_leaves_no_file_half_written_and_the_job_goes_on(world: Path):
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY))

    done = subprocess.run(
        command(world, "--shards", "3"),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
        preexec_fn=no_room,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: cannot write ")
    assert "run the same command again to go on" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (world / "out").glob("*.parquet*")] == []
    assert run(world, "--shards", "3").returncode == 0
    assert pq.read_table(world / "out").num_rows == 300


@pytest.mark.slow
def test_a_share_of_users_and_a_time_range_answer_some_labels_and_those_the_same(world: Path):
    assert run(world, out="whole").returncode == 0
    times = ("--since", format_time(T0 + D), "--until", format_time(T0 + 3 * D))
    assert run(world, "--users", "40%", *times, out="some").returncode == 0
    whole = {row["label_row"]: row for row in pq.read_table(world / "whole").to_pylist()}
    some = pq.read_table(world / "some").to_pylist()
    assert 0 < len(some) < 300
    assert all(T0 + D <= int(row["event_time"].timestamp() * 1e6) < T0 + 3 * D for row in some)
    assert [repr(row) for row in some] == [repr(whole[row["label_row"]]) for row in some]
    users = {row["user_id"] for row in some}
    assert 0 < len(users) < 21
    counts = json.loads((world / "some" / "_manifest.json").read_text())["counts"]["labels"]
    assert counts["answered"] + counts["other_users"] + counts["other_times"] == 300


@pytest.mark.slow
def test_what_cannot_be_used_is_refused_before_anything_is_written(world: Path):
    naive = pa.table({"user_id": ["u1"], "event_time": pa.array([T0], pa.timestamp("us"))})
    pq.write_table(naive, world / "naive.parquet")
    assert "timestamps with a time zone" in refused(world, labels="naive.parquet")
    pq.write_table(pa.table({"user_id": ["u1"], "event_time": [T0 // 1000]}), world / "ms.parquet")
    assert "they are likely to be ms" in refused(world, labels="ms.parquet", out="ms")
    pq.write_table(pa.table({"user_id": ["u1"], "event_time": [T0 * 1000]}), world / "ns.parquet")
    assert "they are likely to be ns" in refused(world, labels="ns.parquet", out="ns")
    assert "likely to be ns" in refused(world, "--time-unit", "us", labels="ns.parquet", out="ns2")
    pq.write_table(pa.table({"user_id": ["u1", None], "event_time": pa.array([T0] * 2, UTC)}), world / "null.parquet")
    assert "got 1 nulls; the first is in row 1" in refused(world, labels="null.parquet", out="null")
    (world / "text.parquet").write_bytes(b"no Parquet")
    assert "cannot read labels from" in refused(world, labels="text.parquet", out="text")
    assert "there is no such file" in refused(world, labels="nothing.parquet", out="nothing")
    assert "no user_id" not in refused(world, "--user-column", "who", labels="ms.parquet", out="who")
    (world / "events-9.parquet").write_bytes(b"PAR1 is cut")
    assert "expected a Parquet file" in refused(world, out="cut")
    for out in ("out", "ms", "ns", "null", "text", "cut"):
        assert [path.name for path in (world / out).glob("*.parquet")] == []


@pytest.mark.slow
def test_labels_that_were_refused_may_be_mended_and_answered_into_the_same_folder(world: Path):
    whole = (world / "labels.parquet").read_bytes()
    pq.write_table(pa.table({"user_id": ["u1"], "event_time": [T0 // 1000]}), world / "labels.parquet")
    refused(world)
    (world / "labels.parquet").write_bytes(whole)
    assert run(world).returncode == 0
    assert pq.read_table(world / "out").num_rows == 300


@pytest.mark.slow
def test_options_that_cannot_be_are_refused(world: Path):
    assert "above 0 % and up to 100 %" in refused(world, "--users", "0%")
    assert "such as 1%" in refused(world, "--users", "few")
    assert "1 to 500 shards" in refused(world, "--shards", "0")
    assert "since a time before" in refused(world, "--since", format_time(T0), "--until", format_time(T0))
    assert "got 'catalogue'" in refused(world, "--items", "catalogue")
