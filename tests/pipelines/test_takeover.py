"""One spec takes over from another under live runs; lateness is raised and lowered; layouts' registry is lost."""

import datetime
import os
import signal
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import fastavro
import pytest

from tests.pipelines.live import assert_superseded, changed, subscribe, wait_until_folded
from tests.pipelines.traffic import (
    NAME,
    SPEC_TEXT,
    Traffic,
    assert_equals_brute_force,
    events_in_redis,
    expected_of_file,
    expected_of_first,
    make_traffic,
    run_arguments,
)
from tests.servers.pipeline import Accounting, run_command, running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.oracle import AppliedEvent, microseconds
from user_state.store.keys import registry_key

pytestmark = [pytest.mark.pubsub, pytest.mark.slow]

PART = 600
USERS = 300
SHARES = """\
features:
  shares:
    aggregate: count
    where: {action: share}
    windows: [lifetime]
"""


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return make_traffic(tmp_path_factory.mktemp("traffic"), events=4 * PART, users=USERS, seed=47)


@pytest.fixture(scope="module")
def bodies(traffic: Traffic) -> list[bytes]:
    with traffic.path.open("rb") as file:
        return [message["data"] for message in fastavro.reader(file)]


@pytest.fixture
def topic(pubsub: PubSubEmulator) -> str:
    return pubsub.create_topic(f"takeover-{uuid.uuid4().hex[:8]}")


def test_the_older_of_two_specs_stops_with_its_messages_unacknowledged_until_it_is_rolled_back_to(
    pubsub: PubSubEmulator, valkey: Valkey, traffic: Traffic, bodies: list[bytes], topic: str, tmp_path: Path
):
    began = datetime.datetime.now(datetime.UTC)
    earlier, later = traffic, changed(traffic, SPEC_TEXT.replace("features:\n", SHARES), tmp_path / "later.yaml")
    first, everything = expected_of_first(traffic, PART), expected_of_first(traffic, 4 * PART)
    theirs = subscribe(pubsub, topic)
    with running_pipeline(
        *run_arguments(earlier, theirs, valkey.url, tmp_path / "dead"), output=tmp_path / "earlier.log"
    ) as old:
        old.wait_until_started()
        pubsub.publish(topic, bodies[:PART])
        wait_until_folded(old, valkey, first)
        with valkey.client() as client:
            client.flushall()  # and with the records the registry of layouts
        pubsub.seek(theirs, began)
        wait_until_folded(old, valkey, first)

        os.kill(old.pid, signal.SIGSTOP)  # a zombie: it will find the second part when it wakes up, and a newer spec
        pubsub.publish(topic, bodies[PART : 2 * PART])
        others = subscribe(pubsub, topic)
        with running_pipeline(
            *run_arguments(later, others, valkey.url, tmp_path / "dead-later"), output=tmp_path / "later.log"
        ) as new:
            new.wait_until_started()
            assert "starts empty: shares" in new.output
            pubsub.publish(topic, bodies[2 * PART : 3 * PART])
            new.wait_for_read(PART)
            shares_since = counted(valkey, later, "shares_count_lifetime")
            os.kill(old.pid, signal.SIGCONT)
            assert_superseded(old)
            assert shares_since == shares(expected_of_first(traffic, 3 * PART, after=2 * PART).applied, first.applied)
            assert_refused_at_once(earlier, theirs, valkey, tmp_path)

            rolled = run_command("rollback", "--spec", earlier.spec_path, "--redis", valkey.url, "--yes")
            assert rolled.returncode == 0, rolled.stderr
            pubsub.publish(topic, bodies[3 * PART :])
            assert_superseded(new)
    assert "bad_record" not in old.output + new.output  # the registry came back with the records

    with running_pipeline(
        *run_arguments(earlier, theirs, valkey.url, tmp_path / "dead-again"), output=tmp_path / "again.log"
    ) as again:
        wait_until_folded(again, valkey, everything)
        assert again.drain().balanced
    assert_equals_brute_force(valkey, traffic, everything)


def assert_refused_at_once(traffic: Traffic, subscription: str, valkey: Valkey, folder: Path) -> None:
    again = run_command(
        "run", "--max_dead_letters", "100%", *run_arguments(traffic, subscription, valkey.url, folder / "dead")
    )
    assert again.returncode == 2
    assert f"error: another spec named {NAME} writes the records" in again.stderr
    assert "Ctrl-C drains" not in again.stderr  # before anything was read


def counted(valkey: Valkey, traffic: Traffic, feature: str) -> dict[str, int]:
    """Return what Redis says of a feature, of every user who has any."""
    with valkey.client() as client:
        users = [key.decode().split("{")[1].split("}")[0] for key in client.scan_iter("*:state", count=1000)]
    with UserStateClient.from_url(valkey.url, traffic.spec, timeout_s=10) as client:
        batch = client.get_many(users)
    values = batch.values[:, batch.names.index(feature)]
    return {user: int(value) for user, value in zip(users, values, strict=True) if value}


def shares(now: Mapping[str, Sequence[AppliedEvent]], before: Mapping[str, Sequence[AppliedEvent]]) -> dict[str, int]:
    """Return how many shares each user has in events that were not there before."""
    since = {}
    for user, events in now.items():
        known = {one.id_hash for one in before.get(user, ())}
        since[user] = sum(one.event["action"] == "share" for one in events if one.id_hash not in known)
    return {user: number for user, number in since.items() if number}


def test_lateness_that_is_raised_and_lowered_again_counts_nothing_twice_whatever_comes_again(
    pubsub: PubSubEmulator, valkey: Valkey, topic: str, tmp_path: Path
):
    began = datetime.datetime.now(datetime.UTC)
    subscription = subscribe(pubsub, topic)
    # Three hours of publish times, so that a lateness of an hour forgets ids; no event's fate goes by who comes first.
    made = make_traffic(tmp_path, events=PART, users=30, seed=59, more=("--late", "0", "--too-late", "0"))
    short, long, shortest = (
        changed(made, SPEC_TEXT.replace("allowed_lateness: 1d", f"allowed_lateness: {late}"), tmp_path / f"{late}.yaml")
        for late in ("1h", "7d", "30m")
    )
    with made.path.open("rb") as file:
        messages = list(fastavro.reader(file))
    bodies = [message["data"] for message in messages]
    stamps = [{"published": str(microseconds(message["publish_time"]))} for message in messages]

    def run_all(spec: Traffic, steps: int) -> Accounting:
        arguments = (*run_arguments(spec, subscription, valkey.url, tmp_path / "dead"), "--publish_time_attribute")
        with running_pipeline(*arguments, "published", output=tmp_path / f"{spec.spec_path.stem}.log") as pipeline:
            for step in range(steps):  # each of half an hour, so that within one the order does not matter
                part = slice(step * PART // steps, (step + 1) * PART // steps)
                pubsub.publish(topic, bodies[part], stamps[part])
                pipeline.wait_for_read(part.stop)
            pipeline.wait_for_read(PART)
            return pipeline.drain()

    before = expected_of_file(short)
    assert run_all(short, steps=6).applied == before.events_applied
    assert_equals_brute_force(valkey, short, before)
    assert before.events_applied - events_in_redis(valkey, before.applied) > PART // 20  # so many ids are forgotten

    for other in (long, shortest):
        pubsub.seek(subscription, began)
        assert run_all(other, steps=0).applied == 0
        assert_equals_brute_force(valkey, other, before)


def test_a_changed_spec_does_not_start_over_records_whose_layouts_registry_was_lost_until_the_earlier_is_registered(
    valkey: Valkey, traffic: Traffic, tmp_path: Path
):
    later = changed(traffic, SPEC_TEXT.replace("features:\n", SHARES), tmp_path / "later.yaml")
    file = tmp_path / "traffic.avro"
    made = run_command("generate", "--users", "20", "--events", "300", "--seed", "5", "--out", file)
    assert made.returncode == 0, made.stderr

    def run(spec: Traffic) -> tuple[int, str]:
        ended = run_command(
            "run", "--max_dead_letters", "100%", *run_arguments(spec, file, valkey.url, tmp_path / "dead")
        )
        return ended.returncode, ended.stderr

    assert run(traffic)[0] == 0
    with valkey.client() as client:
        records = {key: client.get(key) for key in client.scan_iter("*:state")}
        client.delete(registry_key(NAME))
    code, said = run(later)
    assert code == 2
    assert f"{len(records)} of {len(records)} records of {NAME} in Redis" in said
    assert "Register the spec that wrote them again, with `user-state rollback --spec EARLIER`" in said
    with valkey.client() as client:
        assert {key: client.get(key) for key in client.scan_iter("*:state")} == records

    again = run_command("rollback", "--spec", traffic.spec_path, "--redis", valkey.url, "--yes")
    assert again.returncode == 0, again.stderr
    code, said = run(later)
    assert code == 0, said
    assert "starts empty: shares" in said
    assert "bad_record" not in said
