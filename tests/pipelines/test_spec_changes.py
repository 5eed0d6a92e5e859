"""A changed spec over records that are there: `check --redis` says what becomes of them, and so does `run`."""

import json
from pathlib import Path

import pytest
import yaml

from tests.servers.pipeline import run_command
from tests.servers.redis import Valkey

STARTER = Path(__file__).parents[2] / "examples" / "starter" / "user_state.yaml"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The starter spec without skips, with another count, a longer window and another field in its sequence."""
    spec = yaml.safe_load(STARTER.read_text())
    del spec["features"]["skips"]
    spec["features"]["shares"] = {"aggregate": "count", "where": {"action": "share"}, "windows": ["7d"]}
    spec["features"]["views"]["windows"].append("60d")
    spec["sequences"]["recent"]["fields"].append("surface")
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def run(spec: Path, events: Path, valkey: Valkey, tmp_path: Path) -> str:
    dead = tmp_path / "dead-letters"
    words = ("--spec", spec, "--input", events, "--redis", valkey.url, "--dead-letters", dead)
    ran = run_command("run", *words, "--max_dead_letters", "100%")  # the file is run twice: much of it is too late then
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def test_check_and_run_say_what_a_changed_spec_keeps_starts_and_drops(
    valkey: Valkey, changed: Path, tmp_path: Path
) -> None:
    nothing = run_command("check", STARTER, "--redis", valkey.url)
    assert "no records of feed in Redis: every feature starts empty" in nothing.stdout, nothing.stderr

    events = tmp_path / "events.avro"
    assert run_command("generate", "--users", "20", "--events", "300", "--out", events).returncode == 0
    assert "the spec has changed" not in run(STARTER, events, valkey, tmp_path)
    with valkey.client() as client:
        users = sum(1 for _ in client.scan_iter("feed:*:state"))
    same = run_command("check", STARTER, "--redis", valkey.url).stdout
    assert (
        f"of all records have them:\n  {json_of(STARTER, valkey)[0]['layout']}  {users}  of this spec: keeps everything"
        in same
    )

    told = run_command("check", changed, "--redis", valkey.url).stdout
    (held,) = json_of(changed, valkey)
    assert (held["records"], held["own"], held["all_records"]) == (users, False, True)
    assert held["changes"]["starts"] == ["shares"]
    assert held["changes"]["widens"] == ["recent (surface)"]
    assert held["changes"]["drops"] == ['count tiles {"action": ["skip"]} of None']
    assert {"views", "watch_time", "recent", "taste"} <= set(held["changes"]["keeps"])

    printed = run(changed, events, valkey, tmp_path)
    assert f"the spec has changed since {users} of {users} records were written (layout {held['layout']})" in printed
    filling = "fills: views_count_60d (exact from 60d after the change; until then it misses what was no longer kept)"
    assert [f"fills: {output}" for output in held["changes"]["fills"]] == [filling]
    for line in ("starts empty: shares", "null in what is there: recent (surface)", filling, "drops: count tiles"):
        assert line in told
        assert f"\n  {line}" in printed
    # The same events again are duplicates, and a record that nothing is folded into stays as it was.
    assert [layout["records"] for layout in json_of(changed, valkey)] == [users, 0]


def json_of(spec: Path, valkey: Valkey) -> list[dict[str, object]]:
    checked = run_command("check", spec, "--redis", valkey.url, "--json")
    assert checked.returncode == 0, checked.stderr
    records: list[dict[str, object]] = json.loads(checked.stdout)["records"]
    return records


def test_a_redis_that_is_not_there_is_a_users_mistake() -> None:
    checked = run_command("check", STARTER, "--redis", "redis://127.0.0.1:1")
    assert (checked.returncode, "error: Redis at redis://127.0.0.1:1 is not available" in checked.stderr) == (2, True)
