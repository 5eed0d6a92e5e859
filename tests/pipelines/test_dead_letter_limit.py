"""A run that refuses more than it may says why, with what would help, and exits with 1; the rest is stored."""

import json
import time
import uuid

import fastavro
import pytest

from tests.pipelines.traffic import SPEC_TEXT
from tests.servers.pipeline import run_command
from user_state.events.avro_files import SingleObject, interaction_schema, message_schema, write_events

DAY_US = 86_400_000_000
NOW_US = time.time_ns() // 1000
SECRET = "somebody-secret"


def event(number, **changed):
    made = {"event_id": f"e{number}", "user_id": SECRET, "item_id": "i", "action": "view"}
    return {**made, "event_time": NOW_US - 60_000_000 * number, **changed}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes messages (body, attributes, publish time) to a file."""
    (tmp_path / "spec.yaml").write_text(SPEC_TEXT)

    def write(messages):
        path = tmp_path / f"{uuid.uuid4().hex}.avro"
        with path.open("wb") as file:
            envelopes = [{"data": d, "attributes": a, "publish_time": p} for d, a, p in messages]
            fastavro.writer(file, message_schema(), envelopes)
        return path

    return write


def run(tmp_path, valkey, path, *more):
    common = ("--spec", tmp_path / "spec.yaml", "--redis", valkey.url, "--dead-letters", tmp_path / "dead")
    return run_command("run", *common, "--input", path, *more)


def body(made):
    return SingleObject(interaction_schema()).encode(made)


def test_history_with_new_publish_times_is_told_as_such_with_the_attribute_that_holds_its_time(
    written, valkey, tmp_path
):
    """Source: strelov1/freehire#1452: a run that dead-lettered every message ended with 0, and without a word."""
    old = [event(n, event_time=NOW_US - 30 * DAY_US - n) for n in range(5)]
    path = written([(body(one), {"ts": str(one["event_time"])}, NOW_US) for one in old])
    ended = run(tmp_path, valkey, path)
    assert ended.returncode == 1, ended.stderr
    assert "refused 5 of 5 messages (100 %), more than --max_dead_letters 10%" in ended.stderr
    assert "commonest reason: too_late, 5 messages" in ended.stderr
    assert "publish times are 30d after event times: history? --publish_time_attribute ts" in ended.stderr
    assert "for example: happened 2" in ended.stderr
    assert SECRET not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_bodies_that_are_json_are_recognised(written, valkey, tmp_path):
    path = written([(json.dumps(event(n)).encode(), {}, NOW_US) for n in range(3)])
    ended = run(tmp_path, valkey, path)
    assert ended.returncode == 1
    assert "commonest reason: undecodable, 3 messages" in ended.stderr
    assert "what would help: the bodies look like JSON" in ended.stderr
    assert SECRET not in ended.stderr


@pytest.mark.parametrize(
    ("limit", "code"), [("24%", 1), ("25%", 0), ("100%", 0)], ids=["less than the share", "the share", "any"]
)
def test_a_share_up_to_the_limit_is_accepted_and_what_is_above_is_not(written, valkey, tmp_path, limit, code):
    path = written([(body(event(n)) if n else b"", {}, NOW_US) for n in range(4)])
    ended = run(tmp_path, valkey, path, "--max_dead_letters", limit)
    assert ended.returncode == code, ended.stderr
    assert "read 4 = applied 3" in ended.stderr
    assert ("more than --max_dead_letters" in ended.stderr) == bool(code)
    with valkey.client() as client:
        assert client.exists(f"feed:{{{SECRET}}}:state")


def test_a_run_in_which_every_event_is_older_than_the_retention_stored_nothing_and_fails(valkey, tmp_path, written):
    write_events(
        tmp_path / "old.avro", [event(n, event_time=NOW_US - 5000 * DAY_US) for n in range(3)], interaction_schema()
    )
    ended = run(tmp_path, valkey, tmp_path / "old.avro")
    assert ended.returncode == 1, ended.stderr
    assert "set `retention` in the spec" in ended.stderr
    assert "nothing was stored" in ended.stderr


@pytest.mark.parametrize("wrong", ["1", "0.01", "101%", "-1%", "half", ""])
def test_a_limit_that_is_no_share_is_a_users_mistake(valkey, tmp_path, written, wrong):
    ended = run(tmp_path, valkey, written([]), f"--max_dead_letters={wrong}")
    assert ended.returncode == 2
    assert "expected a share from 0% to 100% for --max_dead_letters, such as 1%" in ended.stderr
