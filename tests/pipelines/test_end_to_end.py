"""The whole way as a user goes it: `publish` to the real emulator, `run` until stopped, and Redis held against brute
force for every user and feature; the same file read directly gives the same.
"""

import signal
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pipelines.traffic import (
    Traffic,
    assert_all_acknowledged,
    assert_equals_brute_force,
    dead_letters,
    expected_of_file,
    expected_of_messages,
    make_traffic,
    publish,
    run_arguments,
    undecodable_bodies,
    writes_to_redis,
)
from tests.servers.pipeline import Accounting, running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey, running_valkey

EVENTS = 10_000
USERS = 300


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return make_traffic(tmp_path_factory.mktemp("traffic"), events=EVENTS, users=USERS, seed=11)


@dataclass(frozen=True)
class Channel:
    """A topic with the subscription that is run and one that sees the same messages."""

    topic: str
    subscription: str
    witness: str


@pytest.fixture
def channel(pubsub: PubSubEmulator) -> Channel:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    return Channel(
        topic, *(pubsub.create_subscription(f"{name}-{role}", topic, ack_deadline_s=10) for role in ("run", "witness"))
    )


def _assert_every_bin_is_used(accounting: Accounting) -> None:
    """Without this the identity could hold of nothing; skips that are late or come twice are `ignored` all the same."""
    assert accounting.read == EVENTS
    assert accounting.reasons["undecodable"] == EVENTS // 100
    assert EVENTS // 200 < accounting.reasons["too_late"] <= EVENTS // 100
    assert EVENTS // 40 < accounting.duplicate <= EVENTS // 20
    assert EVENTS // 20 < accounting.ignored < EVENTS // 2
    assert accounting.applied > EVENTS // 2


@pytest.mark.pubsub
@pytest.mark.parametrize(
    ("sign", "options"),
    [
        pytest.param(signal.SIGTERM, [], id="stopped by SIGTERM"),
        pytest.param(signal.SIGINT, ["--flush_interval", "2"], id="written every two seconds, stopped by SIGINT"),
        pytest.param(signal.SIGTERM, ["--state", "runner"], id="kept in the runner's state"),
    ],
)
def test_published_events_end_in_redis_as_brute_force_has_them_and_every_message_in_one_bin(
    pubsub: PubSubEmulator,
    valkey: Valkey,
    traffic: Traffic,
    channel: Channel,
    tmp_path: Path,
    sign: signal.Signals,
    options: list[str],
):
    folder = tmp_path / "dead-letters"
    publish(traffic, channel.topic)
    arguments = [*run_arguments(traffic, channel.subscription, valkey.url, folder), *options]

    with running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline:
        pipeline.wait_for_read(EVENTS)
        accounting = pipeline.drain(sign)

    expected = expected_of_messages(traffic, pubsub.pull_all(channel.witness))
    _assert_every_bin_is_used(expected.accounting)
    assert expected.accounting == accounting
    assert_equals_brute_force(valkey, traffic, expected)
    letters = dead_letters(folder)
    assert expected.corrupt == undecodable_bodies(letters)
    assert expected.accounting.reasons == Counter(letter["reason"] for letter in letters)
    assert_all_acknowledged(pubsub, channel.subscription)


@pytest.mark.parametrize("state", ["redis", "runner"])
def test_the_file_read_directly_gives_the_same_as_through_pubsub(
    valkey: Valkey, traffic: Traffic, tmp_path: Path, state: str
):
    folder = tmp_path / "dead-letters"

    with running_pipeline(
        *run_arguments(traffic, traffic.path, valkey.url, folder), "--state", state, output=tmp_path / "run.log"
    ) as pipeline:
        accounting = pipeline.wait_for_end(120)

    expected = expected_of_file(traffic)
    _assert_every_bin_is_used(expected.accounting)
    assert expected.accounting == accounting
    assert_equals_brute_force(valkey, traffic, expected)
    assert expected.corrupt == undecodable_bodies(dead_letters(folder))


@pytest.mark.pubsub
def test_holding_events_back_for_two_seconds_gives_the_same_records_with_fewer_writes(
    pubsub: PubSubEmulator, channel: Channel, tmp_path: Path
):
    """Both pipelines see the same messages at the same time, while a few users act all the time."""
    steady = make_traffic(tmp_path, events=4_000, users=30, seed=12)
    with (
        running_valkey(tmp_path / "at-once") as at_once,
        running_valkey(tmp_path / "held-back") as held_back,
        running_pipeline(
            *run_arguments(steady, channel.subscription, at_once.url, tmp_path / "dead-1"),
            output=tmp_path / "at-once.log",
        ) as writing_at_once,
        running_pipeline(
            *run_arguments(steady, channel.witness, held_back.url, tmp_path / "dead-2"),
            *("--flush_interval", "2"),
            output=tmp_path / "held-back.log",
        ) as holding_back,
    ):
        pipelines = (writing_at_once, holding_back)
        for pipeline in pipelines:
            pipeline.wait_until_started()
        publish(steady, channel.topic, rate=400)
        for pipeline in pipelines:
            pipeline.wait_for_read(steady.messages)
        accounts = [pipeline.drain() for pipeline in pipelines]

        expected = expected_of_file(steady)
        assert [expected.accounting] * 2 == accounts
        assert_equals_brute_force(at_once, steady, expected)
        assert_equals_brute_force(held_back, steady, expected)
        fewer, more = (writes_to_redis(redis, expected.applied) for redis in (held_back, at_once))
        assert fewer * 1.5 < more


@pytest.mark.pubsub
def test_dead_letters_can_be_published_again_bytes_untouched(
    pubsub: PubSubEmulator, valkey: Valkey, traffic: Traffic, channel: Channel, tmp_path: Path
):
    folder = tmp_path / "dead-letters"
    with running_pipeline(
        *run_arguments(traffic, traffic.path, valkey.url, folder), output=tmp_path / "run.log"
    ) as pipeline:
        accounting = pipeline.wait_for_end(120)

    publish(traffic, channel.topic, folder / "*.avro")

    received = Counter(found.message.data for found in pubsub.pull_all(channel.witness))
    assert received == Counter(letter["data"] for letter in dead_letters(folder))
    assert accounting.dead_letters == received.total()
    assert expected_of_file(traffic).corrupt <= received


def test_either_way_of_keeping_records_takes_over_from_the_other(valkey: Valkey, tmp_path: Path):
    """The first run folds; the others find every event in the records that they take over."""
    few = make_traffic(tmp_path, events=3_000, users=50, seed=14)
    expected = expected_of_file(few)
    first = expected.accounting
    for number, state in enumerate(("redis", "runner", "redis")):
        arguments = run_arguments(few, few.path, valkey.url, tmp_path / f"dead-{number}")
        with running_pipeline(*arguments, "--state", state, output=tmp_path / f"{number}.log") as pipeline:
            accounting = pipeline.wait_for_end(120)
        if number == 0:
            assert accounting == first
        else:
            assert (accounting.applied, accounting.duplicate) == (0, first.applied + first.duplicate)
        assert_equals_brute_force(valkey, few, expected)
