"""`user-state backfill --runner flink` on a real Flink, in batch, writes the bytes that it writes without Beam."""

from pathlib import Path

import pytest

from tests.backfill.jobs import backfill, held
from tests.history.files import made_events, write_events, write_spec
from tests.servers.flink import Flink
from tests.servers.pipeline import run_command
from tests.servers.redis import Valkey


@pytest.mark.slow
def test_it_writes_the_same_bytes_on_flink_in_batch(flink: Flink, valkey: Valkey, tmp_path: Path):
    spec = write_spec(tmp_path, retention="3600d")
    pattern = write_events(tmp_path, made_events(11, 800))
    done = run_command(
        *("backfill", "--spec", spec, "--redis", valkey.url, "--generation", "flink", "--input", pattern),
        *("--dead-letters", tmp_path / "dead", "--max_dead_letters", "100%", "--shards", "4", "--runner", "flink"),
        *(f"--job_endpoint={flink.job_endpoint}", f"--environment_config={flink.worker_pool}", "--parallelism=2"),
    )
    assert done.returncode == 0, done.stderr
    assert "read 800 = applied" in done.stderr
    assert "flink is complete; its files end at" in done.stderr
    backfill(tmp_path, valkey.url, "without", tmp_path / "work", shards=4)
    assert held(valkey.url, "tried@flink") == held(valkey.url, "tried@without")
