"""A process's part in a run: it reports to a real Valkey, and again when that has lost everything."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.servers.redis import Valkey, running_valkey
from transforms import counters, drain, remote_run
from transforms.health import hindered
from transforms.remote_run import RemoteRun, join
from user_state.store.run_board import RunBoard

WAIT_S = 20.0


@pytest.fixture
def redis(tmp_path) -> Iterator[Valkey]:
    with running_valkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def run(redis: Valkey, monkeypatch) -> Iterator[RemoteRun]:
    monkeypatch.setattr(remote_run, "INTERVAL_S", 0.05)
    monkeypatch.setattr(remote_run, "AGAIN_S", 0.5)
    counters.reset()
    drain.reset()
    yield RemoteRun(redis.url, "feed", f"run-{time.time_ns()}")
    counters.reset()
    drain.reset()


def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def test_what_was_counted_is_said_again_though_nothing_is_new_since_redis_may_have_lost_it(redis, run):
    join(run)
    counters.count(counters.READ, 3)
    board = run.board()
    assert comes_true(lambda: board.counters() == {"read": 3})

    for _ in range(2):
        redis.kill_9()
        redis.restart()

    assert comes_true(lambda: RunBoard(redis.url, "feed", run.run).counters() == {"read": 3})
    board.close()


def test_what_hinders_this_process_is_said_for_as_long_as_it_does(redis, run):
    join(run)
    board = run.board()
    hindered("dead letters", "the topic is gone", lasts_s=1.0)
    assert comes_true(lambda: board.trouble() == "the topic is gone")
    assert comes_true(lambda: board.trouble() is None)
    board.close()


def test_whatever_goes_wrong_once_a_request_is_still_seen(redis, run, monkeypatch):
    failed = threading.Event()

    def fails(board: RunBoard) -> bool:
        failed.set()
        monkeypatch.undo()
        raise ValueError("what no client of Redis should raise")

    monkeypatch.setattr(RunBoard, "is_asked_to_stop", fails)
    join(run)
    assert failed.wait(WAIT_S)
    board = run.board()

    board.ask_to_stop()

    assert comes_true(drain.draining)
    board.close()
