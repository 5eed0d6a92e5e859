"""Traffic in every encoding of bodies, from `generate` through the Pub/Sub emulator into Redis: as brute force has it.

Brute force takes bodies apart by itself (`user_state/oracle/framing.py`) and reads them with fastavro.
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest

from tests.pipelines.traffic import (
    SPEC_TEXT,
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
)
from tests.servers.pipeline import run_command, running_pipeline
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from tests.servers.registry import Answer, TestRegistry, running_registry
from user_state.events.avro_files import SingleObject, message_schema
from user_state.schema_registry import schemas
from user_state.spec import load_spec
from user_state.spec.event_schema import BUNDLED

EVENTS, USERS, CORRUPT = 2_000, 60, 20
SCHEMA: Any = json.loads((BUNDLED / "interaction.avsc").read_text())
BEGINNINGS = {
    "raw": None,
    "single_object": b"\xc3\x01",
    "container": b"Obj\x01",
    "confluent": b"\0\0\0\0\7",
    "json": b"{",
}


@pytest.fixture
def registry() -> Iterator[TestRegistry]:
    with running_registry() as server:
        server.register(SCHEMA, "interactions-value", 7)
        server.versions["user_state.Interaction"] = [7]
        yield server
        schemas.schemas_of.cache_clear()


def traffic_of(folder: Path, encoding: str, registry: str) -> Traffic:
    more = f"  encoding: {encoding}\n" + (f"  registry: {registry}\n" if encoding == "confluent" else "")
    text = SPEC_TEXT.replace("  schema: interaction.avsc\n", f"  schema: interaction.avsc\n{more}")
    return make_traffic(
        folder, events=EVENTS, users=USERS, seed=5, spec_text=text, more=["--spec", folder / "user_state.yaml"]
    )


def bodies_in(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return list(fastavro.reader(file))  # type: ignore[arg-type]


def compressed(traffic: Traffic, folder: Path) -> Traffic:
    """Return the traffic with every other body compressed, as an attribute says."""
    messages = bodies_in(traffic.path)
    for message in messages[::2]:
        message["data"] = gzip.compress(message["data"])
        message["attributes"] = {**message["attributes"], "Content-Encoding": "gzip"}
    path = folder / "compressed.avro"
    with path.open("wb") as file:
        fastavro.writer(file, message_schema(), messages)
    return replace(traffic, path=path)


@pytest.mark.pubsub
@pytest.mark.slow
@pytest.mark.parametrize("encoding", BEGINNINGS)
def test_an_encoding_from_generate_through_pubsub_to_redis_and_verify(
    pubsub: PubSubEmulator, valkey: Valkey, registry: TestRegistry, tmp_path: Path, encoding: str
) -> None:
    traffic = traffic_of(tmp_path, encoding, registry.url)
    begin = BEGINNINGS[encoding]
    whole = [one["data"] for one in bodies_in(traffic.path) if begin is None or one["data"].startswith(begin)]
    assert len(whole) >= EVENTS - 2 * CORRUPT
    if begin is None:
        assert sum(body.startswith(b"\xc3\x01") for body in whole) < 2 * CORRUPT
    traffic = compressed(traffic, tmp_path)
    name = f"encoding-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    subscription, witness = (
        pubsub.create_subscription(f"{name}-{role}", topic, ack_deadline_s=10) for role in ("run", "witness")
    )
    publish(traffic, topic)
    folder = tmp_path / "dead-letters"

    with running_pipeline(
        *run_arguments(traffic, subscription, valkey.url, folder), output=tmp_path / "run.log"
    ) as pipeline:
        pipeline.wait_for_read(EVENTS)
        accounting = pipeline.drain()

    received = pubsub.pull_all(witness)
    expected = expected_of_messages(traffic, received)
    assert expected.accounting == accounting
    assert accounting.reasons["undecodable"] == EVENTS // 100
    assert accounting.applied > EVENTS // 2
    assert_equals_brute_force(valkey, traffic, expected)
    letters = dead_letters(folder)
    assert expected.corrupt == undecodable_bodies(letters)
    assert {bool(letter["attributes"].get("Content-Encoding")) for letter in letters} == {False, True}
    assert_all_acknowledged(pubsub, subscription)

    # What is published again is what came: it is refused again.
    again = tmp_path / "again.avro"
    replayed = run_command("dead-letters", folder, "--reason", "undecodable", "--replay", again)
    assert replayed.returncode == 0, replayed.stderr
    sent = sorted((one["data"], one["attributes"].get("Content-Encoding")) for one in bodies_in(again))
    lost = [letter for letter in letters if letter["reason"] == "undecodable"]
    assert sent == sorted((letter["data"], letter["attributes"].get("Content-Encoding")) for letter in lost)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", BEGINNINGS)
def test_a_file_of_messages_is_run_and_verified_in_every_encoding(
    valkey: Valkey, registry: TestRegistry, tmp_path: Path, encoding: str
) -> None:
    traffic = compressed(traffic_of(tmp_path, encoding, registry.url), tmp_path)
    folder = tmp_path / "dead-letters"
    ended = run_command("run", *run_arguments(traffic, traffic.path, valkey.url, folder))
    assert ended.returncode == 0, ended.stderr
    expected = expected_of_file(traffic)
    assert_equals_brute_force(valkey, traffic, expected)
    arguments = ("--spec", traffic.spec_path, "--redis", valkey.url, "--events", traffic.path)
    verified = run_command("verify", *arguments)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "all equal" in verified.stdout


TEXTS = ("event_id", "user_id", "item_id", "action", "category", "creator", "surface")
JSON_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        **{
            name: {"type": "string"}
            for name in ("event_id", "user_id", "item_id", "action", "category", "creator", "surface")
        },
        "event_time": {"type": "integer"},
        "published_at": {"type": ["integer", "null"]},
        "value": {"type": "number"},
    },
    "required": ["event_id", "user_id", "item_id", "action", "event_time"],
}


@pytest.mark.slow
def test_events_of_a_json_schema_are_generated_run_and_verified(valkey: Valkey, tmp_path: Path) -> None:
    (tmp_path / "interaction.json").write_text(json.dumps(JSON_SCHEMA))
    events = "  schema: interaction.json\n  encoding: json\n  time_unit: us\n"
    events += "  published_unit: us\n" if "published:" in SPEC_TEXT else ""
    text = SPEC_TEXT.replace("  schema: interaction.avsc\n", events)
    traffic = make_traffic(
        tmp_path, events=500, users=20, seed=5, spec_text=text, more=["--spec", tmp_path / "user_state.yaml"]
    )
    assert sum(one["data"].startswith(b'{"event_id":') for one in bodies_in(traffic.path)) >= 400
    ended = run_command("run", *run_arguments(traffic, traffic.path, valkey.url, tmp_path / "dead-letters"))
    assert ended.returncode == 0, ended.stderr
    verified = run_command("verify", "--spec", traffic.spec_path, "--redis", valkey.url, "--events", traffic.path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "all equal" in verified.stdout


@pytest.mark.pubsub
@pytest.mark.slow
def test_while_the_registry_is_away_messages_wait_and_none_is_a_dead_letter(
    pubsub: PubSubEmulator, valkey: Valkey, registry: TestRegistry, tmp_path: Path
) -> None:
    """michelin/kstreamplify#75: a registry's time-out is to stop, and not to fill the dead letters."""
    traffic = traffic_of(tmp_path, "confluent", registry.url)
    name = f"registry-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=60)
    witness = pubsub.create_subscription(f"{name}-witness", topic, ack_deadline_s=60)
    folder = tmp_path / "dead-letters"
    arguments = run_arguments(traffic, subscription, valkey.url, folder)
    with running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline:
        pipeline.wait_until(lambda: "GET /schemas/types" in registry.asked, "the registry to be asked at the start")
        registry.always = Answer(503, b"down")
        asked = len(registry.asked)
        publish(traffic, topic)
        pipeline.wait_until(lambda: len(registry.asked) >= asked + 6, "the registry to be asked in vain")
        assert not dead_letters(folder)
        registry.always = None
        pipeline.wait_for_read(EVENTS)
        accounting = pipeline.drain()
    assert "waiting, nothing is lost: the schema registry" in pipeline.output
    expected = expected_of_messages(traffic, pubsub.pull_all(witness))
    assert expected.accounting.reasons == accounting.reasons
    assert expected.accounting.applied == accounting.applied
    assert_equals_brute_force(valkey, traffic, expected)


def test_a_run_whose_registry_does_not_answer_ends_at_once(valkey: Valkey, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    more = "  encoding: confluent\n  registry: http://127.0.0.1:1\n"
    spec.write_text(SPEC_TEXT.replace("  schema: interaction.avsc\n", f"  schema: interaction.avsc\n{more}"))
    ended = run_command("run", "--spec", spec, "--input", "pubsub://projects/p/subscriptions/s", "--redis", valkey.url)
    assert ended.returncode == 2
    assert "error: the schema registry http://127.0.0.1:1 cannot be reached" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.pubsub
@pytest.mark.slow
@pytest.mark.parametrize("encoding", BEGINNINGS)
def test_a_file_of_events_is_published_in_the_specs_encoding(
    pubsub: PubSubEmulator, registry: TestRegistry, tmp_path: Path, encoding: str
) -> None:
    registry.versions.clear()
    name = f"clicks-{uuid.uuid4().hex[:8]}"
    registry.register(SCHEMA, f"{name}-value", 7)
    made = run_command("generate", "--users", "5", "--events", "20", "--out", tmp_path / "events.avro")
    assert made.returncode == 0, made.stderr
    more = f"  encoding: {encoding}\n" + (f"  registry: {registry.url}\n" if encoding == "confluent" else "")
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC_TEXT.replace("  schema: interaction.avsc\n", f"  schema: interaction.avsc\n{more}"))
    topic = pubsub.create_topic(name)
    witness = pubsub.create_subscription(f"{name}-witness", topic)
    published = run_command("publish", "--spec", spec, "--from", tmp_path / "events.avro", "--to", f"pubsub://{topic}")
    assert published.returncode == 0, published.stderr
    bodies = [received.message.data for received in pubsub.pull_all(witness)]
    assert len(bodies) == 20
    begin = BEGINNINGS[encoding]
    assert all(body.startswith(begin) for body in bodies) if begin else not any(b[:2] == b"\xc3\x01" for b in bodies)
    loaded = load_spec(spec)
    reference = SingleObject(SCHEMA, [], loaded.schema.bodies)
    expected = [event["event_id"] for event in bodies_in(tmp_path / "events.avro")]
    assert sorted(reference.decode(body)["event_id"] for body in bodies) == sorted(expected)
