"""Redis loses data under a live run, and the subscription is sought back: every user is right again, nothing is twice.

Real processes: `user-state run`, the Pub/Sub emulator, Valkeys that are killed, flushed, set back and failed over.
"""

import datetime
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fastavro
import pytest

from tests.pipelines.live import lost, subscribe, wait_until_folded
from tests.pipelines.traffic import (
    NAME,
    Expected,
    Traffic,
    assert_equals_brute_force,
    events_in_redis,
    expected_of_first,
    make_traffic,
    run_arguments,
)
from tests.servers.pipeline import Pipeline, run_command, running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey, running_valkey
from transforms.outcomes import LOST_DATA
from user_state.store.keys import seen_key

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

USERS = 60
PART = 500
PARTS = 8


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return make_traffic(tmp_path_factory.mktemp("traffic"), events=PART * PARTS, users=USERS, seed=43)


@dataclass
class Stream:
    """Traffic that is published a part at a time to a topic, whose subscription can be sought back."""

    pubsub: PubSubEmulator
    traffic: Traffic
    topic: str
    subscription: str
    began: datetime.datetime
    bodies: Sequence[bytes]
    published: int = 0

    def publish_a_part(self) -> Expected:
        """Publish the next part; return what must have become of all so far."""
        self.pubsub.publish(self.topic, self.bodies[self.published : self.published + PART])
        self.published += PART
        assert self.published <= len(self.bodies)
        return expected_of_first(self.traffic, self.published)

    def seek_back(self) -> None:
        """Have all of it come again."""
        self.pubsub.seek(self.subscription, self.began)


@pytest.fixture
def stream(pubsub: PubSubEmulator, traffic: Traffic) -> Stream:
    began = datetime.datetime.now(datetime.UTC)
    topic = pubsub.create_topic(f"recovery-{uuid.uuid4().hex[:8]}")
    with traffic.path.open("rb") as file:
        bodies = [message["data"] for message in fastavro.reader(file)]
    return Stream(pubsub, traffic, topic, subscribe(pubsub, topic), began, bodies)


@contextmanager
def live_run(stream: Stream, valkey: Valkey, folder: Path, *options: str) -> Iterator[Pipeline]:
    arguments = run_arguments(stream.traffic, stream.subscription, valkey.url, folder / "dead-letters")
    with running_pipeline(*arguments, *options, output=folder / "run.log") as pipeline:
        pipeline.wait_until_started()
        yield pipeline


def restart_empty(valkey: Valkey) -> None:
    valkey.kill_9()
    (valkey.folder / "dump.rdb").unlink(missing_ok=True)
    valkey.restart()


def flush(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.flushall()


def set_back(valkey: Valkey) -> None:
    valkey.kill_9()
    valkey.restart()  # with the snapshot that was saved before


def lose(
    how: Callable[[Valkey], None], stream: Stream, pipeline: Pipeline, valkey: Valkey, *, snapshot: bool = False
) -> None:
    """Lose data in the middle of the stream, seek back, and find every user as brute force has them."""
    wait_until_folded(pipeline, valkey, stream.publish_a_part())
    if snapshot:
        with valkey.client() as client:
            client.save()
        wait_until_folded(pipeline, valkey, stream.publish_a_part())
    told = pipeline.output.count(LOST_DATA)
    expected = stream.publish_a_part()  # is being folded when it happens
    how(valkey)
    assert events_in_redis(valkey, expected.applied) < expected.events_applied

    stream.seek_back()
    wait_until_folded(pipeline, valkey, expected)
    assert_equals_brute_force(valkey, stream.traffic, expected)
    pipeline.wait_until(lambda: pipeline.output.count(LOST_DATA) > told, "the run to say that data was lost", 20)


def test_a_redis_that_restarts_empty_or_is_flushed_or_set_back_holds_every_user_again_once_sought_back(
    stream: Stream, valkey: Valkey, tmp_path: Path
):
    with live_run(stream, valkey, tmp_path) as pipeline:
        lose(restart_empty, stream, pipeline, valkey)
        lose(flush, stream, pipeline, valkey)
        lose(set_back, stream, pipeline, valkey, snapshot=True)
        accounting = pipeline.drain()
    assert accounting.balanced
    assert lost(pipeline, "redis_went_back") >= 3
    # Of the writes that were on their way when Redis went, a worker does not know whether they were made.
    assert lost(pipeline, "records_lost") > USERS // 2
    assert "docs/recovery.md says what to do" in pipeline.output


def test_with_fsync_too_a_flush_is_noticed_and_sought_back(stream: Stream, tmp_path: Path):
    with (
        running_valkey(tmp_path / "valkey", appendonly=True, appendfsync="everysec") as valkey,
        live_run(stream, valkey, tmp_path, "--durability", "fsync") as pipeline,
    ):
        lose(flush, stream, pipeline, valkey)
        assert pipeline.drain().balanced
    assert lost(pipeline, "redis_went_back") >= 1


def test_a_failover_to_a_replica_that_lagged_is_noticed_and_sought_back(stream: Stream, valkey: Valkey, tmp_path: Path):
    with running_valkey(tmp_path / "replica") as replica, live_run(stream, valkey, tmp_path) as pipeline:
        with replica.client() as client:
            client.replicaof("127.0.0.1", valkey.port)
        first = stream.publish_a_part()
        wait_until_folded(pipeline, valkey, first)
        pipeline.wait_until(lambda: events_in_redis(replica, first.applied) == first.events_applied, "the replica")
        with replica.client() as client:
            client.replicaof("NO", "ONE")  # from here on it lags
            client.save()
        replica.kill_9()
        wait_until_folded(pipeline, valkey, stream.publish_a_part())
        expected = stream.publish_a_part()

        valkey.kill_9()
        replica.port = valkey.port
        replica.restart()
        assert events_in_redis(replica, expected.applied) < expected.events_applied
        stream.seek_back()
        wait_until_folded(pipeline, replica, expected)
        assert_equals_brute_force(replica, stream.traffic, expected)
        assert pipeline.drain().balanced
    assert LOST_DATA in pipeline.output
    assert lost(pipeline, "redis_went_back") >= 1


def test_where_ids_are_evicted_nothing_is_counted_twice_and_a_server_that_evicts_has_to_be_asked_for(
    stream: Stream, valkey: Valkey, tmp_path: Path
):
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    arguments = run_arguments(stream.traffic, stream.subscription, valkey.url, tmp_path / "dead-letters")
    refused = run_command("run", *arguments)
    assert refused.returncode == 2
    assert "got allkeys-lru" in refused.stderr
    assert "maxmemory-policy noeviction" in refused.stderr
    assert "or run with --allow_eviction" in refused.stderr

    with live_run(stream, valkey, tmp_path, "--allow_eviction", "--cache_mb", "0") as pipeline:
        expected = stream.publish_a_part()
        wait_until_folded(pipeline, valkey, expected)
        evicted = sorted(expected.applied)[::4]
        with valkey.client() as client:
            assert client.delete(*(seen_key(NAME, user) for user in evicted)) == len(evicted)
        stream.seek_back()
        pipeline.wait_for_read(2 * PART)
        assert pipeline.drain().balanced
    assert_equals_brute_force(valkey, stream.traffic, expected)
    assert lost(pipeline, "ids_lost") == len(evicted)
