"""Connections at hand: how many there are, what becomes of broken ones, and what a call that fails leaves behind."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.fuzz.envelope import resealed
from tests.servers.redis import running_valkey
from tests.servers.trickling import trickling
from tests.store.test_client import NOW, PLAN, SPEC, fill
from user_state import UserStateClient
from user_state.errors import StoreDenied, StoreUnavailable
from user_state.store.keys import record_key

USERS = [f"u{number}" for number in range(7)]


def connected(valkey) -> int:
    """How many connections a server has beside the one that asks."""
    with valkey.client() as plain:
        return len(plain.client_list()) - 1


@pytest.fixture
def client(valkey):
    fill(valkey.url)
    with UserStateClient.from_url(valkey.url, SPEC, timeout_s=5) as opened:
        yield opened


def test_calls_one_after_the_other_share_one_connection_whatever_thread_they_come_from(client, valkey):
    before = connected(valkey)
    for _ in range(5):
        thread = threading.Thread(target=client.get_many, args=(USERS,))
        thread.start()
        thread.join(10)
    client.get_many(USERS)
    assert connected(valkey) - before == 1


def test_there_are_no_more_connections_than_calls_ran_at_once(client, valkey):
    before = connected(valkey)
    threads = [threading.Thread(target=lambda: [client.get_many(USERS) for _ in range(30)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 1 <= connected(valkey) - before <= 6
    assert client._server.idle == connected(valkey) - before


def test_closing_closes_the_connections(valkey):
    fill(valkey.url)
    before = connected(valkey)
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        client.get_many(USERS)
        assert connected(valkey) - before == 1
    for _ in range(100):  # the server notices a little later
        if connected(valkey) == before:
            return
        time.sleep(0.05)
    pytest.fail("a closed client has left a connection open")


def test_a_connection_that_the_server_closed_is_replaced_without_an_error(client, valkey):
    expected = client.get_many(USERS, NOW).values
    for _ in range(2):
        with valkey.client() as plain:
            plain.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        np.testing.assert_array_equal(client.get_many(USERS, NOW).values, expected)


def test_all_idle_connections_are_replaced_when_one_was_closed(client, valkey):
    together = threading.Barrier(4)

    def read():
        together.wait(10)
        for _ in range(20):
            client.get_many(USERS)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with valkey.client() as plain:
        plain.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
    assert client.get_many(USERS, NOW).present.all()
    assert client._server.idle == 1


@pytest.mark.parametrize("cut", [0, 1, 30, 400])
def test_a_connection_that_breaks_in_an_answer_is_unavailable_and_the_next_call_is_whole(valkey, cut):
    fill(valkey.url)
    with trickling(valkey) as server, UserStateClient.from_url(server.url, SPEC, timeout_s=5) as client:
        expected = client.get_many(USERS, NOW).values
        server.cut = cut
        with pytest.raises(StoreUnavailable, match="closed"):
            client.get_many(USERS, NOW)
        server.cut = None
        np.testing.assert_array_equal(client.get_many(USERS, NOW).values, expected)


def test_the_rest_of_an_answer_that_came_too_late_is_nobody_elses(valkey):
    fill(valkey.url)
    with trickling(valkey) as server, UserStateClient.from_url(server.url, SPEC, timeout_s=0.5) as client:
        expected = client.get_many(["u2"], NOW).values
        server.pause_s = 0.01
        with pytest.raises(StoreUnavailable):
            client.get_many(["u1"], NOW)
        server.pause_s = None
        np.testing.assert_array_equal(client.get_many(["u2"], NOW).values, expected)


def test_a_refusal_is_told_and_keeps_its_connection(tmp_path):
    with running_valkey(tmp_path / "own") as server:
        fill(server.url)
        with server.client() as plain:
            plain.execute_command("ACL SETUSER", "reader", "on", ">word", "~*", "+@all", "-mget")
        url = server.url.replace("redis://", "redis://reader:word@")
        with UserStateClient.from_url(url, SPEC) as client:
            for _ in range(3):
                with pytest.raises(StoreDenied):
                    client.get("u1")
            assert connected(server) == 1
            with server.client() as plain:
                plain.execute_command("ACL SETUSER", "reader", "+mget")
            assert client.get("u1", NOW).present
            assert connected(server) == 1


def test_a_single_connection_is_enough_for_records_of_other_layouts_too(valkey):
    fill(valkey.url)
    with valkey.client() as plain:
        blob = plain.get(record_key(PLAN.name, "u3"))
        plain.set(record_key(PLAN.name, "u3"), resealed(blob[:18] + b"unlisted" + blob[26:]))
    with UserStateClient.from_url(f"{valkey.url}?max_connections=1", SPEC) as client:
        for _ in range(3):
            found = client.get_many(["u1", "u3"], NOW)
            assert found.present.tolist() == [True, False]
            assert "registered layout" in found.errors["u3"]


def test_more_calls_at_once_than_connections_allowed_are_unavailable(valkey):
    fill(valkey.url)
    with UserStateClient.from_url(f"{valkey.url}?max_connections=1", SPEC) as client:
        client.get("u1")
        server, taken = client._server, threading.Event()
        done = threading.Event()
        holding = threading.Thread(target=lambda: server.converse(lambda _: taken.set() or done.wait(10)))
        holding.start()
        taken.wait(10)
        with pytest.raises(StoreUnavailable, match="Too many connections"):
            client.get("u1")
        done.set()
        holding.join(10)
        assert client.get("u1", NOW).present


IMPORTING = """
import sys
from tests.store.test_client import NOW, SPEC
from user_state import UserStateClient
client = UserStateClient.from_url(sys.argv[1], SPEC)
before = set(sys.modules)
found = client.get_many(["u1", "u2"], NOW)
found.sequences["recent"]["item_id"], found[0].features
print(sorted(set(sys.modules) - before))
"""


def test_the_first_call_imports_nothing_that_a_forked_child_could_wait_for(valkey):
    fill(valkey.url)
    command = [sys.executable, "-W", "ignore", "-c", IMPORTING, valkey.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
