"""Memory is that of a shard: ten times the events, in ten times the shards, take no more than a fifth more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.history_data import write_history
from tests.trying import D
from user_state.durations import format_duration

EVENTS, USERS, LABELS, SHARDS = 250_000, 5_000, 40_000, 5
SPEC = f"""
name: tried
events: {{schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}}
allowed_lateness: 1d
max_clock_skew: 5m
retention: {format_duration(90 * D)}
features:
  views: {{aggregate: count, where: {{action: view}}, windows: [1h, 1d, 30d]}}
sequences:
  recent: {{fields: [item_id, action, event_time], last: 50}}
embeddings:
  taste: {{kind: decayed_mean, of: item_id, dimensions: 64, half_life: 1d}}
"""
MEASURED = """
from pathlib import Path
from user_state.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code
# Not ru_maxrss, which begins with the size of the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""


def peak_kb(folder: Path, times: int) -> int:
    """Return the peak of a job of so many times the events, users, labels, files and shards."""
    folder.mkdir()
    history = write_history(folder, times * EVENTS, times * USERS, times * LABELS, files=times)
    (folder / "spec.yaml").write_text(SPEC, "utf-8")
    arguments = [
        *("training-set", "--spec", str(folder / "spec.yaml"), "--input", history.events, "--labels", history.labels),
        *("--out", str(folder / "out"), "--shards", str(times * SHARDS), "--workers", "1"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, timeout=280, check=True
    )
    counts = json.loads((folder / "out" / "_manifest.json").read_text())["counts"]
    assert counts["labels"]["answered"] == times * LABELS
    assert (
        pq.read_metadata(folder / "out" / f"part-00000-of-{times * SHARDS:05}.parquet").num_rows > LABELS / SHARDS / 2
    )
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the peak of a process's memory")
def test_ten_times_the_events_at_the_same_size_of_shards_take_at_most_a_fifth_more_memory(tmp_path: Path):
    once = peak_kb(tmp_path / "once", 1)
    ten_times = peak_kb(tmp_path / "ten", 10)
    assert ten_times <= 1.2 * once, f"{once / 1024:.0f} MB, and {ten_times / 1024:.0f} MB of ten times as many"
