"""What breaks while events stream, and what must not come of it: nothing lost, nothing counted twice.

Events are published at an even rate while things break, so that every fault falls into the middle of the stream.
"""

import datetime
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipelines.traffic import (
    Traffic,
    assert_all_acknowledged,
    assert_equals_brute_force,
    dead_letters,
    events_in_redis,
    everything_in_redis,
    expected_of_file,
    make_traffic,
    publish,
    publish_arguments,
    run_arguments,
    undecodable_bodies,
)
from tests.servers.pipeline import Accounting, Pipeline, running_pipeline, started_command
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey, running_valkey

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

USERS = 100
KILLS = 6
EMPTY_AFTER_S = 13
"""Longer than the ack deadline: whoever has seen no message for so long has seen all there are."""


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    return make_traffic(tmp_path, events=8_000, users=USERS, seed=21)


@pytest.fixture
def topic(pubsub: PubSubEmulator) -> str:
    return pubsub.create_topic(f"faults-{uuid.uuid4().hex[:8]}")


def _subscribe(pubsub: PubSubEmulator, topic: str) -> str:
    return pubsub.create_subscription(f"sub-{uuid.uuid4().hex[:8]}", topic, keeps_acknowledged=True)


def test_redis_killed_and_restarted_from_its_append_only_file_loses_nothing_and_counts_nothing_twice(
    pubsub: PubSubEmulator, traffic: Traffic, topic: str, tmp_path: Path
):
    subscription, folder = _subscribe(pubsub, topic), tmp_path / "dead-letters"
    expected = expected_of_file(traffic)
    with (
        running_valkey(tmp_path / "valkey", appendonly=True, appendfsync="everysec") as valkey,
        running_pipeline(
            *run_arguments(traffic, subscription, valkey.url, folder),
            *("--durability", "fsync"),
            output=tmp_path / "run.log",
        ) as pipeline,
    ):
        pipeline.wait_until_started()
        with started_command(*publish_arguments(traffic, topic, rate=800), output=tmp_path / "publish.log"):
            for share in (0.2, 0.5, 0.7):
                _wait_for_events(pipeline, valkey, expected.applied, round(share * expected.events_applied))
                valkey.kill_9()
                time.sleep(1.5)
                valkey.restart()
            _wait_for_events(pipeline, valkey, expected.applied, expected.events_applied)
        pipeline.wait_for_read(traffic.messages)
        accounting = pipeline.drain()

        assert "waiting, nothing is lost" in pipeline.output
        assert_equals_brute_force(valkey, traffic, expected)
        # What Redis had stored when its answer was lost still counts as applied, not as a duplicate.
        assert accounting.applied == expected.events_applied
        _assert_balanced_with_copies_read_again(accounting, expected.accounting)
        assert set(expected.corrupt) == set(undecodable_bodies(dead_letters(folder)))
        assert_all_acknowledged(pubsub, subscription)


def test_racing_pipelines_and_a_stale_writer_fold_each_event_once_and_a_replay_changes_nothing(
    pubsub: PubSubEmulator, valkey: Valkey, traffic: Traffic, topic: str, tmp_path: Path
):
    subscriptions = [_subscribe(pubsub, topic) for _ in range(2)]
    expected = expected_of_file(traffic)
    before = datetime.datetime.now(datetime.UTC)
    with (
        running_pipeline(
            *run_arguments(traffic, subscriptions[0], valkey.url, tmp_path / "dead-0"), output=tmp_path / "0.log"
        ) as first,
        running_pipeline(
            *run_arguments(traffic, subscriptions[1], valkey.url, tmp_path / "dead-1"), output=tmp_path / "1.log"
        ) as second,
    ):
        for pipeline in (first, second):
            pipeline.wait_until_started()
        with _stale_writer(traffic, valkey, sorted(expected.applied), tmp_path) as stale:
            publish(traffic, topic, rate=400)  # slow enough that neither is far behind on a busy machine
            for pipeline in (first, second):
                pipeline.wait_for_read(traffic.messages)
            accounts = [pipeline.drain() for pipeline in (first, second)]

    assert_equals_brute_force(valkey, traffic, expected)
    assert sum(accounting.applied for accounting in accounts) == expected.events_applied
    assert min(accounting.applied for accounting in accounts) > expected.events_applied // 20  # it was a race
    for accounting in accounts:
        assert accounting.balanced
        assert accounting.applied + accounting.duplicate >= expected.accounting.applied + expected.accounting.duplicate
    attempted, refused = stale()
    assert attempted > USERS
    assert refused == attempted

    bytes_before = everything_in_redis(valkey)
    pubsub.seek(subscriptions[0], before)
    again = _run_until_empty(traffic, subscriptions[0], valkey, tmp_path)
    assert again.read >= traffic.messages
    assert again.applied == 0
    assert again.balanced
    assert everything_in_redis(valkey) == bytes_before


@pytest.mark.timeout(420)
def test_a_pipeline_killed_again_and_again_at_random_moments_loses_nothing(
    pubsub: PubSubEmulator, valkey: Valkey, traffic: Traffic, topic: str, tmp_path: Path
):
    subscription, folder = _subscribe(pubsub, topic), tmp_path / "dead-letters"
    expected = expected_of_file(traffic)
    moments, held = random.Random(31), []
    with started_command(*publish_arguments(traffic, topic, rate=180), output=tmp_path / "publish.log") as publishing:
        for number in range(KILLS):
            arguments = run_arguments(traffic, subscription, valkey.url, folder)
            with running_pipeline(*arguments, output=tmp_path / f"run-{number}.log") as pipeline:
                pipeline.wait_until_started()
                time.sleep(moments.uniform(0.3, 5.5))
                pipeline.kill_9()
            held.append(events_in_redis(valkey, expected.applied))
        publishing.wait(120)
    # The kills fell into the stream, and what lived between two of them was kept.
    assert held == sorted(held)
    assert len({count for count in held if 0 < count < expected.events_applied}) >= 3

    final = _run_until_empty(traffic, subscription, valkey, tmp_path)

    assert final.balanced
    assert_equals_brute_force(valkey, traffic, expected)
    assert events_in_redis(valkey, expected.applied) == expected.events_applied
    assert set(expected.corrupt) == set(
        undecodable_bodies(dead_letters(folder) + dead_letters(tmp_path / "dead-at-last"))
    )
    assert_all_acknowledged(pubsub, subscription)


def _wait_for_events(pipeline: Pipeline, valkey: Valkey, users: dict, events: int) -> None:
    pipeline.wait_until(lambda: events_in_redis(valkey, users) >= events, f"{events:,} events to be folded")


def _run_until_empty(traffic: Traffic, subscription: str, valkey: Valkey, folder: Path) -> Accounting:
    """Run until every lease has ended and nothing has come again."""
    with running_pipeline(
        *run_arguments(traffic, subscription, valkey.url, folder / "dead-at-last"),
        *("--stop_when_idle", str(EMPTY_AFTER_S)),
        output=folder / "last.log",
    ) as pipeline:
        return pipeline.wait_for_end(120)


def _assert_balanced_with_copies_read_again(accounting: Accounting, once: Accounting) -> None:
    """Whatever came again after its ack deadline is one more of its own bin, `applied` excepted."""
    assert accounting.balanced
    assert accounting.duplicate >= once.duplicate
    assert accounting.ignored >= once.ignored
    assert accounting.dead_letters >= once.dead_letters


@contextmanager
def _stale_writer(traffic: Traffic, valkey: Valkey, users: list[str], folder: Path) -> Iterator:
    """Run the stale writer; yields a function that gives (attempted, refused) once the block has ended."""
    users_file, out, log = folder / "users.txt", folder / "stale.txt", folder / "stale.log"
    users_file.write_text("\n".join(users))
    command = ("-m", "tests.pipelines.stale_writer", traffic.spec_path, valkey.url, users_file, out)
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, *map(str, command)], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield lambda: tuple(map(int, out.read_text().split()))
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    assert code == 0, log.read_text()
