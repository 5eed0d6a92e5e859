"""Where user and password come from, and where a URL with a password may not go."""

import pickle
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.redis import running_valkey
from user_state.errors import InputError, StoreDenied
from user_state.store.credentials import PASSWORD, PASSWORD_FILE, USER, check_travels, credentials, passed_on
from user_state.store.redis_store import RedisStateStore
from user_state.store.redis_url import parse_redis_url


def presented(url: str, environment: dict[str, str]) -> tuple[str, ...] | None:
    found = credentials(parse_redis_url(url), environment)
    return None if found is None else found.get_credentials()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text("of the file\n")
    return str(path)


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("redis://h", {}, None),
        ("redis://h", {PASSWORD: ""}, None),
        ("redis://:p@h", {PASSWORD: "other", USER: "app"}, ("app", "p")),
        ("redis://u:p@h", {PASSWORD: "other", USER: "app"}, ("u", "p")),
        ("redis://h?username=u&password=p", {}, ("u", "p")),
        ("redis://u@h", {PASSWORD: "p"}, ("u", "p")),
        ("redis://h", {PASSWORD: "p"}, ("p",)),
        ("redis://h", {PASSWORD: "p", USER: "app"}, ("app", "p")),
        ("redis://:@h", {PASSWORD: "p"}, None),
        ("redis://u@h", {}, ("u", "")),
        ("unix:///tmp/s", {PASSWORD: "p", PASSWORD_FILE: ""}, ("p",)),
    ],
)
def test_the_url_comes_before_the_environment(url, environment, expected):
    assert presented(url, environment) == expected


def test_a_file_holds_the_password_without_the_line_break_at_its_end_and_is_read_each_time(file):
    environment = {PASSWORD_FILE: file}
    found = credentials(parse_redis_url("redis://app@h"), environment)
    assert found.get_credentials() == ("app", "of the file")
    Path(file).write_text(" changed \r\n")
    assert found.get_credentials() == ("app", " changed ")
    assert presented(f"redis://h?password_file={file}", {PASSWORD: "other"}) == (" changed ",)
    assert "changed" not in repr(found)


@pytest.mark.parametrize(
    ("url", "environment"), [("redis://h", {PASSWORD: "p", PASSWORD_FILE: "/f"}), ("redis://:p@h?password_file=/f", {})]
)
def test_a_password_and_a_file_of_one_are_refused(url, environment):
    with pytest.raises(InputError, match="got both"):
        credentials(parse_redis_url(url), environment)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_file_without_a_password_is_denied_and_the_connection_is_not_used_without(tmp_path, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with running_valkey(tmp_path / "open") as server:  # which would take us without a password, too
        url = f"redis://127.0.0.1:{server.port}?password_file={path}"
        with closing(RedisStateStore(url, "tried")) as store:
            for _ in range(2):
                with pytest.raises(StoreDenied, match=str(path)):
                    store.read(["u"])


def test_a_password_changed_in_its_file_is_taken_with_the_next_connection(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    path.write_text("first")
    monkeypatch.setenv(PASSWORD_FILE, str(path))
    with (
        running_valkey(tmp_path / "locked", password="first") as server,
        server.client() as client,
        closing(RedisStateStore(f"redis://127.0.0.1:{server.port}", "tried")) as store,
    ):
        store.check()
        client.config_set("requirepass", "second")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(StoreDenied):
            store.check()
        path.write_text("second")
        store.check()


def test_a_password_in_the_environment_is_in_nothing_that_is_pickled(tmp_path, monkeypatch):
    from beam_pipelines.streaming import StreamingSettings, open_store

    monkeypatch.setenv(PASSWORD, "correct-horse")
    with running_valkey(tmp_path / "locked", password="correct-horse") as server:
        settings = StreamingSettings("in.avro", f"redis://127.0.0.1:{server.port}", "dead")
        with closing(open_store(pickle.loads(pickle.dumps(settings)), "tried")) as store:
            store.check()
    assert b"correct-horse" not in pickle.dumps(settings)


def test_settings_do_not_show_a_password():
    from beam_pipelines.streaming import StreamingSettings
    from transforms.remote_run import RemoteRun
    from user_state.evaluation.pipeline_result import Way

    url = "redis://app:correct-horse@cache"
    shown = repr((StreamingSettings("in.avro", url, "dead"), RemoteRun(url, "feed", "run"), Way(url)))
    assert "in.avro" in shown
    assert "feed" in shown
    assert "horse" not in shown


def test_a_password_in_the_url_does_not_travel_and_the_message_says_what_does():
    with pytest.raises(InputError, match="run on Flink") as raised:
        check_travels("redis://app:correct-horse@cache?db=1", "Flink")
    assert "horse" not in str(raised.value)
    assert PASSWORD_FILE in str(raised.value)
    assert "redis://app@cache?db=1&password_file=/path" in str(raised.value)
    for url in ("redis://cache", "redis://app@cache", "redis://:@cache", "redis://cache?password_file=/run/secret"):
        check_travels(url, "Flink")


@pytest.mark.parametrize(
    ("url", "passed"),
    [
        ("redis://cache", ("redis://cache", {})),
        ("redis://:@cache", ("redis://:@cache", {})),
        ("redis://app:p%40@cache/1", ("redis://app@cache/1", {PASSWORD: "p@", PASSWORD_FILE: ""})),
    ],
)
def test_a_process_of_ours_gets_the_password_in_its_environment(url, passed):
    assert passed_on(url) == passed
    assert presented(passed[0], passed[1]) == presented(url, {})
