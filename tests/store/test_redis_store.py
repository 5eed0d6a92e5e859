"""The store against a real Valkey: the compare-and-set, expiry, durability, and every way to be refused."""

import dataclasses
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from tests.servers.ports import free_port
from tests.servers.redis import running_valkey
from tests.trying import plan_of
from user_state.errors import CodecError, InputError, StoreDenied, StoreError, StoreUnavailable
from user_state.store import redis_store
from user_state.store.keys import record_key, registry_key, seen_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Writer
from user_state.store.store import Answer, Refused, Replaced, Replacement, Stored

LATER_MS = 4_102_444_800_000
IDS, OLD_IDS, NEW_IDS = (b"\1" + text for text in (b"ids", b"old", b"new"))
"""Remembered ids as a fold gives and gets them: they begin with their format."""
USERS = ["u", "{", "}", "a{b}c", "%7B", "%", "\u6f22\U0001f389", "with space\n", "\0", "x" * 1024, "{}", "%25"]


def record(version: int, body: bytes = b"record") -> bytes:
    """Return bytes that have the version where a record has it."""
    return bytes(10) + version.to_bytes(8, "big") + body


def version(number: int | None) -> bytes:
    return b"" if number is None else number.to_bytes(8, "big")


def replacement(user="u", expected=None, new=1, seen=IDS, expire_at_ms=LATER_MS):
    return Replacement(user, version(expected), record(new), seen, expire_at_ms)


WRITER = Writer(plan_of().layout, b"the spec", 1)


@contextmanager
def claimed(url: str, *, epoch: int = 1, **options: object):
    """Open a store whose records are claimed."""
    with closing(RedisStateStore(url, "tried", **{"timeout_s": 5, **options})) as opened:
        opened.claim(dataclasses.replace(WRITER, epoch=epoch))
        yield opened


@pytest.fixture
def store(valkey):
    with claimed(valkey.url) as opened:
        yield opened


def done(store, replacements) -> list[bool]:
    """Replace; return which were."""
    return [answer == Answer.DONE for answer in store.replace(replacements).answers]


def commands(valkey) -> dict[str, int]:
    """Return how often each command was called since the test began."""
    with valkey.client() as client:
        return {name.removeprefix("cmdstat_"): s["calls"] for name, s in client.info("commandstats").items()}


def test_what_was_replaced_is_read_and_unknown_users_have_nothing(store):
    assert store.read(["u", "v"]) == [Stored(None, None)] * 2
    assert done(store, [replacement("v")]) == [True]
    assert store.read(["u", "v"]) == [Stored(None, None), Stored(record(1), IDS)]


@pytest.mark.parametrize(("held", "expected"), [(None, 1), (1, None), (1, 2), (2, 1)])
def test_a_version_that_is_not_the_one_held_is_refused_and_neither_key_changes(store, held, expected):
    if held is not None:
        store.replace([replacement(new=held, seen=OLD_IDS)])
    before = store.read(["u"])
    assert done(store, [replacement(expected=expected, new=9, seen=NEW_IDS)]) == [False]
    assert store.read(["u"]) == before


def test_the_version_held_is_replaced_again_and_again(store):
    answers = [done(store, [replacement(expected=n or None, new=n + 1)])[0] for n in range(5)]
    assert answers == [True] * 5
    assert store.read(["u"]) == [Stored(record(5), IDS)]


def test_a_batch_is_judged_user_by_user(store):
    store.replace([replacement("b", new=7)])
    batch = [replacement("a"), replacement("b"), replacement("b", expected=7, new=8), replacement("b", expected=7)]
    assert done(store, batch) == [True, False, True, False]
    assert [stored.record for stored in store.read(["a", "b"])] == [record(1), record(8)]


def test_one_of_many_racing_writers_wins_each_round(valkey):
    """Eight writers expect the same version at once, round after round."""
    wins: list[int] = []
    barrier = threading.Barrier(8)

    def write(writer: int) -> None:
        with claimed(valkey.url) as own:
            for round_ in range(25):
                barrier.wait(20)
                ids = b"\1" + bytes([writer])
                if done(own, [replacement(expected=round_ or None, new=round_ + 1, seen=ids)]) == [True]:
                    wins.append(round_)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(wins) == list(range(25))


def test_nothing_to_do_is_done(store):
    assert (store.read([]), store.replace([])) == ([], Replaced([]))


def test_both_keys_expire_at_the_time_given_which_each_write_sets_anew(store, valkey):
    for number, expire_at_ms in enumerate((LATER_MS, LATER_MS + 1, LATER_MS - 86_400_000)):
        store.replace([replacement(expected=number or None, new=number + 1, expire_at_ms=expire_at_ms)])
        with valkey.client() as client:
            keys = (record_key("tried", "u"), seen_key("tried", "u"))
            assert [client.pexpiretime(key) for key in keys] == [expire_at_ms] * 2


def test_what_expires_is_gone_and_may_be_written_again(store):
    store.replace([replacement(expire_at_ms=int(time.time() * 1000) + 100)])
    assert store.read(["u"])[0].record is not None
    time.sleep(0.2)
    assert store.read(["u"]) == [Stored(None, None)]
    assert done(store, [replacement(expected=1)]) == [False]
    assert done(store, [replacement()]) == [True]


@pytest.mark.parametrize("user", USERS)
def test_a_users_keys_share_a_slot_and_are_nobody_elses(cluster, user):
    keys = record_key("tried", user), seen_key("tried", user)
    with cluster.client() as client:
        assert len({client.execute_command("CLUSTER KEYSLOT", key) for key in keys}) == 1
    others = [other for other in USERS if other != user]
    assert not set(keys) & {key("tried", other) for other in others for key in (record_key, seen_key)}


def test_any_user_id_is_a_key(store):
    assert done(store, [replacement(user, new=n) for n, user in enumerate(USERS)]) == [True] * len(USERS)
    assert [stored.record for stored in store.read(USERS)] == [record(n) for n in range(len(USERS))]


def test_two_specs_in_one_server_do_not_meet(store, valkey):
    store.replace([replacement()])
    with closing(RedisStateStore(valkey.url, "other")) as other:
        assert other.read(["u"]) == [Stored(None, None)]


def test_a_read_and_a_replacement_of_many_users_are_one_pipeline_each(store, valkey):
    with valkey.client() as client:
        client.config_resetstat()  # it was claimed
        store.replace([replacement(f"u{n}") for n in range(50)])
        called = commands(valkey)
        assert (called["evalsha"], called["script|load"]) == (2, 2)  # all users, and the beat of the batch
        client.config_resetstat()
        store.read([f"u{n}" for n in range(70)])
        called = commands(valkey)
        assert (called["mget"], called["exists"], "get" in called) == (2, 2, False)


def test_where_one_key_is_of_another_type_those_of_its_command_are_read_singly(store, valkey):
    users = [f"u{n}" for n in range(70)]
    with valkey.client() as client:
        store.replace([replacement(user) for user in users])
        client.set(seen_key("tried", "u3"), "x")
        client.delete(record_key("tried", "u66"))
        client.lpush(record_key("tried", "u66"), "x")
        client.config_resetstat()
        found = store.read(users)
        assert commands(valkey)["get"] == 12 + 2  # and two that find out that it is nobody else's fault
    assert [user for user, one in zip(users, found, strict=True) if one.refused is not None] == ["u3", "u66"]
    assert "WRONGTYPE" in found[66].refused
    assert {one.record for one in (*found[:66], *found[67:])} == {record(1)}


def test_a_server_that_forgot_the_script_is_given_it_again(store, valkey):
    store.replace([replacement()])
    with valkey.client() as client:
        client.script_flush()
    assert done(store, [replacement(expected=1, new=2), replacement("v"), replacement("v")]) == [True, True, False]
    assert [stored.record for stored in store.read(["u", "v"])] == [record(2), record(1)]


def test_a_server_restarted_with_nothing_is_used_as_it_is(own_valkey):
    with claimed(own_valkey.url) as store:
        store.replace([replacement()])
        own_valkey.kill_9()
        with pytest.raises(StoreUnavailable):
            store.read(["u"])
        own_valkey.restart()
        assert store.read(["u"]) == [Stored(None, None)]
        assert done(store, [replacement()]) == [True]


def test_layouts_are_kept_for_ever_and_returned_by_fingerprint(valkey):
    store = RedisStateStore(valkey.url, "tried")
    layout = plan_of().layout
    assert store.layout(layout.fingerprint) is None
    store.claim(WRITER)
    store.claim(WRITER)
    assert store.layout(layout.fingerprint) == layout
    with valkey.client() as client:
        assert client.ttl(registry_key("tried")) == -1


@pytest.mark.parametrize("text", [b"", b"[", b"\xff", b"[" * 100_000, b"[1,2,3,4]"])
def test_a_damaged_layout_is_a_codec_error(store, valkey, text):
    with valkey.client() as client:
        client.hset(registry_key("tried"), f"layout:{bytes(8).hex()}", text)
    with pytest.raises(CodecError):
        store.layout(bytes(8))


# Durability


def test_fsync_is_waited_for_in_the_same_round_trip(tmp_path):
    with (
        running_valkey(tmp_path / "aof", appendonly=True) as server,
        claimed(server.url, durability="fsync", timeout_s=10) as store,
    ):
        store.check()
        assert done(store, [replacement(), replacement("v")]) == [True, True]
        assert commands(server)["waitaof"] == 2  # one of them by check
        store.replace([])
        server.kill_9()
        server.restart()
        assert [stored.record for stored in store.read(["u", "v"])] == [record(1)] * 2


def test_fsync_survives_a_forgotten_script(tmp_path):
    with (
        running_valkey(tmp_path / "aof", appendonly=True) as server,
        claimed(server.url, durability="fsync", timeout_s=10) as store,
    ):
        store.replace([replacement()])
        with server.client() as client:
            client.script_flush()
        assert done(store, [replacement(expected=1, new=2)]) == [True]


def test_fsync_needs_an_append_only_file(valkey):
    with claimed(valkey.url, durability="fsync") as store:
        with pytest.raises(StoreError, match="appendonly yes") as raised:
            store.check()
        assert not isinstance(raised.value, StoreUnavailable)
        with pytest.raises(StoreError):
            store.replace([replacement()])


def test_a_replica_that_is_not_there_is_not_waited_for_for_ever(valkey, monkeypatch):
    monkeypatch.setattr(redis_store, "CONFIRM_MS", 100)
    with claimed(valkey.url, durability="replica") as store:
        with pytest.raises(StoreUnavailable, match="no connected replica"):
            store.check()
        for act in (lambda: store.replace([replacement()]), lambda: store.replace([])):
            with pytest.raises(StoreUnavailable, match="did not confirm replica within 100 ms"):
                act()


def test_a_replica_confirms_and_is_itself_not_written_to(own_valkey, tmp_path):
    with running_valkey(tmp_path / "replica") as replica:
        with replica.client() as client:
            client.replicaof("127.0.0.1", own_valkey.port)
            deadline = time.monotonic() + 20
            while client.info("replication")["master_link_status"] != "up" and time.monotonic() < deadline:
                time.sleep(0.05)
        with claimed(own_valkey.url, durability="replica", timeout_s=10) as store:
            store.check()
            assert done(store, [replacement()]) == [True]
            store.replace([])
            with closing(RedisStateStore(replica.url, "tried")) as at_replica:
                assert at_replica.read(["u"]) == [Stored(record(1), IDS)]
                with pytest.raises(StoreUnavailable):
                    at_replica.claim(WRITER)
            with replica.client() as promoted, own_valkey.client() as demoted:
                promoted.replicaof("NO", "ONE")
                demoted.replicaof("127.0.0.1", replica.port)
            with pytest.raises(StoreUnavailable, match="not available"):
                store.replace([replacement(expected=1, new=2)])


def test_without_durability_nothing_is_waited_for(store, valkey):
    store.check()
    store.replace([replacement()])
    store.replace([])
    assert not {"wait", "waitaof"} & commands(valkey).keys()
    assert commands(valkey)["evalsha"] > 0


# Eviction


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"])
@pytest.mark.parametrize("kind", ["own_valkey", "cluster"])
def test_a_server_that_may_drop_records_is_refused_unless_it_may(request, kind, policy):
    """Records expire, so that a policy of volatile keys drops them too."""
    server = request.getfixturevalue(kind)
    with closing(RedisStateStore(server.url, "tried", timeout_s=5)) as store, server.client() as client:
        store.check()
        client.config_set("maxmemory-policy", policy)
        try:
            with pytest.raises(StoreError, match=f"noeviction.*, got {policy}, .*--allow_eviction") as raised:
                store.check()
            assert not isinstance(raised.value, StoreUnavailable)
            store.check(may_evict=True)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
        store.check()


# Refusals


@pytest.mark.parametrize("credentials", ["", ":wrong-pass@", "nobody:wrong-pass@"])
def test_a_refused_password_is_denied_and_never_shown(tmp_path, credentials):
    with running_valkey(tmp_path / "locked", password="right-pass") as server:
        with closing(RedisStateStore(f"redis://{credentials}127.0.0.1:{server.port}", "tried")) as store:
            for act in (store.check, lambda: store.read(["u"]), lambda: store.claim(WRITER)):
                with pytest.raises(StoreDenied, match="refused us") as raised:
                    act()
                assert "wrong-pass" not in str(raised.value) + repr(store)
                assert f"127.0.0.1:{server.port}" in str(raised.value)
        with claimed(server.url) as store:
            store.check()
            assert done(store, [replacement()]) == [True]
            assert "right-pass" not in repr(store)


def test_a_user_without_the_right_to_run_scripts_is_denied(own_valkey):
    with own_valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">pass", "~*", "+get", "+ping", "+info")
    with closing(RedisStateStore(f"redis://reader:pass@127.0.0.1:{own_valkey.port}", "tried")) as store:
        assert store.read(["u"]) == [Stored(None, None)]
        with pytest.raises(StoreDenied, match="ACL"):
            store.claim(WRITER)


def test_a_right_that_is_taken_away_is_no_users_fault(own_valkey):
    with own_valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pass", "~*", "+@all")
        with claimed(f"redis://app:pass@127.0.0.1:{own_valkey.port}") as store:
            assert done(store, [replacement()]) == [True]
            for right, act in (
                ("-evalsha", lambda: store.replace([replacement("v"), replacement("w")])),
                ("-mget -get", lambda: store.read(["u", "v"])),
            ):
                client.execute_command("ACL", "SETUSER", "app", *right.split())
                with pytest.raises(StoreDenied, match="refused us"):
                    act()


@pytest.mark.parametrize("make", ["lpush", "sadd", "xadd", "hset"])
@pytest.mark.parametrize("key", [record_key, seen_key])
@pytest.mark.parametrize("kind", ["valkey", "cluster"])
def test_a_key_of_another_type_is_refused_to_that_user_alone(request, kind, key, make):
    server = request.getfixturevalue(kind)
    with server.client() as client, claimed(server.url) as store:
        arguments = {"hset": ("x", "y"), "xadd": ({"x": "y"},)}.get(make, ("x",))
        getattr(client, make)(key("tried", "u"), *arguments)
        stored, other = store.read(["u", "v"])
        assert stored.refused is not None
        assert "WRONGTYPE" in stored.refused
        assert other == Stored(None, None)
        refused, written = store.replace([replacement(), replacement("v")]).answers
        assert isinstance(refused, Refused)
        assert "WRONGTYPE" in refused.reason
        assert written == Answer.DONE
        assert client.type(key("tried", "u")) != b"string"
        assert store.read(["v"]) == [Stored(record(1), IDS)]


def test_a_server_that_is_full_is_unavailable_until_it_is_not(own_valkey):
    with claimed(own_valkey.url) as store, own_valkey.client() as client:
        store.replace([replacement()])
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable, match="not available"):
            store.replace([replacement(expected=1, new=2)])
        with pytest.raises(StoreUnavailable):
            store.claim(WRITER)
        assert store.read(["u"]) == [Stored(record(1), IDS)]
        client.config_set("maxmemory", 0)
        assert done(store, [replacement(expected=1, new=2)]) == [True]


def test_a_server_that_is_not_there_is_unavailable():
    with (
        closing(RedisStateStore(f"redis://:secret@127.0.0.1:{free_port()}", "tried", timeout_s=1)) as store,
        pytest.raises(StoreUnavailable) as raised,
    ):
        store.check()
    assert "secret" not in str(raised.value)


def test_a_server_that_accepts_and_never_answers_is_unavailable_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        with closing(RedisStateStore(url, "tried", timeout_s=0.2)) as store:
            for act in (lambda: store.read(["u"]), lambda: store.claim(WRITER), store.check):
                with pytest.raises(StoreUnavailable):
                    act()


@pytest.mark.parametrize("url", ["localhost:6379", "http://x", "redis://host:port", "", "redis-cluster"])
def test_what_is_no_url_of_redis_is_an_input_error(url):
    with pytest.raises(InputError, match="expected a Redis URL"):
        RedisStateStore(url, "tried")


# A cluster


def test_a_cluster_is_read_and_replaced_like_one_server(cluster):
    with claimed(cluster.url) as store:
        store.check()
        assert done(store, [replacement(user, new=n) for n, user in enumerate(USERS)]) == [True] * len(USERS)
        assert [stored.record for stored in store.read(USERS)] == [record(n) for n in range(len(USERS))]
        batch = [replacement(USERS[2], expected=1), replacement(USERS[2], expected=2, new=9)]
        assert done(store, batch) == [False, True]
        with cluster.client() as client:
            client.script_flush()
        assert done(store, [replacement("after")]) == [True]
        assert store.layout(WRITER.layout.fingerprint) == WRITER.layout


@pytest.mark.parametrize("durability", ["fsync", "replica"])
def test_a_cluster_cannot_be_waited_for_and_says_so_before_anything_is_written(cluster, durability):
    with closing(RedisStateStore(cluster.url, "tried", durability=durability)) as store:
        with pytest.raises(StoreError, match="is a cluster") as raised:
            store.check()
        assert not isinstance(raised.value, StoreUnavailable)


def test_a_cluster_that_lost_its_slots_is_unavailable(cluster):
    with claimed(cluster.url, timeout_s=2) as store, cluster.client() as client:
        client.flushall()
        client.execute_command("CLUSTER", "FLUSHSLOTS")
        try:
            with pytest.raises(StoreUnavailable):
                store.replace([replacement()])
        finally:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)


def test_a_cluster_that_is_not_there_is_unavailable_at_once():
    with pytest.raises(StoreUnavailable):
        RedisStateStore(f"redis-cluster://127.0.0.1:{free_port()}", "tried", timeout_s=1)


def test_a_clusters_refused_password_is_denied_and_never_shown(tmp_path):
    with (
        running_valkey(tmp_path / "locked", cluster=True, password="right-pass") as server,
        pytest.raises(StoreDenied) as raised,
    ):
        RedisStateStore(server.url.replace("right-pass", "wrong-pass"), "tried", timeout_s=2)
    assert "wrong-pass" not in str(raised.value)
