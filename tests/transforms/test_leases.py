"""Leases on the real emulator: what is held does not come again, what is let go of does."""

import time
import uuid

import pytest

from transforms.leases import Leases
from user_state.events.message import Message

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

ACK_DEADLINE_S = 10


@pytest.fixture
def pulled(pubsub):
    """Twenty messages that were pulled just now, as (subscription, messages)."""
    name = f"lease-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=ACK_DEADLINE_S)
    pubsub.publish(topic, [b"body-%d" % n for n in range(20)])
    received = []
    while len(received) < 20:
        received += pubsub.subscriber.pull(subscription=subscription, max_messages=20, timeout=5).received_messages
    return subscription, [Message(one.message.data, {}, 0, one.ack_id, subscription) for one in received]


def test_held_messages_do_not_come_again_and_those_let_go_of_do(pubsub, pulled):
    subscription, messages = pulled
    held, let_go = Leases(ACK_DEADLINE_S), Leases(ACK_DEADLINE_S)
    held.hold(messages[:10])
    let_go.hold(messages[10:])
    let_go.release()
    try:
        again = pubsub.pull_all(subscription, quiet_s=ACK_DEADLINE_S + 4)
        assert {one.message.data for one in again} == {message.data for message in messages[10:]}
    finally:
        held.release()
    later = pubsub.pull_all(subscription, quiet_s=ACK_DEADLINE_S + 4)
    assert {one.message.data for one in later} == {message.data for message in messages[:10]}


def test_without_a_deadline_and_without_messages_nothing_is_held():
    for leases, messages in (
        (Leases(0), [Message(b"", {}, 0, "id", "projects/local-dev/subscriptions/nowhere")]),
        (Leases(10), [Message(b"", {}, 0, None, "a file")]),
    ):
        leases.hold(messages)
        assert leases.due(time.monotonic() + 100) == []
