"""What must not hold a ranking service up: a trickling server, a fork, many users, a node of a cluster that is gone."""

import itertools
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
import redis

from tests.servers.redis import Valkey, running_valkey
from tests.servers.trickling import self_signed, trickling
from tests.store.test_client import DECODER, NOW, PLAN, SPEC, fill
from tests.trying import event
from user_state import UserStateClient
from user_state.errors import StoreUnavailable
from user_state.fold import Folder
from user_state.store.keys import record_key
from user_state.store.look_up import MOST_KEYS
from user_state.store.redis_store import RedisStateStore


def test_a_server_that_trickles_is_unavailable_within_the_timeout_of_the_call(valkey):
    fill(valkey.url)
    with trickling(valkey, pause_s=0.05) as server, UserStateClient.from_url(server.url, SPEC, timeout_s=0.5) as client:
        began_s = time.monotonic()
        with pytest.raises(StoreUnavailable):
            client.get("u1")
        assert 0.4 < time.monotonic() - began_s < 2.0


def test_a_server_that_is_slow_but_in_time_is_read(valkey):
    fill(valkey.url)
    with (
        trickling(valkey, pause_s=0.0001) as server,
        UserStateClient.from_url(server.url, SPEC, timeout_s=10) as client,
    ):
        assert client.get("u1").present


def test_a_cluster_over_tls_that_trickles_is_unavailable_within_the_timeout_of_the_call(cluster, tmp_path):
    fill(cluster.url)
    certificate = self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with trickling(cluster, slow=b"\r\nGET\r\n", tls=tls) as server, cluster.client() as plain:
        plain.config_set("cluster-announce-port", server.port)  # whom its clients shall ask
        try:
            url = f"rediss-cluster://127.0.0.1:{server.port}?ssl_ca_certs={certificate}"
            with UserStateClient.from_url(url, SPEC, timeout_s=1) as client:
                assert client.get("u1", NOW).present
                server.pause_s = 0.05
                began_s = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    client.get("u1")
                assert 0.9 < time.monotonic() - began_s < 2.5
        finally:
            plain.config_set("cluster-announce-port", 0)


FORKING = """
import os, signal, sys, threading
from tests.store.test_client import NOW, SPEC
from user_state import UserStateClient
client = UserStateClient.from_url(sys.argv[1], SPEC, timeout_s=5)
users = [f"u{n}" for n in range(7)]
def read():
    while True:
        client.get_many(users, NOW).sequences["recent"]["item_id"]
for _ in range(3):
    threading.Thread(target=read, daemon=True).start()
for _ in range(40):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # one that hangs is killed by it
        found = client.get_many(users, NOW)
        os._exit(0 if found.present.all() and found.sequences["recent"]["item_id"].shape == (7, 4) else 3)
    status = os.waitpid(child, 0)[1]
    if status != 0:
        sys.exit(f"a child ended with {os.waitstatus_to_exitcode(status)}")
os._exit(0)
"""


def test_children_forked_while_threads_read_can_read(valkey):
    fill(valkey.url)
    forking = [sys.executable, "-W", "ignore", "-c", FORKING, valkey.url]
    ended = subprocess.run(forking, timeout=120, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_many_users_are_asked_for_in_commands_of_bounded_size(valkey):
    fill(valkey.url)
    users = [*(f"nobody{number}" for number in range(2 * MOST_KEYS)), "u1"]
    with UserStateClient.from_url(valkey.url, SPEC, timeout_s=10) as client, valkey.client() as plain:
        plain.config_resetstat()
        found = client.get_many(users, NOW)
        assert plain.info("commandstats")["cmdstat_mget"]["calls"] == 3
        np.testing.assert_array_equal(found.values[-1], client.get_many(["u1"], NOW).values[0])
    assert np.flatnonzero(found.present).tolist() == [2 * MOST_KEYS]


@pytest.fixture
def two_nodes(tmp_path) -> Iterator[tuple[Valkey, Valkey]]:
    """A cluster of two nodes, each with half of the slots, that goes on serving one half without the other."""
    with (
        running_valkey(tmp_path / "one", cluster=True) as one,
        running_valkey(tmp_path / "two", cluster=True) as two,
    ):
        for server, others in ((one, (8192, 16383)), (two, (0, 8191))):
            with plain_client(server) as plain:
                plain.execute_command("CONFIG SET", "cluster-require-full-coverage", "no")
                plain.execute_command("CLUSTER DELSLOTSRANGE", *others)
        with plain_client(one) as plain:
            host, port = address(two)
            plain.execute_command("CLUSTER MEET", host, port)
        for server in (one, two):
            with plain_client(server) as plain:
                wait_until(lambda plain=plain: len(plain.execute_command("CLUSTER SLOTS")) == 2)
        yield one, two


def address(server: Valkey) -> tuple[str, int]:
    host, port = server.url.rsplit("/", 1)[-1].rsplit(":", 1)
    return host, int(port)


def plain_client(server: Valkey) -> closing:
    host, port = address(server)
    return closing(redis.Redis(host=host, port=port))


def wait_until(holds) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("the cluster did not come up")


def test_a_node_that_is_gone_costs_its_own_users_alone(two_nodes):
    one, two = two_nodes
    users = [f"u{number}" for number in range(20)]
    with closing(RedisStateStore(one.url, PLAN.name, timeout_s=5)) as store:
        folder = Folder(PLAN, store)
        folder.start()
        folder.fold([DECODER.row(event(NOW, user), None) for user in users])
    with UserStateClient.from_url(one.url, SPEC, timeout_s=3) as client:
        assert client.get_many(users, NOW).present.all()
        with plain_client(one) as first, plain_client(two) as second:
            for plain in (first, second):
                plain.config_resetstat()
            client.get_many(users, NOW)
            calls = [plain.info("commandstats") for plain in (first, second)]
            assert sum(stats["cmdstat_get"]["calls"] for stats in calls) == len(users)
            of_first = [first.execute_command("CLUSTER KEYSLOT", record_key(PLAN.name, user)) < 8192 for user in users]
        two.kill_9()
        found = client.get_many(users, NOW)
        assert found.present.tolist() == of_first
        assert set(found.errors) == set(itertools.compress(users, [not here for here in of_first]))
        assert all("not available" in reason for reason in found.errors.values())
        gone = next(iter(found.errors))
        with pytest.raises(StoreUnavailable):
            client.get(gone)
