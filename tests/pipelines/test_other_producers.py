"""What other tools write and publish, through the whole pipeline: Beam's WriteToAvro, gcloud, and Pub/Sub over REST.

Expected values are counted from what was handed to those tools; `verify` compares everything else.
"""

import base64
import json
import os
import shutil
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import apache_beam as beam
import pytest
from apache_beam.io.avroio import WriteToAvro
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.servers.pipeline import run_command
from tests.servers.pubsub import PROJECT, PubSubEmulator
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.events.avro_files import SingleObject
from user_state.spec import load_spec

pytestmark = pytest.mark.slow

AT_US = 1_764_000_000_000_000
FIELDS: list[dict[str, Any]] = [
    {"name": "event_id", "type": "string"},
    {"name": "user_id", "type": "long"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "price", "type": ["null", "double"], "default": None},
    {
        "name": "device",
        "type": ["null", {"type": "record", "name": "Device", "fields": [{"name": "os", "type": "string"}]}],
        "default": None,
    },
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
]
SCHEMA = {"type": "record", "name": "shop.Action", "fields": FIELDS}
SPEC = """
name: others
events: {schema: action.avsc, user: user_id, id: event_id, time: at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 3650d
features:
  actions: {aggregate: count, windows: lifetime}
  spent: {aggregate: sum, of: price, windows: lifetime}
  systems: {aggregate: count_by, by: device.os, windows: lifetime}
  tags: {aggregate: count_by, by: tags, windows: lifetime}
"""


class Device(NamedTuple):
    """Part of an event, as a row of Beam's."""

    os: str


class Action(NamedTuple):
    """An event as a row of Beam's, which takes no annotations that are texts, nor `|`, and whose sink takes no rows in
    rows that may be null."""

    event_id: str
    user_id: int
    at: int
    price: Optional[float]  # noqa: UP045
    device: Device
    tags: Sequence[str]


def made(events: int) -> list[Action]:
    return [
        Action(
            f"e{n}",
            n % 7,
            AT_US + n * 1_000_000,
            None if n % 4 == 0 else n / 2,
            None if n % 5 == 0 else Device(("ios", "android")[n % 2]),
            ["a", "b"][: n % 3],
        )
        for n in range(events)
    ]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "action.avsc").write_text(json.dumps(SCHEMA))
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path / "spec.yaml"


def assert_served(spec: Path, valkey: Valkey, actions: Sequence[Action]) -> None:
    """Compare what is served with what is counted here."""
    with UserStateClient.from_url(valkey.url, spec, timeout_s=5) as client:
        for user in {action.user_id for action in actions}:
            own = [action for action in actions if action.user_id == user]
            state = client.get(user)
            assert state.features["actions_count_lifetime"] == len(own)
            assert state.features["spent_sum_lifetime"] == sum(action.price or 0 for action in own)
            for name, column, values in (
                ("systems", "device.os", [action.device.os for action in own if action.device is not None]),
                ("tags", "tags", [tag for action in own for tag in action.tags]),
            ):
                table = state.sequences[f"{name}_count_by_lifetime"]
                assert dict(zip(table[column], table["count"], strict=True)) == Counter(values)


@pytest.mark.parametrize(
    ("codec", "shards", "as_rows"), [("deflate", 3, False), ("snappy", 1, False), ("deflate", 2, True)]
)
def test_files_of_beams_own_sink_are_read(
    spec: Path, tmp_path: Path, valkey: Valkey, codec: str, shards: int, as_rows: bool
) -> None:
    """Of rows, Beam names the records by random UUIDs, which no alias can name: the files were refused."""
    actions = [one for one in made(75) if not as_rows or one.device is not None][:60]
    prefix = str(tmp_path / "out" / "events")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        if as_rows:
            created = pipeline | beam.Create(actions).with_output_types(Action)
            created | WriteToAvro(prefix, codec=codec, file_name_suffix=".avro", num_shards=shards)
        else:
            plain = [{**one._asdict(), "device": one.device and one.device._asdict()} for one in actions]
            created = pipeline | beam.Create(plain)
            created | WriteToAvro(prefix, SCHEMA, codec=codec, file_name_suffix=".avro", num_shards=shards)
    assert len(list((tmp_path / "out").iterdir())) == shards
    pattern = f"{prefix}-*-of-*.avro"
    options = ("--spec", spec, "--redis", valkey.url)
    ran = run_command("run", *options, "--input", pattern, "--dead-letters", tmp_path / "dead")
    assert ran.returncode == 0, ran.stderr
    assert "read 60 = applied 60 + duplicate 0" in ran.stderr
    assert_served(spec, valkey, actions)
    verified = run_command("verify", *options, "--events", pattern)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "all equal" in verified.stdout


@pytest.mark.pubsub
def test_messages_of_gcloud_and_of_rest_are_read(
    spec: Path, tmp_path: Path, valkey: Valkey, pubsub: PubSubEmulator
) -> None:
    """A REST body is base64 of the bytes; what gcloud publishes is text, here an event whose bytes all are."""
    if shutil.which("gcloud") is None:
        pytest.skip("needs gcloud")
    text = {
        "type": "record",
        "name": "Said",
        "fields": [{"name": name, "type": "string"} for name in ("event_id", "user_id", "at", "word")],
    }
    (tmp_path / "said.avsc").write_text(json.dumps(text))
    words = (
        "name: said\nevents: {schema: said.avsc, user: user_id, id: event_id, time: at}\n"
        "allowed_lateness: 1d\nmax_clock_skew: 5m\nretention: 3650d\n"
        "features: {words: {aggregate: last_k, of: word, k: 5, windows: lifetime}}\n"
    )
    (tmp_path / "said.yaml").write_text(words)
    loaded = load_spec(tmp_path / "said.yaml")
    topic = pubsub.create_topic("said")
    subscription = pubsub.create_subscription("said", topic, ack_deadline_s=60)
    now = "2025-11-24T16:00:00Z"
    bodies = SingleObject(loaded.schema.original)
    first, second = ({"event_id": f"e{n}", "user_id": "ann", "at": now, "word": word} for n, word in enumerate("xy"))

    environment = {
        **os.environ,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{pubsub.host}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
    }
    body = bodies.encode(first)[10:].decode("ascii")  # without the head, which is no text
    command = ["gcloud", "pubsub", "topics", "publish", "said", f"--message={body}", f"--attribute=seen={now}"]
    published = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert published.returncode == 0, published.stderr

    message = {"data": base64.b64encode(bodies.encode(second)).decode(), "attributes": {"seen": now}}
    request = urllib.request.Request(
        f"http://{pubsub.host}/v1/{topic}:publish",
        json.dumps({"messages": [message]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert len(json.load(answer)["messageIds"]) == 1

    options = ("--spec", tmp_path / "said.yaml", "--redis", valkey.url)
    ran = run_command(
        *("run", *options, "--input", f"pubsub://{subscription}", "--dead-letters", tmp_path / "dead"),
        *("--publish_time_attribute", "seen", "--stop_when_idle", "3"),
        env={"PUBSUB_EMULATOR_HOST": pubsub.host},
    )
    assert ran.returncode == 0, ran.stderr
    assert "read 2 = applied 2 + duplicate 0" in ran.stderr
    with UserStateClient.from_url(valkey.url, loaded, timeout_s=5) as client:
        assert sorted(client.get("ann").sequences["words_last_k_lifetime"]) == ["x", "y"]
