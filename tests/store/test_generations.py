"""Generations of records: written beside each other, one of them served, clients following."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.errors import InputError, StoreUnavailable
from user_state.generation_name import generation_name
from user_state.spec import load_spec
from user_state.store.generations import Generation, Generations, generation_to_read, refuse_unread
from user_state.store.survey import stored_users

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "examples" / "starter" / "user_state.yaml"


def typed(*words: str, code: int = 0) -> str:
    """Run a command; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", "user_state.cli.main", *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture
def written(valkey: Valkey, tmp_path: Path) -> Path:
    """Return a folder with two files of traffic; the first one's events are in the records of no generation."""
    for seed in (1, 2):
        typed(*f"generate --users 40 --events 400 --seed {seed} --out {tmp_path}/{seed}.avro".split())
    fold(valkey, tmp_path, 1)
    return tmp_path


def fold(valkey: Valkey, folder: Path, seed: int, *more: str, code: int = 0) -> str:
    words = f"run --spec {STARTER} --input {folder}/{seed}.avro --redis {valkey.url} --dead-letters {folder}/dead"
    return typed(*words.split(), "--max_dead_letters", "100%", *more, code=code)


def verified(valkey: Valkey, folder: Path, seed: int, *more: str, code: int = 0) -> str:
    words = f"verify --spec {STARTER} --events {folder}/{seed}.avro --redis {valkey.url}"
    return typed(*words.split(), *more, code=code)


def test_generations_lie_beside_each_other_and_clients_follow_the_one_that_is_served(
    valkey: Valkey, written: Path
) -> None:
    fold(valkey, written, 2, "--generation", "g2")
    assert "all equal" in verified(valkey, written, 1)
    assert "all equal" in verified(valkey, written, 2, "--generation", "g2")
    assert "differ" in verified(valkey, written, 1, "--generation", "g2", code=1)

    with (
        UserStateClient.from_url(valkey.url, STARTER, timeout_s=10, generation_refresh_s=0) as following,
        UserStateClient.from_url(valkey.url, STARTER, timeout_s=10, generation_refresh_s=3600) as slow,
        UserStateClient.from_url(valkey.url, STARTER, timeout_s=10, generation="g2") as pinned,
    ):
        users = sorted(stored_users(valkey.url, "feed"))
        at = int(time.time() * 1e6)
        first = following.get_many(users, at)
        second = pinned.get_many(users, at)
        assert (following.generation, pinned.generation) == ("base", "g2")
        assert first.present.any()
        assert first.last_event_us.tolist() != second.last_event_us.tolist()
        slow.get_many(users, at)

        said = typed(*f"generation use g2 --spec {STARTER} --redis {valkey.url} --yes".split())
        assert "The way back: `user-state generation use base`" in said
        assert following.get_many(users, at).last_event_us.tolist() == second.last_event_us.tolist()
        assert following.generation == "g2"
        assert slow.get_many(users, at).last_event_us.tolist() == first.last_event_us.tolist()  # not looked again yet
        assert "all equal" in verified(valkey, written, 2)

        typed(*f"generation use base --spec {STARTER} --redis {valkey.url} --yes".split())
        assert following.get_many(users, at).last_event_us.tolist() == first.last_event_us.tolist()
        assert following.generation == "base"


def test_a_client_stays_with_what_it_reads_where_redis_says_nothing(valkey: Valkey, written: Path) -> None:
    fold(valkey, written, 2, "--generation", "g2")
    with Generations(valkey.url, "feed") as generations:
        generations.serve("g2")
    with UserStateClient.from_url(valkey.url, STARTER, timeout_s=10, generation_refresh_s=0) as client:
        client.get("u001")
        with valkey.client() as plain:
            plain.delete("feed:generations")
        client.get("u001")
        assert client.generation == "g2"


def test_without_a_generation_nothing_is_written_that_no_client_reads(valkey: Valkey, written: Path) -> None:
    fold(valkey, written, 2, "--generation", "g2")
    typed(*f"generation use g2 --spec {STARTER} --redis {valkey.url} --yes".split())
    said = fold(valkey, written, 1, code=2)
    assert "--generation g2 to write it, --generation base" in said
    fold(valkey, written, 1, "--generation", "base")
    fold(valkey, written, 1, "--generation", "g2")


def test_what_is_dropped_is_gone_and_nothing_else(valkey: Valkey, written: Path) -> None:
    with valkey.client() as plain:
        before = set(plain.keys())
    fold(valkey, written, 2, "--generation", "g2")
    fold(valkey, written, 2, "--generation", "g22")
    with valkey.client() as plain:
        beside = {key for key in set(plain.keys()) if not key.startswith(b"feed@g2:")}
    typed(*f"generation use g2 --spec {STARTER} --redis {valkey.url} --yes".split())
    drop = f"generation drop g2 --spec {STARTER} --redis {valkey.url}".split()
    assert "that is not served, got g2" in typed(*drop, "--yes", code=2)
    typed(*f"generation use base --spec {STARTER} --redis {valkey.url} --yes".split())
    assert "add --yes" in typed(*drop, code=2)
    assert "records" in typed(*drop, "--yes")
    with valkey.client() as plain:
        left = set(plain.keys())
    assert before <= left
    assert left == beside | {b"feed:generations"}


def test_one_that_is_not_fit_to_be_served_is_refused(valkey: Valkey, written: Path) -> None:
    use = f"--spec {STARTER} --redis {valkey.url} --yes".split()
    assert "got g3, which has none in this Redis" in typed("generation", "use", "g3", *use, code=2)
    fold(valkey, written, 2, "--generation", "g2")
    with Generations(valkey.url, "feed") as generations:
        generations.put(Generation("g2", "00", 1))
        assert "has not come to its end" in typed("generation", "use", "g2", *use, code=2)
        generations.end("g2", 7, 2)
    other = written / "other.yaml"
    other.write_text(STARTER.read_text().replace("retention: 90d", "retention: 91d"))
    again = ["--spec", str(other), *use[2:]]
    assert "written by spec" in typed("generation", "use", "g2", *again, code=2)
    assert "7 events" in typed("generation", "list", *use[:-1])
    assert "named by lower-case letters" in typed("generation", "use", "G 2", *use, code=2)


def test_what_to_read_and_write_follows_what_is_served(valkey: Valkey) -> None:
    assert generation_to_read(valkey.url, "tried", None) == "base"
    refuse_unread(valkey.url, "tried")
    with Generations(valkey.url, "tried") as generations:
        assert generations.serve("g1") == "base"
        assert generations.serve("base") == "g1"
        refuse_unread(valkey.url, "tried")
        generations.serve("g1")
    assert generation_to_read(valkey.url, "tried", None) == "g1"
    assert generation_to_read(valkey.url, "tried", "base") == "base"
    with pytest.raises(InputError, match="since g1 is the generation of tried that is served"):
        refuse_unread(valkey.url, "tried")


def test_a_generation_that_nobody_has_written_is_a_mistake_and_not_users_without_records(valkey: Valkey) -> None:
    with (
        UserStateClient.from_url(valkey.url, STARTER, timeout_s=10, generation="typo") as client,
        pytest.raises(InputError, match="that has been written, got typo"),
    ):
        client.get("u001")
    with UserStateClient.from_url(valkey.url, STARTER, timeout_s=10, generation="base") as client:
        assert not client.get("u001").present


def test_a_client_that_was_never_told_says_that_redis_is_away(valkey: Valkey) -> None:
    url = valkey.url
    with UserStateClient.from_url(url, STARTER, timeout_s=1) as client:
        valkey.kill_9()
        try:
            with pytest.raises(StoreUnavailable):
                client.get("u001")
        finally:
            valkey.restart()


@pytest.mark.parametrize("name", ["", "G", "a.b", "a:b", "a{b", "-a", "a" * 41, "a b"])
def test_what_is_no_name_of_a_generation(name: str) -> None:
    with pytest.raises(InputError, match="expected a generation named by"):
        generation_name(name)


def test_the_generation_is_no_part_of_the_definition() -> None:
    from user_state.plan.compile import compile_plan

    spec = load_spec(STARTER)
    plans = [compile_plan(spec.of_generation(name)) for name in ("base", "g1")]
    assert plans[0].definition == plans[1].definition
    assert [plan.keyspace for plan in plans] == ["feed", "feed@g1"]
