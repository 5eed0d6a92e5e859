"""Leases on the real emulator: what is held does not come again, what is let go of does."""

import time
import uuid

import pytest

from transforms.leases import Leases

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
    return subscription, [(one.message.data, one.ack_id) for one in received]


def leases_of(subscription, packets):
    """Leases of packets that hold these messages."""
    return Leases(ACK_DEADLINE_S, lambda packet: {subscription: [ack_id for _, ack_id in packets[packet]]})


def test_held_messages_do_not_come_again_and_those_let_go_of_do(pubsub, pulled):
    subscription, messages = pulled
    packets = {b"first": messages[:5], b"second": messages[5:10], b"third": messages[10:]}
    held, let_go = leases_of(subscription, packets), leases_of(subscription, packets)
    held.hold(b"first")
    held.hold(b"second")
    let_go.hold(b"third")
    let_go.release()
    try:
        again = pubsub.pull_all(subscription, quiet_s=ACK_DEADLINE_S + 4)
        assert {one.message.data for one in again} == {data for data, _ in messages[10:]}
    finally:
        held.release()
    later = pubsub.pull_all(subscription, quiet_s=ACK_DEADLINE_S + 4)
    assert {one.message.data for one in later} == {data for data, _ in messages[:10]}


def test_without_a_deadline_and_without_messages_nothing_is_held():
    for leases in (Leases(0, lambda _: {"a subscription": ["id"]}), Leases(10, lambda _: {})):
        leases.hold(b"a packet")
        assert leases.due(time.monotonic() + 100) == []
        leases.release()


def test_packets_are_opened_when_leases_get_old_and_once():
    opened = []
    leases = Leases(10, lambda packet: opened.append(packet) or {"a subscription": [packet.decode()]})
    leases.hold(b"one")
    leases.hold(b"two")
    now_s = time.monotonic()
    assert (leases.due(now_s + 2), opened) == ([], [])
    assert leases.due(now_s + 3) == [("a subscription", ["one", "two"], 10)]
    leases.hold(b"three")
    assert leases.due(now_s + 20) == [("a subscription", ["one", "two", "three"], 10)]
    assert opened == [b"one", b"two", b"three"]
    leases.release()
