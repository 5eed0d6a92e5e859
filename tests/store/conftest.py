"""A real Valkey for the store's tests, one for the session and emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.redis import Valkey, running_valkey
from tests.store.folding import PLAN, Wrapped
from user_state.store.redis_store import RedisStateStore


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(_server: Valkey) -> Valkey:
    with _server.client() as client:
        client.flushall()
        client.script_flush()
        client.config_resetstat()
    return _server


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, to be reconfigured or killed."""
    with running_valkey(tmp_path / "own") as server:
        yield server


@pytest.fixture(scope="session")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("cluster"), cluster=True, appendonly=True) as server:
        yield server


@pytest.fixture
def cluster(_cluster: Valkey) -> Valkey:
    """A cluster of one node that owns all slots, with an append-only file; a test leaves it as it was, but for data."""
    _cluster.wait_until_cluster_is_up()  # a test before may have taken slots away
    with _cluster.client() as client:
        client.flushall()
        client.config_resetstat()
    return _cluster


@pytest.fixture
def store(valkey: Valkey) -> Iterator[Wrapped]:
    """The store that a folder works on, to be interfered with."""
    with closing(RedisStateStore(valkey.url, PLAN.name, timeout_s=5)) as opened:
        yield Wrapped(opened)
