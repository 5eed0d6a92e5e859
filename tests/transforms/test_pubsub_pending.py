"""Acknowledging what the runner has finalized: never what is in no completed checkpoint, and everything in the end."""

import random
import threading
import time
import uuid
from dataclasses import dataclass, field

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms import drain, pubsub_pending
from transforms.pubsub_pending import CONFIRMATIONS, PROCESS, PendingShard, acknowledge_pending, pending_of
from transforms.pubsub_puller import halt_all
from transforms.read_pubsub import ReadFromPubSubSubscription

SUBSCRIPTION = "projects/local-dev/subscriptions/modelled"


@pytest.fixture
def acknowledged(monkeypatch) -> list[str]:
    """What is acknowledged, in a world without a service; what is given back is nowhere."""
    found: list[str] = []
    monkeypatch.setattr(pubsub_pending, "acknowledge", lambda subscription, ack_ids: found.extend(ack_ids))
    monkeypatch.setattr(pubsub_pending, "set_ack_deadline", lambda *args: None)
    monkeypatch.setattr(pubsub_pending, "EVERY_S", 0.0)
    return found


@dataclass
class Flink:
    """One task of Flink, as far as finalizers go: *all* finished bundles are finalized when a checkpoint completes.

    Attributes:
        shard: under test.
        passed_on: ack ids of finished bundles, in order.
        position: of the shard.
        finalizers: of finished bundles.
        barriers: checkpoints under way: what was passed on before the barrier.
        complete: what the last completed checkpoint holds, and the position in it.
    """

    shard: PendingShard
    passed_on: list[str] = field(default_factory=list)
    position: int = 0
    finalizers: list = field(default_factory=list)
    barriers: list[tuple[list[str], int]] = field(default_factory=list)
    complete: tuple[list[str], int] = ((), 0)
    number: int = 0

    def bundle(self, messages: int) -> None:
        ticket = self.shard.began(self.position)
        ack_ids = [f"{self.number}-{n}" for n in range(messages)]
        self.number += 1
        self.shard.passed_on(ack_ids)
        finalizer = self.shard.finalizer(ticket)
        self.passed_on += ack_ids
        self.position += 1
        if finalizer is not None:
            self.finalizers.append(finalizer)

    def barrier(self) -> None:
        self.barriers.append((list(self.passed_on), self.position))

    def completes(self) -> None:
        self.complete = self.barriers.pop(0)
        finalizers, self.finalizers = self.finalizers, []
        for finalizer in finalizers:
            finalizer()

    def fails(self) -> None:
        passed_on, self.position = self.complete
        self.passed_on = list(passed_on)
        self.finalizers, self.barriers = [], []


@pytest.mark.parametrize("seed", range(40))
def test_whatever_overlaps_and_fails_nothing_is_acknowledged_that_is_in_no_completed_checkpoint(acknowledged, seed):
    rng = random.Random(seed)
    flink = Flink(PendingShard(SUBSCRIPTION, 60))
    safe: set[str] = set()
    for _ in range(400):
        what = rng.random()
        if what < 0.6:
            flink.bundle(rng.randrange(4))
        elif what < 0.75 and len(flink.barriers) < 2:  # a savepoint may overlap a checkpoint
            flink.barrier()
        elif what < 0.95 and flink.barriers:
            flink.completes()
            safe |= set(flink.complete[0])
        elif what > 0.985:
            flink.fails()
        assert set(acknowledged) <= safe
    for _ in range(CONFIRMATIONS + 2):  # then in peace
        flink.bundle(1)
        while flink.barriers:
            flink.completes()
        flink.barrier()
        flink.completes()
    assert len(acknowledged) == len(set(acknowledged))
    assert len(acknowledged) > 20
    assert len(flink.shard) <= CONFIRMATIONS + 1


def test_fewer_confirmations_would_lose_messages_when_a_savepoint_overlaps(acknowledged, monkeypatch):
    """The world above is one in which acknowledging sooner fails, so it can tell."""
    monkeypatch.setattr(pubsub_pending, "CONFIRMATIONS", 1)
    flink = Flink(PendingShard(SUBSCRIPTION, 60))
    flink.barrier()
    flink.barrier()
    flink.bundle(3)  # after both barriers
    flink.completes()
    flink.bundle(0)
    flink.completes()

    assert acknowledged == ["0-0", "0-1", "0-2"]
    assert flink.complete[0] == []


def test_a_shard_that_goes_back_gives_up_what_was_pending(acknowledged):
    shard = PendingShard(SUBSCRIPTION, 60)
    ticket = shard.began(4)
    shard.passed_on(["a", "b"])
    late = shard.finalizer(ticket)
    assert len(shard) == 2

    shard.began(4)

    assert len(shard) == 0
    late()
    for position in range(5, 5 + 2 * CONFIRMATIONS):
        finalizer = shard.finalizer(shard.began(position))
        if finalizer is not None:
            finalizer()
    assert acknowledged == []


def test_a_shard_that_was_in_another_process_meanwhile_gives_up_what_was_pending(acknowledged):
    """Both processes outlive two restarts of the job, which give the shard to the other and back, further on."""
    shard = PendingShard(SUBSCRIPTION, 60)
    shard.began(0)
    ticket = shard.began(1)
    shard.passed_on(["in no checkpoint"])
    lost = shard.finalizer(ticket)

    for position, process in ((2, "another"), (3, PROCESS), (4, PROCESS), (5, PROCESS)):
        finalizer = shard.finalizer(shard.began(position, process))
        if finalizer is not None:
            finalizer()

    assert len(shard) == 0
    lost()
    assert acknowledged == []


def test_a_shard_nobody_calls_for_is_given_up(acknowledged, monkeypatch):
    shard = PendingShard(SUBSCRIPTION, 60)
    shard.began(0)
    shard.passed_on(["a"])
    shard.extend(time.monotonic() + 30)
    assert len(shard) == 1

    shard.extend(time.monotonic() + 2 * pubsub_pending.ABANDONED_S)

    assert len(shard) == 0
    assert acknowledged == []


READ: list[bytes] = []
"""What the pipeline under test has seen; the runner works in this process."""


class _CollectFn(beam.DoFn):
    def process(self, pull):
        assert all(message.ack_id is None for message in pull)
        READ.extend(message.data for message in pull)


@pytest.mark.pubsub
def test_a_pipeline_acknowledges_while_it_runs_holds_leases_and_acknowledges_the_rest_in_the_end(pubsub):
    name = f"finalized-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=10)
    pubsub.publish(topic, [b"body-%d" % n for n in range(3000)])
    drain.reset()
    READ.clear()
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--streaming"]))
    pulls = pipeline | "Read" >> ReadFromPubSubSubscription(subscription, shards=1, ack_deadline_s=10, finalized=True)
    pulls | "Collect" >> beam.ParDo(_CollectFn())
    shard = pending_of(subscription, "shard-0", 10)
    most = 0

    def watch() -> None:
        nonlocal most
        until = time.monotonic() + 40
        while time.monotonic() < until:
            most = max(most, len(shard))
            if len(READ) >= 3000 and len(shard) == 0:
                break
            time.sleep(0.05)
        drain.request_drain()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        assert pipeline.run().wait_until_finish() == "DONE"
    finally:
        watching.join()
        assert halt_all(5)
        drain.reset()
    assert most > 0  # it was pending, then acknowledged while the pipeline ran
    assert len(shard) == 0
    acknowledge_pending()
    assert sorted(READ) == sorted(b"body-%d" % n for n in range(3000))
    assert pubsub.pull_all(subscription, quiet_s=12) == []
