"""Stop under traffic, start with a changed spec: what was kept equals brute force over the whole history.

Through a drain, as records live in Redis; and through a savepoint, as they live in Flink's state, where Redis loses
everything in between.
"""

import re
import uuid
from dataclasses import replace
from pathlib import Path

import fastavro
import pytest

from tests.flink.soak import Sender
from tests.pipelines.traffic import (
    SPEC_TEXT,
    assert_equals_brute_force,
    events_in_redis,
    expected_of_file,
    expected_of_first,
    make_traffic,
    run_arguments,
)
from tests.servers.flink import Flink
from tests.servers.pipeline import running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.spec import load_spec

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

EVENTS = 20_000
"""More than are sent: traffic goes on for as long as the upgrade takes."""
RATE = 100.0
ENOUGH = 500
REMOVED = """\
  engagements:
    aggregate: count
    where: {action: [like, share]}
    windows: [1h, 1d, lifetime]
"""
ADDED = """\
  shares:
    aggregate: count
    where: {action: share}
    windows: [lifetime]
"""
LONGER = SPEC_TEXT.replace("windows: [10m, 1h, 1d, 7d]", "windows: [10m, 1h, 1d, 14d]")
KEPT = LONGER.replace(REMOVED, "")
CHANGED = LONGER.replace(REMOVED, ADDED)
RUNNER = ("--state", "runner", "--checkpoint_interval", "1", "--view_refresh", "3")


@pytest.mark.parametrize("options", [(), RUNNER], ids=["drained", "through a savepoint, Redis emptied meanwhile"])
def test_an_upgrade_under_traffic_keeps_what_is_still_defined_and_starts_what_is_new(
    flink: Flink, pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path, options: tuple[str, ...]
):
    assert len({SPEC_TEXT, LONGER, KEPT, CHANGED}) == 4
    name, folder = f"upgrade-{uuid.uuid4().hex[:8]}", tmp_path / "dead-letters"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=10)
    traffic = make_traffic(tmp_path, events=EVENTS, users=100, seed=17)
    everyone = expected_of_file(traffic).applied
    with traffic.path.open("rb") as file:
        sender = Sender(pubsub, topic, [message["data"] for message in fastavro.reader(file)], RATE)
    before = [*run_arguments(traffic, subscription, valkey.url, folder), *options, *flink.run_arguments]
    changed_path = tmp_path / "changed.yaml"
    changed_path.write_text(CHANGED)
    changed = replace(traffic, spec_path=changed_path)
    after = [*run_arguments(changed, subscription, valkey.url, folder), *options, *flink.run_arguments]

    def folded() -> int:
        return events_in_redis(valkey, everyone)

    with sender:
        with running_pipeline(*before, output=tmp_path / "before.log") as pipeline:
            pipeline.wait_until(lambda: folded() > ENOUGH, "some events")
            pipeline.drain()
            savepoint = re.search(r"--savepoint_path (\S+)", pipeline.output)
        by_the_first = folded()
        assert (savepoint is not None) == bool(options)
        if savepoint is not None:
            after += ["--savepoint_path", savepoint[1]]
            with valkey.client() as client:
                client.delete(*client.scan_iter("*}:*"))  # every user's, not the layouts: see docs/flink.md
            assert folded() == 0
        with running_pipeline(*after, output=tmp_path / "after.log") as pipeline:
            pipeline.wait_until(lambda: folded() > by_the_first + ENOUGH, "some more events")
            sender.stop()
            expected = expected_of_first(traffic, sender.sent)
            pipeline.wait_until(lambda: folded() >= expected.events_applied, "every event")
            pipeline.drain()

    assert by_the_first > ENOUGH
    kept = tmp_path / "kept.yaml"
    kept.write_text(KEPT)
    assert_equals_brute_force(valkey, replace(traffic, spec=load_spec(kept)), expected)
    with UserStateClient.from_url(valkey.url, load_spec(changed_path), timeout_s=10) as client:
        batch = client.get_many(sorted(expected.applied))
    shares = sum(event.event["action"] == "share" for events in expected.applied.values() for event in events)
    counted = sum(batch[index].features["shares_count_lifetime"] for index in range(len(batch)))
    assert 0 < counted < shares  # those since the upgrade, and none before it
