"""Memory is that of a part: ten times the events of one user cost sorting on disk, and at most a fifth more memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.history_data import write_history
from tests.servers.redis import Valkey

EVENTS, FILES, PART_BYTES = 250_000, 2, 8 << 20
SPEC = """
name: tried
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 3600d
features:
  views: {aggregate: count, where: {action: view}, windows: [1h, 1d, 30d]}
sequences:
  recent: {fields: [item_id, action, event_time], last: 50}
"""
MEASURED = """
import sys
from pathlib import Path
from user_state.history.memory import keep_in_one_place
keep_in_one_place()
from tests.backfill.jobs import backfill
_, folder, url, generation, part_bytes = sys.argv
counts = backfill(Path(folder), url, generation, Path(folder) / "work", part_bytes=int(part_bytes)).counts
# Not ru_maxrss, which begins with the size of the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(counts["applied"] + counts["duplicate"] + counts["too_late"], status["VmHWM"].split()[0])
"""


def peak_kb(folder: Path, url: str, times: int) -> int:
    """Return the peak of the backfill of one user with so many times the events."""
    folder.mkdir()
    history = write_history(folder, times * EVENTS, 1, labels=1, files=times * FILES)
    (folder / "spec.yaml").write_text(SPEC, "utf-8")
    command = [sys.executable, "-c", MEASURED, str(folder), url, f"g{times}", str(PART_BYTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    events, peak = map(int, done.stdout.split())
    assert events == history.number_of_events
    return peak


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the peak of a process's memory")
def test_one_user_with_ten_times_the_events_takes_at_most_a_fifth_more_memory(tmp_path: Path, valkey: Valkey):
    once = peak_kb(tmp_path / "once", valkey.url, 1)
    ten_times = peak_kb(tmp_path / "ten", valkey.url, 10)
    assert ten_times <= 1.2 * once, f"{once / 1024:.0f} MB, and {ten_times / 1024:.0f} MB of ten times as many"
