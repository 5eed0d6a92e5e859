"""Three versions of the event schema in one stream, through Pub/Sub into Redis: equal to brute force all the same.

The schemas are those of examples/evolution: fields renamed, promoted, added, removed, reordered, a symbol that is gone.
Brute force reads each event by fastavro's resolution, which the pipeline does not use for them.
"""

import io
import shutil
import uuid
from collections import Counter
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
from user_state.events.avro_files import SingleObject, write_events

EVOLUTION = Path(__file__).parents[2] / "examples" / "evolution"
VERSIONS = ("interaction_v3.avsc", "interaction_v1.avsc", "interaction_v2.avsc")
EVENTS = 6_000
USERS = 100
MARKER = b"\xc3\x01"


def _spec_text(folder: Path) -> str:
    """Copy the schemas beside a spec of all kinds of outputs that reads them, and return it."""
    for name in VERSIONS:
        shutil.copy(EVOLUTION / name, folder)
    before = "  schema: interaction.avsc\n"
    assert before in SPEC_TEXT
    schema, *versions = VERSIONS
    return SPEC_TEXT.replace(before, f"  schema: {schema}\n  versions: [{', '.join(versions)}]\n")


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    folder = tmp_path_factory.mktemp("versions")
    text = _spec_text(folder)
    more = ["--spec", folder / "user_state.yaml"]
    return make_traffic(folder, events=EVENTS, users=USERS, seed=31, spec_text=text, more=more)


def _fingerprints(bodies: list[bytes]) -> Counter[bytes]:
    return Counter(body[2:10] for body in bodies if body.startswith(MARKER))


def _assert_each_version_is_used(traffic: Traffic, bodies: list[bytes]) -> None:
    schema = traffic.spec.schema
    seen = _fingerprints(bodies)
    for version in (schema, *schema.versions):
        assert seen[version.fingerprint] > EVENTS // 4


def _unknown(traffic: Traffic, letters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the dead letters whose bodies name a schema that the spec does not."""
    known = {v.fingerprint for v in (traffic.spec.schema, *traffic.spec.schema.versions)}
    return [
        letter
        for letter in letters
        if letter["data"].startswith(MARKER) and len(letter["data"]) > 10 and letter["data"][2:10] not in known
    ]


@pytest.mark.pubsub
def test_three_versions_in_one_stream_end_in_redis_as_brute_force_has_them(
    pubsub: PubSubEmulator, valkey: Valkey, traffic: Traffic, tmp_path: Path
):
    name = f"versions-{uuid.uuid4().hex[:8]}"
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
    _assert_each_version_is_used(traffic, [found.message.data for found in received])
    expected = expected_of_messages(traffic, received)
    assert expected.accounting == accounting
    assert accounting.reasons["undecodable"] == EVENTS // 100
    assert accounting.applied > EVENTS // 2
    assert_equals_brute_force(valkey, traffic, expected)

    letters = dead_letters(folder)
    assert expected.corrupt == undecodable_bodies(letters)
    unknown = _unknown(traffic, letters)
    assert unknown
    for letter in unknown:
        assert letter["reason"] == "undecodable"
        assert f"got fingerprint {letter['data'][2:10].hex()}" in letter["detail"]
        for version in (traffic.spec.schema, *traffic.spec.schema.versions):
            assert f"{version.fingerprint.hex()} shop.Interaction ({version.file})" in letter["detail"]
    assert_all_acknowledged(pubsub, subscription)


def test_the_same_file_run_directly_and_verified(valkey: Valkey, traffic: Traffic, tmp_path: Path):
    folder = tmp_path / "dead-letters"
    with running_pipeline(
        *run_arguments(traffic, traffic.path, valkey.url, folder), output=tmp_path / "run.log"
    ) as pipeline:
        accounting = pipeline.wait_for_end(120)

    expected = expected_of_file(traffic)
    assert expected.accounting == accounting
    assert_equals_brute_force(valkey, traffic, expected)
    assert expected.corrupt == undecodable_bodies(dead_letters(folder))
    verified = run_command(
        "verify", "--spec", traffic.spec_path, "--events", traffic.path, "--redis", valkey.url, timeout_s=120
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "all equal" in verified.stdout


def _files(traffic: Traffic, folder: Path) -> None:
    """Write the whole messages of the traffic as plain files, one a version, the last of them by a stranger's schema.

    The stranger's has version 2's fields, and one more that nobody reads: no version that the spec names.
    """
    with traffic.path.open("rb") as file:
        bodies = [envelope["data"] for envelope in fastavro.reader(file)]
    schema = traffic.spec.schema
    for version in (schema, *schema.versions):
        header = MARKER + version.fingerprint
        events = []
        for body in bodies:
            if body.startswith(header):
                buffer = io.BytesIO(body[10:])
                try:
                    event = fastavro.schemaless_reader(buffer, version.parsed, None)
                except Exception:  # a corrupt one
                    continue
                if buffer.read() == b"":
                    events.append(event)
        original = version.original
        if version.file == "interaction_v2.avsc":
            extra = {"name": "build", "type": {"type": "array", "items": "int"}}
            original = {**original, "fields": [extra, *original["fields"]]}
            events = [{**event, "build": [1, 2]} for event in events]
        write_events(folder / f"{version.file}.avro", events, original)


def test_plain_files_of_several_versions_are_read_together(valkey: Valkey, traffic: Traffic, tmp_path: Path):
    files = tmp_path / "files"
    files.mkdir()
    _files(traffic, files)
    dead = tmp_path / "dead"
    common = ("--spec", traffic.spec_path, "--redis", valkey.url)
    ran = run_command("run", *common, "--input", files / "*.avro", "--dead-letters", dead, timeout_s=120)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    letters = dead_letters(dead)
    bodies = SingleObject(traffic.spec.schema.original, [version.original for version in traffic.spec.schema.versions])
    for letter in letters:
        assert bodies.decode(letter["data"]), "what is refused can be published again, whoever wrote it"
    assert {letter["reason"] for letter in letters} == {"too_late"}
    verified = run_command("verify", *common, "--events", files / "*.avro", timeout_s=120)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "all equal" in verified.stdout


@pytest.mark.pubsub
def test_a_plain_file_of_any_version_is_published_so_that_the_spec_can_read_it(
    pubsub: PubSubEmulator, traffic: Traffic, tmp_path: Path
):
    _files(traffic, tmp_path)
    topic = pubsub.create_topic(f"files-{uuid.uuid4().hex[:8]}")
    witness = pubsub.create_subscription(f"{topic.rpartition('/')[2]}-witness", topic, ack_deadline_s=10)
    published = run_command(
        *("publish", "--spec", traffic.spec_path, "--from", tmp_path / "*.avro", "--to", f"pubsub://{topic}"),
        *("--publish-time-attribute", "at_us"),
    )
    assert published.returncode == 0, published.stderr

    received = pubsub.pull_all(witness)
    bodies = [found.message.data for found in received]
    schema = traffic.spec.schema
    third, first, second = (_fingerprints(bodies)[v.fingerprint] for v in (schema, *schema.versions))
    assert second == 0, "the stranger's events go out as the third version's"
    assert third > 1.5 * first > 0
    reader = SingleObject(schema.original, [version.original for version in schema.versions])
    for found in received:
        event = reader.decode(found.message.data)
        stamp = event["published_at"] or event["event_time"]
        stamp_us = stamp if isinstance(stamp, int) else round(stamp.timestamp() * 1e6)
        assert abs(int(found.message.attributes["at_us"]) - stamp_us) <= 1


def test_check_lists_the_schemas_by_fingerprint_and_what_becomes_of_their_fields(traffic: Traffic):
    checked = run_command("check", traffic.spec_path)
    assert checked.returncode == 0, checked.stderr
    third, first, second = (
        version.fingerprint.hex() for version in (traffic.spec.schema, *traffic.spec.schema.versions)
    )
    lines = checked.stdout.splitlines()
    begin = lines.index("event schemas accepted, by fingerprint:")
    assert lines[begin + 1 : begin + 4] == [
        f"  {third}  interaction_v3.avsc: the schema that all events are read as",
        f"  {first}  interaction_v1.avsc: user is user_id, item is item_id, dismiss in action is other,"
        " value was null or int, no category, no creator, no surface, no published_at, screen is left out",
        f"  {second}  interaction_v2.avsc: dismiss in action is other, value was null or float, creator was string,"
        " no surface, no published_at",
    ]


def test_a_file_that_cannot_be_read_as_the_schema_is_refused_in_one_line(
    valkey: Valkey, traffic: Traffic, tmp_path: Path
):
    path = tmp_path / "other.avro"
    fields = [field for field in traffic.spec.schema.original["fields"] if field["name"] != "item_id"]
    write_events(path, [], {**traffic.spec.schema.original, "fields": fields})
    expected = (
        f"error: expected events that can be read as shop.Interaction in {path}, got shop.Interaction: "
        "field item_id: missing in the writer's schema, and without a default; add one\n"
    )
    common = ("--spec", traffic.spec_path, "--redis", valkey.url)
    for command in (
        ("run", *common, "--input", path, "--dead-letters", tmp_path / "dead"),
        ("verify", *common, "--events", path),
    ):
        ended = run_command(*command)
        assert ended.returncode == 2
        assert ended.stderr.replace("\n", "") == expected.replace("\n", "")
