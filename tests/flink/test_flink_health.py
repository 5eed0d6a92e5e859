"""What a run's command says of what hinders its workers: what they say themselves, and what they cannot say."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from beam_pipelines.flink import health
from beam_pipelines.flink.health import Health
from tests.servers.redis import Valkey
from user_state.store.run_board import RunBoard


@pytest.fixture
def board(valkey: Valkey) -> Iterator[RunBoard]:
    made = RunBoard(valkey.url, "feed", "run-1", timeout_s=2.0)
    yield made
    made.close()


@pytest.fixture
def at_each_look(monkeypatch) -> None:
    monkeypatch.setattr(health, "LOOK_S", 0.0)
    monkeypatch.setattr(health, "PROBE_S", 0.0)


def said(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def quiet_console() -> Console:
    return Console(file=io.StringIO(), soft_wrap=True)


def test_what_a_worker_says_is_told_once_and_that_it_is_over_once(board: RunBoard, valkey: Valkey, at_each_look: None):
    console = quiet_console()
    watched = Health(console, board)
    watched.look()
    assert said(console) == []

    board.say_trouble("cannot pull from S: 503")
    watched.look()
    watched.look()
    assert said(console) == ["waiting, nothing is lost: cannot pull from S: 503"]

    with valkey.client() as client:
        client.delete("feed:run:run-1:trouble")
    watched.look()
    watched.look()
    assert said(console)[1:] == ["running again"]


def test_two_workers_that_say_different_things_in_turn_are_each_told_once(board: RunBoard, at_each_look: None):
    console = quiet_console()
    watched = Health(console, board)
    for trouble in ("A", "B", "A", "B", "A"):
        board.say_trouble(trouble)
        watched.look()
    assert said(console) == ["waiting, nothing is lost: A", "waiting, nothing is lost: B"]


@pytest.mark.parametrize(
    ("setting", "bad", "good", "words"),
    [("maxmemory", 1, 0, "maxmemory"), ("min-replicas-to-write", 1, 0, "NOREPLICAS|good replicas")],
)
def test_that_redis_can_be_read_and_not_written_to_is_found_out(
    board: RunBoard, valkey: Valkey, at_each_look: None, setting: str, bad: int, good: int, words: str
):
    console = quiet_console()
    watched = Health(console, board)
    with valkey.client() as client:
        client.config_set(setting, bad)
        watched.look()
        watched.look()
        assert len(said(console)) == 1
        assert any(word in said(console)[0] for word in words.split("|"))

        client.config_set(setting, good)
        watched.look()
    assert said(console)[1:] == ["running again"]


def test_that_redis_is_away_is_told(board: RunBoard, valkey: Valkey, at_each_look: None):
    console = quiet_console()
    watched = Health(console, board)
    valkey.kill_9()
    watched.look()
    assert "is not available" in said(console)[0]
    valkey.restart()
    watched.look()
    assert said(console)[1:] == ["running again"]
