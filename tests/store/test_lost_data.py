"""A live folder, with what it wrote in its cache, beside a real Valkey that loses data: nothing is settled by a cache
alone, what was lost is folded again when it comes again, and only that."""

import shutil
import time
from contextlib import closing, contextmanager

import pytest

from tests.servers.redis import running_valkey
from tests.store.folding import APPLIED, DUPLICATE, NOW, PLAN, SPEC, counted, go_on, outcomes, rows, views
from tests.trying import S, event, plan_of
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.store.keys import record_key, registry_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Registry

DURABILITIES = ["none", "fsync"]


class Data:
    """What a server holds, kept to set it back later."""

    def __init__(self, server, tmp_path):
        self.server, self.copy = server, tmp_path / "copy"

    def keep(self):
        with self.server.client() as client:
            if client.config_get("appendonly")["appendonly"] == "yes":
                client.execute_command("WAITAOF", 1, 0, 5000)
            else:
                client.save()
        shutil.copytree(self.server.folder, self.copy)

    def restart_with(self, *, kept):
        self.server.kill_9()
        shutil.rmtree(self.server.folder)
        if kept:
            shutil.copytree(self.copy, self.server.folder)
        else:
            self.server.folder.mkdir()
        self.server.restart()


def wait_for_sync(client):
    deadline = time.monotonic() + 20
    while client.info("replication")["master_link_status"] != "up":
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def flushed(server, tmp_path):
    """The server loses everything and goes on."""
    with server.client() as client:
        yield
        client.flushall()


@contextmanager
def restarted_empty(server, tmp_path):
    """The server loses its files with its process."""
    yield
    Data(server, tmp_path).restart_with(kept=False)


@contextmanager
def set_back(server, tmp_path):
    """The server is restarted from a copy of its files as they were at the beginning of the block."""
    data = Data(server, tmp_path)
    data.keep()
    yield
    data.restart_with(kept=True)


@contextmanager
def failed_over(server, tmp_path):
    """A replica that has heard nothing since the beginning of the block takes over, at the same address."""
    with running_valkey(tmp_path / "replica") as replica, replica.client() as client:
        client.replicaof("127.0.0.1", server.port)
        wait_for_sync(client)
        client.replicaof("NO", "ONE")
        yield
        with server.client() as old:
            old.replicaof("127.0.0.1", replica.port)
            wait_for_sync(old)
            old.replicaof("NO", "ONE")


LOSSES = {flushed: False, restarted_empty: False, set_back: True, failed_over: True}
"""Ways to lose data, and whether what was there before the block is kept."""


@pytest.fixture
def server(tmp_path, request):
    with running_valkey(tmp_path / "server", appendonly=request.param == "fsync") as running:
        running.durability = request.param
        yield running


@pytest.fixture
def store(server):
    with closing(RedisStateStore(server.url, PLAN.name, durability=server.durability, timeout_s=10)) as opened:
        yield opened


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
@pytest.mark.parametrize("server", DURABILITIES, indirect=True)
def test_what_was_lost_is_applied_again_when_it_comes_again_and_only_that(server, store, tmp_path, lose):
    early = rows(*views("u", count=2), *views("v", count=2))
    late = rows(*views("u", begin=2, count=2), *views("w", count=3))
    folder = Folder(PLAN, store)
    folder.fold(early)
    with lose(server, tmp_path):
        folder.fold(late)

    report = folder.fold([*early, *late], go_on)

    kept = LOSSES[lose]
    assert outcomes(report) == [DUPLICATE if kept else APPLIED] * 4 + [APPLIED] * 5
    assert [counted(store, user) for user in "uvw"] == [(4, 4), (2, 2), (3, 3)]
    assert (report.lost, report.went_back, report.ids_lost) == (2 if kept else 3, 1, 0)
    # Nothing was lost since: nothing is said, and nothing is counted.
    report = folder.fold([*early, *late])
    assert outcomes(report) == [DUPLICATE] * 9
    assert (report.lost, report.went_back, report.writes) == (0, 0, 0)


@pytest.mark.parametrize("server", DURABILITIES, indirect=True)
def test_batches_of_a_server_that_loses_nothing_are_no_loss(store, server):
    folder = Folder(PLAN, store)
    for n in range(4):
        report = folder.fold(rows(*views(begin=n, count=1), *views("v", begin=n, count=1)))
        assert (report.lost, report.went_back, report.ids_lost, report.conflicts) == (0, 0, 0, 0)
    server.kill_9()
    server.restart()
    report = folder.fold(rows(*views(begin=4, count=1)), go_on)
    # Without an append-only file everything was lost, and with one nothing.
    assert (report.lost, report.went_back) == ((1, 1) if server.durability == "none" else (0, 0))


@pytest.mark.parametrize("server", ["none"], indirect=True)
def test_one_record_that_is_deleted_is_said_to_be_lost_and_what_expired_is_not(store, server):
    folder = Folder(PLAN, store)
    batch = rows(*views("u"), *views("v"))
    folder.fold(batch)
    with server.client() as client:
        client.delete(record_key("tried", "u"))
    report = folder.fold(batch)
    assert outcomes(report) == [APPLIED] * 3 + [DUPLICATE] * 3
    assert (report.lost, report.went_back) == (1, 0)

    now = [NOW]
    folder = Folder(PLAN, store, now_us=lambda: now[0])
    folder.fold(rows(*views("w")))
    now[0] = NOW + PLAN.retention_us + 10 * S
    with server.client() as client:
        client.delete(*client.scan_iter("tried:{w}:*"))
    report = folder.fold(rows(event(now[0], "w")))
    assert (outcomes(report), report.lost) == ([APPLIED], 0)


@pytest.mark.parametrize("lose", [flushed, restarted_empty], ids=lambda lose: lose.__name__)
@pytest.mark.parametrize("server", ["none"], indirect=True)
def test_a_redis_that_comes_back_empty_is_told_every_layout_that_was_met(server, store, tmp_path, lose):
    old = plan_of(features={"f": {"aggregate": "count", "windows": ["1h"]}})
    decoder = EventDecoder(old, SPEC.schema)
    Folder(old, store, epoch=1).fold([decoder.row(one, None) for one in (*views("met"), *views("unmet"))])
    with closing(RedisStateStore(server.url, PLAN.name, timeout_s=5)) as newer:
        folder = Folder(PLAN, newer, epoch=2)
        folder.fold(rows(*views("met", begin=5)))
        (unmet,) = newer.read(["unmet"])
        assert unmet.record[18:26] == old.layout.fingerprint
        with lose(server, tmp_path):
            pass
        folder.fold(rows(*views("v")), go_on)
        with server.client() as client:
            assert Registry(client, server.url, "tried").layouts().keys() == {
                old.layout.fingerprint,
                PLAN.layout.fingerprint,
            }


@pytest.mark.parametrize("server", ["none"], indirect=True)
def test_records_of_a_registry_that_was_lost_can_be_read_by_a_later_spec(server, store):
    old = plan_of(features={"f": {"aggregate": "count", "windows": ["1h", "lifetime"]}})
    decoder = EventDecoder(old, SPEC.schema)
    Folder(old, store, epoch=1).fold([decoder.row(one, None) for one in (*views("met"), *views("unmet"))])
    latest = plan_of(features={"f": {"aggregate": "count", "windows": ["lifetime"]}})
    with (
        closing(RedisStateStore(server.url, PLAN.name, timeout_s=5)) as newer,
        closing(RedisStateStore(server.url, PLAN.name, timeout_s=5)) as newest,
        server.client() as client,
    ):
        folder = Folder(PLAN, newer, epoch=2)
        folder.fold(rows(*views("met", begin=5)))
        client.delete(registry_key("tried"))
        folder.fold(rows(*views("v")))

        report = Folder(latest, newest, epoch=3).fold(
            [EventDecoder(latest, SPEC.schema).row(one, None) for one in views("unmet", begin=5)]
        )
        assert outcomes(report) == [APPLIED] * 3
        assert counted(newest, "unmet", latest) == (6, 6)
