"""Every command on docs/recovery.md is run, against the emulator and a Valkey that lost data, and does what is said."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_pipelines.accounting import loss_line
from tests.servers.pipeline import run_command
from tests.servers.pubsub import PROJECT, PubSubEmulator
from tests.servers.redis import Valkey
from transforms import counters
from transforms.outcomes import LOST_DATA
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.store.keys import record_key, registry_key, seen_key
from user_state.store.specs import registered_specs

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "recovery.md").read_text()
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/feed"
MESSAGES = 400
CHANGED = """\
features:
  added:
    aggregate: count
    windows: [1h]
"""


def blocks(language: str, heading: str = "") -> list[str]:
    text = PAGE if not heading else PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Operator:
    """Somebody who types what the page says, with the addresses of the servers that are there."""

    def __init__(self, folder: Path, pubsub: PubSubEmulator, valkey: Valkey) -> None:
        self.folder, self.pubsub, self.valkey = folder, pubsub, valkey
        self.typed: list[str] = []
        self._addresses = {
            "redis://localhost:6379": valkey.url,
            "127.0.0.1:8085": pubsub.host,
            "projects/my-project": f"projects/{PROJECT}",
            "2026-11-30T02:00:00Z": "2020-01-01T00:00:00Z",
        }
        self.user = "u042"

    def type(self, block: str) -> str:
        """Run a block; return what it printed."""
        self.typed.append(block)
        script = block.replace("u042", self.user)
        for written, here in self._addresses.items():
            script = script.replace(written, here)
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                # gcloud itself speaks to the emulator.
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{self.pubsub.host}/",
                "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
                "CLOUDSDK_CORE_PROJECT": PROJECT,
                "CLOUDSDK_CONFIG": str(self.folder / "gcloud"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def run(self, spec: str = "user_state.yaml") -> subprocess.CompletedProcess[str]:
        """Run the pipeline until the subscription is empty."""
        return run_command(
            *("run", "--spec", self.folder / spec, "--input", f"pubsub://{SUBSCRIPTION}", "--redis", self.valkey.url),
            *("--dead-letters", self.folder / "dead-letters", "--stop_when_idle", "2"),
        )

    def users(self) -> set[bytes]:
        """Return the keys of all records."""
        with self.valkey.client() as client:
            return set(client.scan_iter("*:state", count=1000))

    def waiting(self) -> int:
        """Return how many messages the subscription holds; they come no more."""
        return len(self.pubsub.pull_all(SUBSCRIPTION))


@pytest.fixture
def operator(pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path) -> Iterator[Operator]:
    for command in ("gcloud", "curl", "redis-cli"):
        if shutil.which(command) is None:
            pytest.skip(f"the page uses {command}, which is not installed")
    starter = (ROOT / "examples" / "starter" / "user_state.yaml").read_text()
    (tmp_path / "user_state.yaml").write_text(starter)
    (tmp_path / "earlier.yaml").write_text(starter)
    (tmp_path / "changed.yaml").write_text(starter.replace("features:\n", CHANGED))
    pubsub.forget("events", "feed")  # the README's test makes them too
    topic = pubsub.create_topic("events")
    pubsub.create_subscription("feed", topic, keeps_acknowledged=True)
    out = tmp_path / "traffic.avro"
    traffic = ("--users", "30", "--events", str(MESSAGES), "--span", "1h", "--corrupt", "0.01", "--seed", "3")
    assert run_command("generate", *traffic, "--out", out).returncode == 0
    published = run_command("publish", "--spec", tmp_path / "earlier.yaml", "--from", out, "--to", f"pubsub://{topic}")
    assert published.returncode == 0, published.stderr
    yield Operator(tmp_path, pubsub, valkey)
    pubsub.subscriber.delete_subscription(subscription=SUBSCRIPTION, timeout=10)
    pubsub.publisher.delete_topic(topic=topic, timeout=10)


def test_what_is_said_to_be_printed_is_printed() -> None:
    said, counted = (block.strip() for block in blocks("text", "How you notice"))
    assert LOST_DATA.startswith(said)
    assert counted == loss_line({counters.RECORDS_LOST: 312, counters.WENT_BACK: 2})


@pytest.mark.pubsub
@pytest.mark.slow
def test_every_command_does_what_the_page_says(operator: Operator) -> None:
    first = operator.run()
    assert f"read {MESSAGES}" in first.stderr
    users = operator.users()
    assert len(users) > 10
    operator.user = min(users).decode().split("{")[1].split("}")[0]

    # Redis is flushed; it is looked at, and the subscription sought back in both ways.
    with operator.valkey.client() as client:
        client.flushall()
    (look,) = blocks("sh", "When the loss happened")
    printed = operator.type(look)
    for what in (
        "uptime_in_seconds:",
        "rdb_last_save_time:",
        "aof_enabled:0",
        "role:master",
        "evicted_keys:0",
        "\n0\n",
    ):
        assert what in printed
    gcloud, curl, keep, get = blocks("sh", "Seek the subscription back")
    assert "True" in operator.type(gcloud)
    assert operator.waiting() == MESSAGES
    operator.type(keep)
    operator.type(curl)
    assert operator.run().returncode == 0
    assert operator.users() == users
    assert f"{operator.user}  as of" in operator.type(get)

    (evicting,) = blocks("sh", "Event ids were evicted or deleted")
    with operator.valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert "allkeys-lru" in operator.type(evicting)
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"

        # A value that is not ours.
        (damaged,) = blocks("sh", "One user's value is damaged, or not ours")
        client.delete(record_key("feed", operator.user))
        client.rpush(record_key("feed", operator.user), "not", "ours")
        printed = operator.type(damaged)
        assert printed.startswith("list\n2\n")
        assert not client.exists(record_key("feed", operator.user), seen_key("feed", operator.user))

    # A changed spec takes over by mistake.
    operator.type(curl)
    assert operator.run("changed.yaml").returncode == 0
    assert operator.users() == users
    assert "run `user-state rollback`" in operator.run().stderr
    (rollback,) = blocks("sh", "The run says that another spec writes the records")
    assert "user_state.yaml writes feed from now on" in operator.type(rollback)
    plan = compile_plan(load_spec(operator.folder / "user_state.yaml"))
    assert registered_specs(operator.valkey.url, plan).current == plan.definition

    # The registry is deleted, with records of both specs there: neither can read them all.
    with operator.valkey.client() as client:
        client.delete(registry_key("feed"))
    refused = operator.run("changed.yaml")
    assert (refused.returncode, "have a layout that is not registered" in refused.stderr) == (2, True)
    (operator.folder / "earlier.yaml").write_text((operator.folder / "changed.yaml").read_text())
    (again,) = blocks("sh", "The run says that records have a layout that is not registered")
    assert "user_state.yaml writes feed from now on" in operator.type(again)
    ran = operator.run()
    assert (ran.returncode, "the spec has changed since 1 of" in ran.stderr) == (0, True)

    assert set(operator.typed) == set(blocks("sh"))  # nothing on the page was left out
