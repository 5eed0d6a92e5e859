"""Passwords end to end: changed while a run is at work, kept from processes' arguments, and told by no command."""

import subprocess
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.pipelines.test_dead_letters_away import event
from tests.pipelines.test_paced_file import FIRST_US, SPEC
from tests.pipelines.traffic import (
    assert_all_acknowledged,
    assert_equals_brute_force,
    expected_of_file,
    make_traffic,
    publish,
    run_arguments,
)
from tests.servers.pipeline import run_command, running_pipeline
from tests.servers.ports import free_port
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey, running_valkey
from user_state.cli.main import app
from user_state.client import UserStateClient
from user_state.errors import UserStateError
from user_state.events.avro_files import interaction_schema, write_events
from user_state.store.credentials import PASSWORD, PASSWORD_FILE

SECRET = "correct-horse"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "user_state.yaml"
    path.write_text(SPEC)
    return path


def lock(server: Valkey, before: str | None, after: str) -> None:
    """Change the server's password, and end every connection."""
    import redis

    with redis.Redis(port=server.port, password=before) as client:
        client.config_set("requirepass", after)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    server.password = after


@pytest.mark.pubsub
@pytest.mark.slow
@pytest.mark.parametrize("cluster", [False, True], ids=["one server", "cluster"])
def test_a_password_changed_in_mid_run_is_waited_for_and_nothing_is_lost_or_acknowledged_meanwhile(
    pubsub: PubSubEmulator, tmp_path: Path, cluster: bool
):
    name = uuid.uuid4().hex[:8]
    topic = pubsub.create_topic(f"denied-{name}")
    subscription = pubsub.create_subscription(f"denied-{name}", topic)
    traffic = make_traffic(tmp_path, events=2_000, users=50, seed=33)
    expected = expected_of_file(traffic)
    with running_valkey(tmp_path / "valkey", password=SECRET, cluster=cluster) as valkey:
        arguments = run_arguments(traffic, subscription, valkey.url, tmp_path / "dead-letters")
        with running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline:
            pipeline.wait_until_started()
            lock(valkey, SECRET, "another")
            publish(traffic, topic)
            pipeline.wait_until(lambda: "waiting, nothing is lost" in pipeline.output, "it to say that it waits")
            assert "refused us" in pipeline.output
            with valkey.client() as client:
                assert not list(client.scan_iter("*:state"))
            lock(valkey, "another", SECRET)
            pipeline.wait_for_read(traffic.messages)
            accounting = pipeline.drain()
            assert SECRET not in pipeline.output
        assert accounting.balanced
        assert accounting.applied == expected.events_applied
        assert_equals_brute_force(valkey, traffic, expected)
        assert_all_acknowledged(pubsub, subscription)


def test_the_password_of_a_file_gets_a_run_and_a_look_up_in_and_is_in_nobodys_arguments(spec: Path, tmp_path: Path):
    secret, events = tmp_path / "secret", tmp_path / "events.avro"
    secret.write_text(f"{SECRET}\n")
    write_events(events, [event("u1", FIRST_US)], interaction_schema())
    with running_valkey(tmp_path / "valkey") as valkey:
        lock(valkey, None, SECRET)
        url = f"redis://127.0.0.1:{valkey.port}?password_file={secret}"
        arguments = ["--spec", spec, "--input", events, "--dead-letters", tmp_path / "dead"]
        with running_pipeline(*arguments, "--redis", url, output=tmp_path / "run.log") as pipeline:
            pipeline.wait_until_started()
            listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
            # Other tests may run beside this one, and pass theirs as they like.
            listed = "\n".join(line for line in listed.splitlines() if str(tmp_path) in line)
            assert pipeline.wait_for_end().applied == 1
        assert str(secret) in listed
        assert SECRET not in listed
        without = f"redis://127.0.0.1:{valkey.port}"
        for env in ({PASSWORD: SECRET}, {PASSWORD_FILE: str(secret)}):
            found = run_command("get", "--spec", spec, "--redis", without, "--json", "u1", env=env)
            assert '"present": true' in found.stdout, found.stderr
        refused = run_command("get", "--spec", spec, "--redis", without, "u1")
        assert refused.returncode == 2
        assert "refused us" in refused.stderr
        assert PASSWORD in refused.stderr


@pytest.mark.parametrize(
    ("runner", "more"),
    [
        ("flink", ["--flink", "127.0.0.1:1"]),
        ("SparkRunner", []),
        (
            "dataflow",
            [
                *("--project", "my-project", "--region", "europe-west1", "--temp_location", "gs://my-bucket/t"),
                *("--sdk_container_image", "europe-west1-docker.pkg.dev/p/r/user-state:1"),
            ],
        ),
    ],
)
def test_a_url_with_a_password_is_refused_where_the_job_would_carry_it(spec: Path, runner: str, more: list[str]):
    pubsub = ("--input", "pubsub://projects/my-project/subscriptions/sub")
    letters = ("--dead-letters", "pubsub://projects/my-project/topics/dead")
    url = f"redis://app:{SECRET}@10.0.0.3:6379"
    ended = run_command("run", "--spec", spec, *pubsub, *letters, "--redis", url, "--runner", runner, *more)

    assert ended.returncode == 2
    assert "expected a --redis without a password" in ended.stderr
    assert PASSWORD_FILE in ended.stderr
    assert SECRET not in ended.stderr + ended.stdout


PASSWORDS = st.text(st.sampled_from("/#?@:%[]&=+ '\"\\\n\x1b\u2100XYZ"), min_size=4, max_size=12)
FORMS = st.sampled_from(
    ["redis://:{}@127.0.0.1:{port}", "redis://127.0.0.1:{port}?password={}", "unix://:{}@/none", "http://:{}@h", "{}@h"]
)


@given(PASSWORDS, FORMS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
def test_no_command_tells_four_characters_of_a_password(spec: Path, tmp_path: Path, password: str, form: str):
    events = tmp_path / "events.avro"
    write_events(events, [], interaction_schema())
    url = form.replace("{port}", str(free_port())).replace("{}", password)
    commands = [
        ("get", "u1"),
        ("nearest", "u1", "--embedding", "e"),
        ("verify", "--events", str(events)),
        ("items", "list"),
        ("run", "--input", str(events), "--dead-letters", str(tmp_path / "dead")),
    ]
    fours = {password[at : at + 4] for at in range(len(password) - 3)} - {"XXXX"}
    for command in [(*one, "--spec", str(spec)) for one in commands] + [("check", str(spec))]:
        ended = CliRunner().invoke(app(), [*command, "--redis", url])
        said = f"{ended.output} {ended.exception}"
        if command[:2] != ("items", "list"):  # which has nothing to look for
            assert isinstance(ended.exception, UserStateError), ended.exception
            assert "127.0.0.1" in said or "expected" in said
        assert not [four for four in fours if four in said and four not in form]


def test_an_embedded_server_is_used_without_a_password_whatever_the_environment_has(monkeypatch: pytest.MonkeyPatch):
    from beam_pipelines.demo import SPEC_TEXT, embedded_redis
    from user_state.spec import parse_spec

    monkeypatch.setenv(PASSWORD, SECRET)
    with embedded_redis() as url, UserStateClient.from_url(url, parse_spec(SPEC_TEXT, beside=Path())) as client:
        assert not client.get("u").present
