"""Where dead letters cannot be stored nothing is lost, and who can go on does."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from tests.pipelines.test_paced_file import FIRST_US, SPEC
from tests.pipelines.traffic import dead_letters
from tests.servers.pipeline import running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.events.avro_files import SingleObject, interaction_schema, write_events

ACK_DEADLINE_S = 10
NOT_AN_EVENT = b"\xff not an event"


def event(user: str, time_us: int) -> dict[str, object]:
    """Return an event of the user."""
    fields = {"event_id": f"of-{user}", "user_id": user, "item_id": "i", "action": "view", "event_time": time_us}
    return fields | {"value": None, "category": None}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "user_state.yaml"
    path.write_text(SPEC)
    return path


@pytest.mark.pubsub
def test_while_the_dead_letter_topic_is_gone_others_are_served_and_what_was_given_back_comes_again(
    tmp_path: Path, spec: Path, valkey: Valkey, pubsub: PubSubEmulator
):
    name = uuid.uuid4().hex[:8]
    topic, dead = pubsub.create_topic(f"events-{name}"), pubsub.create_topic(f"dead-{name}")
    subscription = pubsub.create_subscription(f"events-{name}", topic, ack_deadline_s=ACK_DEADLINE_S)
    arguments = ["--spec", spec, "--input", f"pubsub://{subscription}", "--redis", valkey.url]
    arguments += ["--dead-letters", f"pubsub://{dead}", "--ack_deadline", str(ACK_DEADLINE_S)]
    encoder = SingleObject(interaction_schema())
    with (
        running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline,
        UserStateClient.from_url(valkey.url, spec) as client,
    ):
        pipeline.wait_until_started()
        pubsub.publisher.delete_topic(topic=dead, timeout=10)
        pubsub.publish(topic, [NOT_AN_EVENT])
        pipeline.wait_until(lambda: "come again: cannot store dead letters" in pipeline.output, "it to be given back")
        assert "404" in pipeline.output
        pubsub.publish(topic, [encoder.encode(event("u1", time.time_ns() // 1000))])
        pipeline.wait_until(lambda: bool(client.get("u1").present), "the next event to be folded")

        pubsub.create_topic(f"dead-{name}")
        stored = pubsub.create_subscription(f"dead-{name}", dead)
        received = []

        def has_come() -> bool:
            received.extend(pubsub.pull_all(stored))
            return bool(received)

        pipeline.wait_until(has_come, "the dead letter")
        pipeline.wait_until(lambda: "dead letters 1 (undecodable 1)" in pipeline.output, "it to be counted")
        accounting = pipeline.drain()
    assert {one.message.data for one in received} == {NOT_AN_EVENT}
    assert (accounting.applied, accounting.dead_letters, accounting.balanced) == (1, 1, True)
    assert "given back, to be read again" in pipeline.output
    assert pubsub.pull_all(subscription, quiet_s=ACK_DEADLINE_S + 3) == []


def test_from_files_a_bundle_waits_until_its_dead_letters_can_be_stored(tmp_path: Path, spec: Path, valkey: Valkey):
    events, folder = tmp_path / "events.avro", tmp_path / "dead"
    first = event("u0", FIRST_US) | {"item_id": "long" * 100}  # a block of its own
    later = [event("u1", FIRST_US + 60_000_000), event("", FIRST_US + 60_000_000)]  # twelve seconds; of no user
    write_events(events, [first, *later], interaction_schema(), "null", block_bytes=200)
    arguments = ["--spec", spec, "--input", events, "--redis", valkey.url, "--dead-letters", folder]
    arguments += ["--replay_speed", "5"]
    with (
        running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline,
        UserStateClient.from_url(valkey.url, spec) as client,
    ):
        pipeline.wait_until(lambda: bool(client.get("u0").present), "the first event")
        folder.rmdir()
        folder.write_text("in the way")
        pipeline.wait_until(lambda: "waiting, nothing is lost: cannot store dead letters" in pipeline.output, "it")
        folder.unlink()
        accounting = pipeline.wait_for_end()
    assert (accounting.read, accounting.applied, accounting.reasons) == (3, 2, {"invalid": 1})
    assert accounting.balanced
    assert len(dead_letters(folder)) == 1
