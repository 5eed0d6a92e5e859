"""A source that defers the rest of its element for ever leaves nothing behind in Flink's state."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests.pipelines.traffic import make_traffic, run_arguments
from tests.servers.flink import Flink
from tests.servers.pipeline import running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey

STATES = "org.apache.flink.runtime.state.RegisteredKeyValueStateBackendMetaInfo"
LASTS_S = 10.0
"""Two shards defer some thirty times meanwhile, and each time would register a state."""
SETTLES_S = 60.0


def registered_states(pid: int) -> int:
    """Return how many states the backends of a TaskManager know, by a count of what lives on its heap."""
    told = subprocess.run(["jcmd", str(pid), "GC.class_histogram"], capture_output=True, text=True, check=True).stdout
    return sum(int(line.split()[1]) for line in told.splitlines() if STATES in line.split())


@pytest.mark.pubsub
@pytest.mark.slow
def test_a_source_that_polls_registers_no_state_after_state(
    flink: Flink, pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path
):
    name = f"states-{uuid.uuid4().hex[:8]}"
    subscription = pubsub.create_subscription(name, pubsub.create_topic(name), ack_deadline_s=10)
    traffic = make_traffic(tmp_path, events=10, users=2, seed=1)
    arguments = run_arguments(traffic, subscription, valkey.url, tmp_path / "dead-letters")
    with running_pipeline(*arguments, *flink.run_arguments, output=tmp_path / "run.log") as pipeline:
        pipeline.wait_until_started()
        counts = [0]  # the first is taken while the readers may not have begun
        until = time.monotonic() + SETTLES_S
        while len(counts) < 3 or counts[-1] > counts[-2]:
            assert time.monotonic() < until, f"states registered, every {LASTS_S:.0f} s: {counts}"
            time.sleep(LASTS_S)
            counts.append(registered_states(flink.pid("taskmanager")))
        pipeline.drain()
    assert counts[-1] > 0
