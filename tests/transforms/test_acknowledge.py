"""Acknowledging on the real emulator: acknowledged stays away, and a failure loses nothing and raises nothing."""

import logging
import time
import uuid

import pytest

from transforms import acknowledge as module
from transforms.acknowledge import REQUEST_BYTES, ack_id_chunks, acknowledge

pytestmark = pytest.mark.pubsub


@pytest.fixture
def channel(pubsub):
    name = f"ack-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    return topic, pubsub.create_subscription(name, topic, ack_deadline_s=10)


def _pull(pubsub, subscription, count):
    received = []
    while len(received) < count:
        received += pubsub.subscriber.pull(
            subscription=subscription, max_messages=1000, timeout=5, retry=None
        ).received_messages
    return received


def test_acknowledged_messages_do_not_come_again_and_the_others_do(pubsub, channel):
    topic, subscription = channel
    pubsub.publish(topic, [b"body-%d" % n for n in range(3000)])
    received = _pull(pubsub, subscription, 3000)
    kept, rest = received[:2500], received[2500:]
    acknowledge(subscription, [m.ack_id for m in kept])
    pubsub.subscriber.modify_ack_deadline(
        subscription=subscription, ack_ids=[m.ack_id for m in rest], ack_deadline_seconds=0
    )
    time.sleep(11)  # past the ack deadline of what was acknowledged
    assert {m.message.data for m in pubsub.pull_all(subscription)} == {m.message.data for m in rest}


def test_acknowledging_nothing_sends_nothing():
    acknowledge("projects/local-dev/subscriptions/nowhere", [])


def test_a_subscription_that_is_gone_is_logged_and_does_not_raise(pubsub, caplog):
    with caplog.at_level(logging.WARNING):
        acknowledge("projects/local-dev/subscriptions/nowhere", ["a", "b"])
    (record,) = caplog.records
    assert "could not acknowledge 2 messages of projects/local-dev/subscriptions/nowhere" in record.message


def test_an_unreachable_service_is_tried_a_few_times_then_logged(pubsub, monkeypatch, caplog):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.02)
    acknowledge("projects/local-dev/subscriptions/any", ["a"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("length", [1, 200, 176_000, 900_000])
def test_chunks_hold_every_id_once_and_fit_a_request(length):
    ids = [f"{n}-".ljust(length, "x") for n in range(4000 if length < 1000 else 7)]
    chunks = list(ack_id_chunks(ids))
    assert [one for chunk in chunks for one in chunk] == ids
    assert all(len(chunk) == 1 or sum(len(one) + 4 for one in chunk) <= REQUEST_BYTES for chunk in chunks)
