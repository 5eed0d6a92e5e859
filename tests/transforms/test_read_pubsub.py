"""The Pub/Sub source on the real emulator, run as DirectRunner runs it (on the FnApiRunner)."""

import pickle
import subprocess
import sys
import threading
import time
import uuid

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.utils.timestamp import Timestamp

from tests.servers.pubsub import PROJECT, PubSubEmulator
from transforms import drain, pubsub_puller
from transforms.acknowledge import acknowledge_messages
from transforms.pubsub_puller import SubscriptionPuller, halt_all, puller_of
from transforms.read_pubsub import ReadFromPubSubSubscription, message_of
from user_state.errors import InputError

pytestmark = pytest.mark.pubsub

PULLS = []
"""What the pipeline under test has seen; the runner works in this process."""


class _CollectFn(beam.DoFn):
    def __init__(self, drain_after, acknowledged):
        self._drain_after = drain_after
        self._acknowledged = acknowledged

    def process(self, pull, timestamp=beam.DoFn.TimestampParam):
        PULLS.append((timestamp, pull))
        if self._acknowledged:  # an ordered subscription gives no more of a key before
            acknowledge_messages(pull)
        if sum(len(pull) for _, pull in PULLS) >= self._drain_after:
            drain.request_drain()


@pytest.fixture(autouse=True)
def _fresh_process_state():
    PULLS.clear()
    drain.reset()
    yield
    drain.request_drain()
    assert halt_all(5)
    drain.reset()


@pytest.fixture
def channel(pubsub: PubSubEmulator):
    name = f"read-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    return topic, pubsub.create_subscription(name, topic, ack_deadline_s=60)


def _run(subscription, drain_after, acknowledged=False, **settings):
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--streaming"]))
    pulls = pipeline | "Read" >> ReadFromPubSubSubscription(subscription, **settings)
    pulls | "Collect" >> beam.ParDo(_CollectFn(drain_after, acknowledged))
    assert pipeline.run().wait_until_finish() == "DONE"


def _seen():
    return [message for _, pull in PULLS for message in pull]


@pytest.mark.parametrize("counted", [True, False])
def test_what_comes_again_is_counted_where_pubsub_counts_deliveries(pubsub, channel, counted):
    topic, subscription = channel
    if counted:
        subscription = pubsub.create_subscription(f"counted-{uuid.uuid4().hex[:8]}", topic, dead_letter_topic=topic)
    pubsub.publish(topic, [b"first"] * 5)
    held = _pull_five(pubsub, subscription)
    pubsub.subscriber.modify_ack_deadline(
        subscription=subscription, ack_ids=[one.ack_id for one in held], ack_deadline_seconds=0, timeout=10
    )
    pubsub.publish(topic, [b"second"] * 3)

    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--streaming"]))
    pipeline | "Read" >> ReadFromPubSubSubscription(subscription, shards=1) | beam.ParDo(_CollectFn(8, False))
    result = pipeline.run()
    result.wait_until_finish()

    assert sorted(message.data for message in _seen()) == [b"first"] * 5 + [b"second"] * 3
    found = result.metrics().query(MetricsFilter().with_name("redelivered"))["counters"]
    assert sum(counter.committed for counter in found) == (5 if counted else 0)


def _pull_five(pubsub, subscription):
    held = []
    while len(held) < 5:
        held += pubsub.subscriber.pull(subscription=subscription, max_messages=5, timeout=10).received_messages
    return held


def test_every_message_is_read_with_its_attributes_and_publish_time_and_none_is_acknowledged(pubsub, channel):
    topic, subscription = channel
    attributes = [{"n": str(n), "sent_us": f"{1_600_000_000_000_000 + n}"} for n in range(3000)]
    attributes[7]["sent_us"], attributes[8]["sent_us"] = "yesterday", "9" * 30
    del attributes[9]["sent_us"]
    before_us = time.time_ns() // 1000
    pubsub.publish(topic, [b"body-%d" % n for n in range(3000)], attributes)
    after_us = time.time_ns() // 1000

    _run(subscription, drain_after=2998, publish_time_attribute="sent_us")

    refused = {one.message.data: one for _, pull in PULLS for one in pull.refused}
    assert {one.why.reason for one in refused.values()} == {"invalid"}
    assert refused[b"body-7"].why.detail.startswith("attribute sent_us is 'yesterday'; expected a time from 1971 up to")
    by_body = {message.data: message for message in _seen()} | {data: one.message for data, one in refused.items()}
    assert set(by_body) == {b"body-%d" % n for n in range(3000)}
    assert set(refused) == {b"body-7", b"body-8"}
    for n in range(3000):
        message = by_body[b"body-%d" % n]
        assert message.attributes == attributes[n]
        assert message.origin == subscription
        if n in (7, 8, 9):
            assert before_us - 2000 <= message.publish_us <= after_us + 2000
        else:
            assert message.publish_us == 1_600_000_000_000_000 + n
    stamps = [timestamp for timestamp, _ in PULLS]
    assert all(before_us <= stamp.micros <= time.time_ns() // 1000 for stamp in stamps)

    ack_ids = [message.ack_id for message in by_body.values()]
    pubsub.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=ack_ids, ack_deadline_seconds=0)
    assert {m.message.data for m in pubsub.pull_all(subscription)} == set(by_body)


def test_an_idle_pipeline_drains_within_seconds(pubsub, channel):
    timer = threading.Timer(1.0, drain.request_drain)
    timer.start()
    _run(channel[1], drain_after=10**9)
    timer.join()
    assert PULLS == []


def test_a_drain_under_backlog_gives_the_unread_messages_back_at_once(pubsub, channel):
    topic, subscription = channel
    bodies = {b"body-%d" % n for n in range(20_000)}
    pubsub.publish(topic, sorted(bodies))

    _run(subscription, drain_after=1)
    assert halt_all(5)
    seen = {message.data for message in _seen()}
    others = {m.message.data for m in pubsub.pull_all(subscription)}

    assert 0 < len(seen) < len(bodies)
    assert others == bodies - seen  # and those seen are leased for a minute: nobody else gets them meanwhile


def test_a_second_run_in_the_same_process_reads_on(pubsub, channel):
    topic, subscription = channel
    for run in (b"first", b"second"):
        pubsub.publish(topic, [run])
        _run(f"pubsub://{subscription}", drain_after=1)
        assert [message.data for message in _seen()] == [run]
        PULLS.clear()
        drain.reset()


def test_a_subscription_that_does_not_exist_fails_the_pipeline(pubsub):
    with pytest.raises(Exception, match=r"cannot pull from projects/local-dev/subscriptions/nowhere: 404"):
        _run("projects/local-dev/subscriptions/nowhere", drain_after=1)


def test_the_lease_outlives_a_subscription_with_a_shorter_deadline(pubsub, channel):
    topic, _ = channel
    subscription = pubsub.create_subscription(f"short-{uuid.uuid4().hex[:8]}", topic, ack_deadline_s=10)
    pubsub.publish(topic, [b"once"])
    puller = SubscriptionPuller(subscription, ack_deadline_s=60)
    assert [m.message.data for m in puller.take(10, 5.0, 5.0)][:1] == [b"once"]
    again = puller.take(10, 13.0, 13.0)
    puller.halt()
    assert puller.join(5)
    assert again == []


def test_what_no_reader_takes_goes_back_and_reading_starts_again(pubsub, channel, monkeypatch):
    topic, subscription = channel
    monkeypatch.setattr(pubsub_puller, "ABANDONED_S", 0.5)
    pubsub.publish(topic, [b"body-%d" % n for n in range(50)])
    puller = SubscriptionPuller(subscription, ack_deadline_s=60)
    taken = puller.take(10, 5.0, 5.0)
    assert len(taken) == 10
    assert puller.join(5)

    others = pubsub.pull_all(subscription)
    assert len({m.message.data for m in others} | {m.message.data for m in taken}) == 50
    assert len(others) == 40

    pubsub.publish(topic, [b"later"])
    assert [m.message.data for m in puller.take(10, 0.3, 5.0)] == [b"later"]
    puller.halt()
    assert puller.join(5)


def test_large_messages_wait_in_pubsub_not_in_memory_and_come_in_small_elements(pubsub, channel, monkeypatch):
    topic, subscription = channel
    monkeypatch.setattr(pubsub_puller, "QUEUE_BYTES", 1 << 20)
    monkeypatch.setattr(pubsub_puller, "ELEMENT_BYTES", 1 << 19)
    monkeypatch.setattr(pubsub_puller, "PULL_MESSAGES", 10)
    for _ in range(6):
        pubsub.publish(topic, [b"x" * 100_000] * 10)
    puller = SubscriptionPuller(subscription, ack_deadline_s=60)
    elements = []
    while sum(map(len, elements)) < 60:
        elements.append(puller.take(5000, 5.0, 5.0))
        time.sleep(0.3)  # time enough to pull whatever there is
        assert puller._queued_bytes <= (1 << 20) + pubsub_puller.THREADS * 1_000_000
        assert puller._queued_bytes == sum(len(m.message.data) for batch in puller._queue for m in batch)
    puller.halt()
    assert puller.join(5)
    assert max(sum(len(m.message.data) for m in element) for element in elements) < (1 << 19) + 1_000_001
    assert len(elements) >= 6


def test_an_unreachable_service_is_reported_once_and_read_from_when_it_is_back(pubsub, channel, monkeypatch, caplog):
    topic, subscription = channel
    pubsub.publish(topic, [b"waiting"])
    puller = SubscriptionPuller(subscription, ack_deadline_s=60)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:9")
        assert puller.take(10, 2.0, 2.0) == []
    deadline = time.monotonic() + 15
    while not (found := puller.take(10, 1.0, 1.0)) and time.monotonic() < deadline:
        pass
    puller.halt()
    assert puller.join(5)
    assert [m.message.data for m in found] == [b"waiting"]
    assert sum("trying again" in record.message for record in caplog.records) == 1


def test_a_process_that_just_exits_neither_hangs_nor_complains_nor_keeps_messages(pubsub, channel):
    topic, subscription = channel
    pubsub.publish(topic, [b"body-%d" % n for n in range(2000)])
    script = (
        "from transforms.pubsub_puller import puller_of\n"
        f"print(len(puller_of({subscription!r}, 60).take(10, 5.0, 5.0)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "10\n", "")
    assert len(pubsub.pull_all(subscription)) == 1990


def test_the_dofn_pickles_without_client_or_messages(pubsub, channel):
    source = ReadFromPubSubSubscription(channel[1])
    copy = pickle.loads(pickle.dumps(source._read))
    assert vars(copy) == vars(source._read)
    assert {type(value) for value in vars(copy).values()} <= {str, int, float, type(None)}


def test_one_process_has_one_puller_a_subscription():
    assert puller_of("projects/local-dev/subscriptions/one", 60) is puller_of(
        "projects/local-dev/subscriptions/one", 60
    )
    assert puller_of("projects/local-dev/subscriptions/one", 60) is not puller_of(
        "projects/local-dev/subscriptions/two", 60
    )


def test_a_malformed_subscription_is_refused_before_anything_runs():
    with pytest.raises(InputError, match="expected a subscription such as"):
        ReadFromPubSubSubscription("events")


def test_a_received_message_without_attributes_keeps_its_publish_time(pubsub, channel):
    topic, subscription = channel
    pubsub.publish(topic, [b"plain"])
    puller = SubscriptionPuller(subscription, ack_deadline_s=0)
    (received,) = puller.take(10, 0.3, 5.0)
    puller.halt()
    assert puller.join(5)
    message = message_of(received, subscription)
    assert message[:2] == (b"plain", {})
    assert abs(message.publish_us - time.time_ns() // 1000) < 60_000_000
    assert message.event is None


def test_messages_of_one_ordering_key_come_in_their_order_whoever_reads(pubsub, channel):
    topic, _ = channel
    subscription = f"projects/{PROJECT}/subscriptions/ordered-{uuid.uuid4().hex[:8]}"
    pubsub.subscriber.create_subscription(
        request={"name": subscription, "topic": topic, "ack_deadline_seconds": 60, "enable_message_ordering": True},
        timeout=10,
    )
    messages = [{"data": b"%d" % n, "ordering_key": f"key-{n % 5}"} for n in range(2000)]
    for start in range(0, len(messages), 500):
        pubsub.publisher.publish(topic=topic, messages=messages[start : start + 500], timeout=30)

    _run(subscription, drain_after=2000, shards=3, acknowledged=True)

    numbers = [int(message.data) for message in _seen()]
    assert sorted(numbers) == list(range(2000))
    for key in range(5):
        of_key = [number for number in numbers if number % 5 == key]
        assert of_key == sorted(of_key)


def test_the_watermark_moves_on_without_messages_and_no_pull_is_ever_behind_it(pubsub, channel):
    topic, subscription = channel
    ahead = Timestamp.now()
    stop = threading.Timer(4.0, drain.request_drain)
    later = threading.Timer(2.5, lambda: pubsub.publish(topic, [b"late"]))
    pubsub.publish(topic, [b"early"])
    stop.start()
    later.start()

    _run(subscription, drain_after=10)

    times = [timestamp for timestamp, _ in PULLS]
    assert [message.data for message in _seen()] == [b"early", b"late"]
    assert ahead <= times[0]
    assert times[1] >= times[0] + 1  # the time of its pull, not of the last message before it
