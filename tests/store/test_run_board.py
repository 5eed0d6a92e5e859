"""The board on a real Valkey: processes add up, a stop is seen, and another run has a board of its own."""

import pytest

from tests.servers.ports import free_port
from tests.servers.redis import Valkey
from user_state.errors import StoreUnavailable
from user_state.store.run_board import KEPT_MS, TROUBLE_MS, RunBoard


@pytest.fixture
def board(valkey: Valkey):
    made = RunBoard(valkey.url, "feed", "run-1")
    yield made
    made.close()


def test_counters_of_processes_add_up_and_a_process_reports_its_last_word(board: RunBoard):
    board.report("a", {"read": 3, "applied": 2})
    board.report("b", {"read": 5})
    board.report("a", {"read": 4, "applied": 4})
    board.ask_to_stop()

    assert board.counters() == {"read": 9, "applied": 4}


def test_a_stop_is_seen_by_this_run_and_by_no_other(board: RunBoard, valkey: Valkey):
    assert not board.is_asked_to_stop()
    board.ask_to_stop()
    assert board.is_asked_to_stop()
    other = RunBoard(valkey.url, "feed", "run-2")
    assert not other.is_asked_to_stop()
    assert other.counters() == {}
    other.close()


def test_a_trouble_is_told_while_it_is_said_and_counts_as_no_counter(board: RunBoard, valkey: Valkey):
    assert board.trouble() is None
    board.say_trouble("größer als erlaubt")
    assert board.trouble() == "größer als erlaubt"
    assert board.counters() == {}
    with valkey.client() as client:
        assert 0 < client.pttl("feed:run:run-1:trouble") <= TROUBLE_MS


def test_whether_redis_can_be_written_to_is_found_out_where_it_can_still_be_read(board: RunBoard, valkey: Valkey):
    board.report("a", {"read": 3})
    board.say_watched()
    with valkey.client() as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreUnavailable):
                board.say_watched()
        finally:
            client.config_set("maxmemory", 0)
    assert board.counters() == {"read": 3}


def test_the_board_is_forgotten_after_a_day(board: RunBoard, valkey: Valkey):
    board.report("a", {"read": 1})
    with valkey.client() as client:
        assert 0 < client.pttl("feed:run:run-1") <= KEPT_MS


def test_a_server_that_is_away_is_our_error():
    away = RunBoard(f"redis://127.0.0.1:{free_port()}", "feed", "run-1", timeout_s=1)
    with pytest.raises(StoreUnavailable):
        away.ask_to_stop()
    with pytest.raises(StoreUnavailable):
        away.counters()
    away.close()
