"""What a user can get wrong: a clear message and exit code 2, before anything starts, read or written.

A command that hung would end in `run_command`'s timeout. How long it takes is not held: a busy machine is slow.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipelines.traffic import SPEC_TEXT
from tests.servers.pipeline import run_command
from tests.servers.ports import free_port
from tests.servers.pubsub import PROJECT, PubSubEmulator
from tests.servers.redis import Valkey, running_valkey
from user_state.events.avro_files import interaction_schema, write_events
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.store.specs import force_epoch
from user_state.store.view import RedisView

PASSWORD = "correct-horse"


@pytest.fixture
def good(tmp_path: Path, valkey: Valkey) -> dict[str, str | Path]:
    """What `run` needs, nothing of it wrong."""
    spec, events = tmp_path / "user_state.yaml", tmp_path / "events.avro"
    spec.write_text(SPEC_TEXT)
    write_events(events, [], interaction_schema())
    return {"--spec": spec, "--input": events, "--redis": valkey.url, "--dead-letters": tmp_path / "dead-letters"}


def _run(options: dict[str, str | Path], *more: str, env: dict[str, str] | None = None):
    return run_command("run", *(part for option in options.items() for part in option), *more, env=env)


def _assert_refused(good: dict[str, str | Path], valkey: Valkey, words: list[str], *more: str, **changed: object):
    """Run with one thing changed; hold message and exit code, and that nothing was touched."""
    env = changed.pop("env", None)
    options = good | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    scratch = Path(good["--spec"]).parent / "scratch"
    scratch.mkdir(exist_ok=True)
    ended = _run(options, *more, env={**(env or {}), "TMPDIR": str(scratch)})

    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    for word in words:
        assert word in ended.stderr, said
    assert "Traceback" not in said
    assert PASSWORD not in said
    assert not Path(good["--dead-letters"]).exists()
    assert list(scratch.iterdir()) == []  # Beam removes a pipeline's folder only after a run
    with valkey.client() as client:
        assert client.dbsize() == 0


def test_with_nothing_wrong_the_same_command_runs(good: dict[str, str | Path], tmp_path: Path):
    (tmp_path / "scratch").mkdir()
    ended = _run(good, env={"TMPDIR": str(tmp_path / "scratch")})

    assert ended.returncode == 0, ended.stderr
    assert list((tmp_path / "scratch").iterdir()) == []
    assert "read 0 = applied 0" in ended.stderr


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(lambda text: "name: [feed\nwindows}: {", ["user_state.yaml", "YAML"], id="not YAML"),
        pytest.param(
            lambda text: text.replace("timezone: UTC", "retentoin: 90d"),
            ["user_state.yaml", ":11:", "retentoin", "retention"],
            id="unknown key",
        ),
        pytest.param(
            lambda text: text.replace("of: value", "of: valu"), [":23:", "'valu'", "`value`"], id="unknown field"
        ),
        pytest.param(
            lambda text: text.replace("[10m, 1h, 1d, 7d]", "[10m, 7s]"), [":16:", "7s", "tile"], id="no tile width"
        ),
        pytest.param(
            lambda text: text.replace("  engagements:", "  views:"),
            [":17:", "'views'", "duplicate key", "line 13"],
            id="one name twice",
        ),
    ],
)
def test_a_spec_that_cannot_be_used_is_refused(
    good: dict[str, str | Path], valkey: Valkey, edit: Callable[[str], str], words: list[str]
):
    text = edit(SPEC_TEXT)
    assert text != SPEC_TEXT
    Path(good["--spec"]).write_text(text)

    _assert_refused(good, valkey, words)


def test_a_spec_that_is_not_there_is_refused(good: dict[str, str | Path], valkey: Valkey, tmp_path: Path):
    _assert_refused(good, valkey, ["nowhere.yaml"], spec=tmp_path / "nowhere.yaml")


def test_input_that_is_not_there_is_refused(good: dict[str, str | Path], valkey: Valkey, tmp_path: Path):
    _assert_refused(good, valkey, ["no file matches", "nowhere.avro"], input=tmp_path / "nowhere.avro")


def test_input_that_is_not_avro_is_refused(good: dict[str, str | Path], valkey: Valkey, tmp_path: Path):
    text = tmp_path / "events.txt"
    text.write_text("user_id,item_id\nu1,i1\n")

    _assert_refused(good, valkey, ["expected an Avro file", "events.txt"], input=text)


def test_a_table_without_a_column_that_events_need_is_refused(
    good: dict[str, str | Path], valkey: Valkey, tmp_path: Path
):
    csv = tmp_path / "events.csv"
    csv.write_text("user_id,item_id\nu1,i1\n")

    _assert_refused(good, valkey, ["expected columns event_id, action, event_time in", "events.csv"], input=csv)


def test_a_redis_that_cannot_be_reached_is_refused(good: dict[str, str | Path], valkey: Valkey):
    nobody = f"redis://app:{PASSWORD}@127.0.0.1:{free_port()}"

    _assert_refused(good, valkey, ["Redis", "127.0.0.1", "not available", "app:***@"], redis=nobody)


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{PASSWORD}@127.0.0.1:6379",
        f"redis://:{PASSWORD}@127.0.0.1:port",
        f"redis://:{PASSWORD}/{PASSWORD}@127.0.0.1:6379",
        f"redis://:{PASSWORD}#@127.0.0.1:6379",
        f"{PASSWORD}@127.0.0.1:6379",
    ],
)
def test_a_redis_url_that_is_none_is_refused_and_its_password_not_said(
    good: dict[str, str | Path], valkey: Valkey, url: str
):
    _assert_refused(good, valkey, ["expected a Redis URL such as redis://localhost:6379"], redis=url)


@pytest.mark.parametrize("credentials", ["", "wrong-horse", "none"])
def test_a_redis_that_refuses_the_password_is_refused(
    good: dict[str, str | Path], valkey: Valkey, tmp_path: Path, credentials: str
):
    with running_valkey(tmp_path / "guarded", password=PASSWORD) as guarded:
        sent = "" if credentials == "none" else f":{credentials}@"
        url = guarded.url.replace(f":{PASSWORD}@", sent)

        _assert_refused(good, valkey, ["Redis", "refused us", "password"], redis=url)

        assert _run(good | {"--redis": guarded.url}).returncode == 0


def test_waiting_for_the_disk_of_a_server_without_append_only_file_is_refused(
    good: dict[str, str | Path], valkey: Valkey
):
    _assert_refused(good, valkey, ["append-only file", "--durability"], "--durability", "fsync")


def test_waiting_for_a_replica_of_a_server_without_one_is_refused(good: dict[str, str | Path], valkey: Valkey):
    _assert_refused(good, valkey, ["no connected replica"], "--durability", "replica")


@pytest.mark.pubsub
def test_a_redis_that_drops_records_when_it_is_full_is_refused_unless_that_is_allowed(
    good: dict[str, str | Path], valkey: Valkey
):
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    _assert_refused(good, valkey, ["noeviction", "allkeys-lru", "--allow_eviction"])
    ended = _run(good, "--allow_eviction")
    assert ended.returncode == 0, ended.stderr


def test_a_spec_that_another_has_superseded_is_refused_until_somebody_goes_back(
    good: dict[str, str | Path], valkey: Valkey, tmp_path: Path
):
    newer = tmp_path / "newer.yaml"
    newer.write_text(SPEC_TEXT.replace("allowed_lateness: ", "allowed_lateness: 1"))
    assert newer.read_text() != SPEC_TEXT
    older, newer_spec = (compile_plan(load_spec(path)) for path in (good["--spec"], newer))
    for plan in (older, newer_spec):
        force_epoch(valkey.url, plan, 1)
    ended = _run(good)
    assert ended.returncode == 2, ended.stderr
    assert "user-state rollback" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not Path(good["--dead-letters"]).exists()
    assert _run(good | {"--spec": newer}).returncode == 0
    force_epoch(valkey.url, older, 1)
    assert _run(good).returncode == 0


def test_a_subscription_that_is_not_there_is_refused(
    pubsub: PubSubEmulator, good: dict[str, str | Path], valkey: Valkey
):
    nowhere = f"pubsub://projects/{PROJECT}/subscriptions/nowhere"

    _assert_refused(good, valkey, ["there is no subscription", "nowhere", "PUBSUB_EMULATOR_HOST"], input=nowhere)


@pytest.mark.pubsub
def test_dead_letters_to_a_topic_that_is_not_there_are_refused(
    pubsub: PubSubEmulator, good: dict[str, str | Path], valkey: Valkey
):
    nowhere = f"pubsub://projects/{PROJECT}/topics/nowhere"

    _assert_refused(good | {"--dead-letters": nowhere}, valkey, ["there is no topic", "nowhere"])


def test_a_subscription_that_is_misspelt_is_refused(good: dict[str, str | Path], valkey: Valkey):
    _assert_refused(good, valkey, ["expected a subscription such as"], input="pubsub://my-project/my-subscription")


def test_an_emulator_that_cannot_be_reached_is_refused(good: dict[str, str | Path], valkey: Valkey):
    host = f"127.0.0.1:{free_port()}"

    _assert_refused(
        good,
        valkey,
        ["cannot reach Pub/Sub", f"PUBSUB_EMULATOR_HOST is set to {host}"],
        input=f"pubsub://projects/{PROJECT}/subscriptions/events",
        env={"PUBSUB_EMULATOR_HOST": host},
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param(["--no_such_option=1"], ["Apache Beam", "--no_such_option=1"], id="an unknown option"),
        pytest.param(["--flush-intervall", "2"], ["--flush-intervall"], id="a misspelt option"),
        pytest.param(["--runner", "NoSuchRunner"], ["NoSuchRunner"], id="an unknown runner"),
        pytest.param(["stray"], ["stray"], id="a stray argument"),
        pytest.param(["--durability", "paper"], ["paper", "fsync"], id="an unknown durability"),
        pytest.param(["--flush_interval", "-1"], ["--flush_interval"], id="a negative interval"),
        pytest.param(
            ["--flush_interval", "10", "--ack_deadline", "15"],
            ["--ack_deadline", "--flush_interval"],
            id="held back longer than leased",
        ),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    good: dict[str, str | Path], valkey: Valkey, more: list[str], words: list[str]
):
    _assert_refused(good, valkey, words, *more)


def test_dead_letters_to_what_is_no_folder_are_refused(good: dict[str, str | Path], valkey: Valkey, tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("in the way")
    ended = _run(good | {"--dead-letters": file})

    assert ended.returncode == 2
    assert "expected" in ended.stderr
    assert str(file) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert file.read_text() == "in the way"


@pytest.mark.parametrize("at", ["yesterday", "2026-01-31T12:00:00", "1700000000"])
def test_a_reading_time_that_is_none_is_refused(good: dict[str, str | Path], at: str):
    ended = run_command("get", "--spec", good["--spec"], "--redis", good["--redis"], "u1", "--at", at)

    assert ended.returncode == 2
    assert "expected a time" in ended.stderr
    assert repr(at) in ended.stderr or at in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_reading_with_a_wrong_password_names_no_password(good: dict[str, str | Path], tmp_path: Path):
    with running_valkey(tmp_path / "guarded", password="another") as guarded:
        url = guarded.url.replace("another", PASSWORD)
        ended = run_command("get", "--spec", good["--spec"], "--redis", url, "u1")

    assert ended.returncode == 2
    assert "refused us" in ended.stderr
    assert PASSWORD not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--state", "runner", "--durability", "fsync"), ["expected --durability none with --state runner"]),
        (("--state", "runner", "--savepoint_path", "file:///s"), ["expected --runner flink", "got --runner direct"]),
    ],
)
def test_what_does_not_go_with_state_in_the_runner_is_refused(
    good: dict[str, str | Path], valkey: Valkey, more: tuple[str, ...], words: list[str]
):
    _assert_refused(good, valkey, words, *more)


@pytest.mark.parametrize("state", ["redis", "runner"])
def test_records_that_another_run_keeps_in_its_state_are_not_written(
    good: dict[str, str | Path], valkey: Valkey, state: str
):
    view = RedisView(valkey.url, "feed")
    view.sign("run-1")

    ended = _run(good, "--state", state)

    assert ended.returncode == 2
    assert "run run-1 with --state runner writes the records of feed" in ended.stderr
    view.sign_off("run-1")
    view.close()
    assert _run(good, "--state", state).returncode == 0
