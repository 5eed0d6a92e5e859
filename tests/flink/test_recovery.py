"""On a real Flink: Redis is flushed under a live job, and a newer spec takes over from one that runs."""

import datetime
import uuid
from pathlib import Path

import fastavro
import pytest

from tests.pipelines.live import assert_superseded, changed, lost, subscribe, wait_until_folded
from tests.pipelines.traffic import (
    SPEC_TEXT,
    assert_equals_brute_force,
    expected_of_first,
    make_traffic,
    run_arguments,
)
from tests.servers.flink import Flink
from tests.servers.pipeline import running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state.plan.compile import compile_plan
from user_state.store.specs import registered_specs

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

PART = 1_000
ADDED = """\
features:
  shares:
    aggregate: count
    where: {action: share}
    windows: [lifetime]
"""


def test_a_flushed_redis_holds_every_user_again_once_sought_back_and_an_older_spec_ends_with_a_message(
    flink: Flink, pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path
):
    traffic = make_traffic(tmp_path, events=3 * PART, users=100, seed=53)
    newer = changed(traffic, SPEC_TEXT.replace("features:\n", ADDED), tmp_path / "newer.yaml")
    with traffic.path.open("rb") as file:
        bodies = [message["data"] for message in fastavro.reader(file)]
    began = datetime.datetime.now(datetime.UTC)
    topic = pubsub.create_topic(f"flink-{uuid.uuid4().hex[:8]}")
    subscription = subscribe(pubsub, topic)
    one_slot = [*flink.run_arguments, "--parallelism", "1"]

    older_arguments = run_arguments(traffic, subscription, valkey.url, tmp_path / "dead-older")
    with running_pipeline(*older_arguments, *one_slot, output=tmp_path / "older.log") as older:
        older.wait_until_started()
        pubsub.publish(topic, bodies[:PART])
        wait_until_folded(older, valkey, expected_of_first(traffic, PART))
        pubsub.publish(topic, bodies[PART : 2 * PART])  # is being folded when it happens
        with valkey.client() as client:
            client.flushall()
        pubsub.seek(subscription, began)
        both = expected_of_first(traffic, 2 * PART)
        wait_until_folded(older, valkey, both)
        assert_equals_brute_force(valkey, traffic, both)

        others = subscribe(pubsub, topic)
        newer_arguments = run_arguments(newer, others, valkey.url, tmp_path / "dead-newer")
        with running_pipeline(*newer_arguments, *one_slot, output=tmp_path / "newer.log") as second:
            second.wait_until_started()
            assert "starts empty: shares" in second.output
            pubsub.publish(topic, bodies[2 * PART :])
            everything = expected_of_first(traffic, 3 * PART)
            plan = compile_plan(newer.spec)
            second.wait_until(
                lambda: registered_specs(valkey.url, plan).current == plan.definition, "the newer spec to take over"
            )
            wait_until_folded(second, valkey, everything)
            pubsub.publish(topic, bodies[:50])  # so that the older one has something to compare in any case
            assert_superseded(older)
            second.drain()
    assert_equals_brute_force(valkey, traffic, everything)
    assert lost(older, "redis_went_back") >= 1
    assert lost(second, "redis_went_back") == 0
