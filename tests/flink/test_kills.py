"""Everything the pipeline stands on is killed -9 while events stream: nothing is lost, nothing counted twice.

Each once, in random order. The seed is fixed, so that a failure can be tried again; `make soak` does the same for
twenty minutes with any seed.
"""

from pathlib import Path

import pytest

from tests.flink.chaos import VICTIMS
from tests.flink.conftest import skip_without_flink
from tests.flink.soak import Soak, soak
from tests.servers.pubsub import PubSubEmulator

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]


@pytest.mark.timeout(900)  # a minute each on two cores that do nothing else
@pytest.mark.parametrize("state", ["redis", "runner"])
def test_kills_of_every_process_at_random_moments_lose_nothing_and_count_nothing_twice(
    pubsub: PubSubEmulator, tmp_path: Path, state: str
):
    skip_without_flink()

    what = Soak(seed=5, kills=len(VICTIMS), pause_s=(0.5, 3.0), rate=120, state=state)
    outcome = soak(pubsub, tmp_path, what, say=print)

    assert min(outcome.killed.values()) >= 1
    assert len(outcome.held_at_kills) >= 3  # the kills fell into the stream, not after it
