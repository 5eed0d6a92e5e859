"""The whole way on a real Flink, as a user goes it: publish, `run --runner flink`, stop; Redis equals brute force."""

import signal
import time
import uuid
from pathlib import Path

import pytest

from tests.pipelines.traffic import (
    Traffic,
    assert_all_acknowledged,
    assert_equals_brute_force,
    dead_letters,
    expected_of_messages,
    make_traffic,
    publish,
    run_arguments,
    undecodable_bodies,
)
from tests.servers.flink import Flink
from tests.servers.pipeline import running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

EVENTS = 10_000
ACKNOWLEDGED_S = 12.0
"""With state `runner`: three checkpoints and pauses of a second, and some more."""


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return make_traffic(tmp_path_factory.mktemp("traffic"), events=EVENTS, users=300, seed=13)


@pytest.mark.parametrize(
    ("sign", "options"),
    [
        pytest.param(signal.SIGTERM, [], id="stopped by SIGTERM"),
        pytest.param(
            signal.SIGINT,
            ["--flush_interval", "2", "--worker_pool", "loopback", "--parallelism", "1", "--job_name", "My_feed"],
            id="held back for two seconds, worked off by the command itself, of a given name, stopped by SIGINT",
        ),
        pytest.param(
            signal.SIGTERM,
            ["--state", "runner", "--checkpoint_interval", "1"],
            id="kept in the runner's state, stopped with a savepoint",
        ),
    ],
)
def test_published_events_end_in_redis_as_brute_force_has_them_and_every_message_in_one_bin(
    flink: Flink,
    pubsub: PubSubEmulator,
    valkey: Valkey,
    traffic: Traffic,
    tmp_path: Path,
    sign: signal.Signals,
    options: list[str],
):
    name, folder = f"flink-{uuid.uuid4().hex[:8]}", tmp_path / "dead-letters"
    topic = pubsub.create_topic(name)
    subscription, witness = (
        pubsub.create_subscription(f"{name}-{role}", topic, ack_deadline_s=60) for role in ("run", "witness")
    )
    publish(traffic, topic)
    arguments = [*run_arguments(traffic, subscription, valkey.url, folder), "--ack_deadline", "60"]

    with running_pipeline(*arguments, *flink.run_arguments, *options, output=tmp_path / "run.log") as pipeline:
        pipeline.wait_for_read(EVENTS)
        if "runner" in options:
            time.sleep(ACKNOWLEDGED_S)
        accounting = pipeline.drain(sign)

    expected = expected_of_messages(traffic, pubsub.pull_all(witness))
    assert expected.accounting == accounting
    assert accounting.applied > EVENTS // 2
    assert min(accounting.duplicate, accounting.ignored, *accounting.reasons.values()) > EVENTS // 250
    assert_equals_brute_force(valkey, traffic, expected)
    assert expected.corrupt == undecodable_bodies(dead_letters(folder))
    assert_all_acknowledged(pubsub, subscription, ack_deadline_s=0)
