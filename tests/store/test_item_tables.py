"""Tables in a real Valkey: written beside one another, swapped by one key, never half, never mixed."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest
from redis.crc import key_slot

from tests.servers.redis import running_valkey
from user_state.embeddings.table import ItemTable, checked_table
from user_state.errors import InputError, StoreError
from user_state.store.item_tables import CHUNK_ITEMS, ItemTableStore
from user_state.store.keys import item_activations_key, item_pointer_key
from user_state.store.served_table import ServedTable

ITEMS = 1_300


def table(seed: int, items: int = ITEMS, dimensions: int = 3) -> ItemTable:
    vectors = np.random.default_rng(seed).normal(size=(items, dimensions)).astype(np.float32)
    return checked_table([f"i{n}é" for n in range(items)], vectors, "here")


@pytest.fixture
def store(valkey):
    with ItemTableStore(valkey.url, "feed") as made:
        yield made


def served(valkey, **settings):
    settings = {"memory_bytes": 10**9, "refresh_s": 0.0, **settings}
    return ServedTable(valkey.url, "feed", "catalogue", 3, **settings)


def values(valkey, reader: ServedTable) -> list[bytes | None]:
    with valkey.client() as client:
        return [client.get(key) for key in reader.keys(time.monotonic())]


def read(valkey, reader: ServedTable, ids: list[str]):
    return reader.vectors(ids, values(valkey, reader))


def await_version(valkey, reader: ServedTable, version: str) -> None:
    deadline = time.monotonic() + 10
    while reader.state.version != version:
        assert time.monotonic() < deadline, reader.state
        read(valkey, reader, ["i0é"])
        time.sleep(0.01)


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_loaded_is_read(valkey, store, whole):
    first = table(1)
    made, before = store.load("catalogue", first, at_us=7)
    assert (made.version, made.items, made.chunks, before) == (first.version, ITEMS, -(-ITEMS // CHUNK_ITEMS), None)
    reader = served(valkey, memory_bytes=10**9 if whole else 1_000)
    reader.start()
    assert reader.state.whole is whole
    assert reader.state.items == ITEMS
    for ids in (["i7é", "nothing", "i1299é", "i7é"], [], ["nothing"]):
        got, expected = read(valkey, reader, ids), first.lookup(ids)
        assert got.version == first.version
        for one, other in zip(got.lookup(ids), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(got.gram(), first.gram(), rtol=1e-12)
    reader.close()


def test_a_reader_without_a_table_finds_every_item_missing_until_there_is_one(valkey, store):
    reader = served(valkey)
    reader.start()
    vectors, found = read(valkey, reader, ["i0é"]).lookup(["i0é"])
    assert (reader.state.version, found.tolist(), vectors.tolist()) == ("", [False], [[0.0, 0.0, 0.0]])
    store.load("catalogue", table(1), at_us=0)
    await_version(valkey, reader, table(1).version)
    assert read(valkey, reader, ["i0é"]).lookup(["i0é"])[1].all()
    reader.close()


@pytest.mark.parametrize("whole", [True, False])
def test_a_new_version_is_taken_without_a_restart_and_the_old_one_expires(valkey, store, whole):
    first, second = table(1), table(2, 700)
    store.load("catalogue", first, at_us=0)
    reader = served(valkey, memory_bytes=10**9 if whole else 1_000)
    reader.start()
    store.load("catalogue", second, at_us=0, grace_s=100)
    await_version(valkey, reader, second.version)
    np.testing.assert_array_equal(read(valkey, reader, ["i5é"]).lookup(["i5é"])[0], second.vectors[[5]])
    with valkey.client() as client:
        ttl = {key.decode(): client.ttl(key) for key in client.keys("feed:items:catalogue*")}
    assert {0 < left <= 100 for key, left in ttl.items() if first.version in key} == {True}
    assert {left for key, left in ttl.items() if first.version not in key} == {-1}
    assert len(ttl) == (3 + 2) + (2 + 2) + 1
    reader.close()


def test_the_pointer_is_looked_at_no_more_often_than_asked(valkey, store):
    reader = served(valkey, refresh_s=5.0)
    assert reader.keys(100.0) == ["feed:items:catalogue"]
    assert reader.keys(104.9) == []
    assert reader.keys(105.0) == ["feed:items:catalogue"]
    reader.close()


def test_a_version_that_lacks_a_chunk_is_not_taken_and_the_old_one_stays(valkey, store):
    first, second = table(1), table(2)
    store.load("catalogue", first, at_us=0)
    reader = served(valkey)
    reader.start()
    made, _ = store.load("catalogue", second, at_us=0)
    with valkey.client() as client:
        client.delete(f"feed:items:catalogue:{second.version}:1")
    deadline = time.monotonic() + 10
    while reader.state.problem is None and time.monotonic() < deadline:
        assert read(valkey, reader, ["i5é"]).version == first.version
        time.sleep(0.01)
    assert "expected chunk 1 of the 3 of version" in (reader.state.problem or "")
    np.testing.assert_array_equal(read(valkey, reader, ["i5é"]).lookup(["i5é"])[0], first.vectors[[5]])
    assert store.missing_chunks("catalogue", made) == [1]
    fresh = served(valkey)
    with pytest.raises(StoreError, match="expected chunk 1 of the 3"):
        fresh.start()
    store.load("catalogue", second, at_us=0)  # mends it
    await_version(valkey, reader, second.version)
    assert reader.state.problem is None
    fresh.close()
    reader.close()


def test_a_cache_whose_chunk_is_gone_is_an_error_that_names_it(valkey, store):
    store.load("catalogue", table(1), at_us=0)
    reader = served(valkey, memory_bytes=1_000)
    reader.start()
    with valkey.client() as client:
        for chunk in range(3):
            client.delete(f"feed:items:catalogue:{table(1).version}:{chunk}")
    with pytest.raises(StoreError, match=r"expected chunk \d of the 3 of version .* load the table again"):
        read(valkey, reader, ["i0é"])
    reader.close()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c, key: c.hdel(key, c.hkeys(key)[1]), "whole, got .* items"),
        (lambda c, key: c.hset(key, c.hkeys(key)[1], b"short"), "a vector of another length"),
        (lambda c, key: c.hset(key, c.hkeys(key)[1], bytes(16)), "other content under its name"),
        (lambda c, key: c.hset(key, c.hkeys(key)[1], b"\xff" * 16), "rows beyond the table"),
    ],
)
def test_content_that_is_not_what_its_version_says_is_refused(valkey, store, damage, message):
    version = table(1).version
    store.load("catalogue", table(1), at_us=0)
    with valkey.client() as client:
        damage(client, f"feed:items:catalogue:{version}:2")
    reader = served(valkey)
    with pytest.raises(StoreError, match=message):
        reader.start()
    reader.close()


def test_a_table_of_another_dimension_than_the_spec_says_is_refused(valkey, store):
    store.load("catalogue", table(1, 10, 5), at_us=0)
    reader = served(valkey)
    with pytest.raises(StoreError, match=r"expected 3 dimensions, as the spec says, .* got 5"):
        reader.start()
    reader.close()


def test_an_unknown_version_is_refused_and_a_known_one_stays_whatever_is_loaded(valkey, store):
    first, second = table(1, 20), table(2, 20)
    store.load("catalogue", first, at_us=0)
    with pytest.raises(InputError, match=r"expected version 'f00' of table catalogue .* unknown, or has expired"):
        served(valkey, version="f00").start()
    pinned = served(valkey, version=first.version)
    pinned.start()
    store.load("catalogue", second, at_us=0)
    assert pinned.keys(1e9) == []
    assert pinned.vectors(["i0é"], []).version == first.version
    pinned.close()


def test_going_back_to_the_version_before(valkey, store):
    first, second = table(1, 20), table(2, 20)
    store.load("catalogue", first, at_us=1)
    store.load("catalogue", second, at_us=2)
    assert [(m.version, left is None) for m, left in store.versions("catalogue")] == [
        (second.version, True),
        (first.version, False),
    ]
    store.use("catalogue", first.version)
    assert [(m.version, left is None) for m, left in store.versions("catalogue")] == [
        (first.version, True),
        (second.version, False),
    ]
    with pytest.raises(InputError, match=f"got 'f00': {first.version} is in use; a replaced version expires"):
        store.use("catalogue", "f00")
    with valkey.client() as client:
        client.delete(f"feed:items:catalogue:{second.version}:0")
    with pytest.raises(InputError, match="got 0, chunk 0 missing"):
        store.use("catalogue", second.version)
    assert store.current("catalogue").version == first.version


def test_two_loads_of_a_table_exclude_each_other(valkey, store):
    def interrupted(chunks):
        with (
            ItemTableStore(valkey.url, "feed") as other,
            pytest.raises(InputError, match="is locked by another writer; if it crashed, try again in"),
        ):
            other.load("catalogue", table(2, 20), at_us=0)
        return chunks

    store.load("catalogue", table(1, 20), at_us=0, watch=interrupted)
    assert store.current("catalogue").version == table(1, 20).version
    store.load("catalogue", table(2, 20), at_us=0)
    assert store.current("catalogue").version == table(2, 20).version


def test_a_load_that_dies_leaves_the_version_in_use_and_what_it_wrote_expires(valkey, store):
    store.load("catalogue", table(1, 20), at_us=0)

    def dies(chunks):
        yield from itertools.islice(chunks, 9)
        raise KeyboardInterrupt

    half = table(2, 12 * CHUNK_ITEMS)
    with pytest.raises(KeyboardInterrupt):
        store.load("catalogue", half, at_us=0, watch=dies)
    assert store.current("catalogue").version == table(1, 20).version
    with valkey.client() as client:
        written = client.keys(f"*{half.version}*")
        assert written
        assert all(client.ttl(key) > 0 for key in written)
    store.load("catalogue", table(3, 20), at_us=0)


def test_readers_in_threads_see_one_version_or_the_other_and_never_a_mixture(valkey, store):
    versions = [table(seed, 600) for seed in range(4)]
    by_name = {one.version: one for one in versions}
    store.load("catalogue", versions[0], at_us=0)
    reader, cache = served(valkey), served(valkey, memory_bytes=5_000)
    reader.start()
    cache.start()
    ids = [f"i{n}é" for n in range(0, 600, 7)]
    seen: set[str] = set()
    wrong: list[str] = []
    done = threading.Event()

    def keep_reading(one: ServedTable) -> None:
        while not done.is_set():
            held = read(valkey, one, ids)
            seen.add(held.version)
            if not np.array_equal(held.lookup(ids)[0], by_name[held.version].lookup(ids)[0]):
                wrong.append(held.version)

    threads = [threading.Thread(target=keep_reading, args=(one,)) for one in (reader, reader, cache, cache)]
    for thread in threads:
        thread.start()
    for one in [*versions[1:], *versions]:
        store.load("catalogue", one, at_us=0, grace_s=5)
        time.sleep(0.1)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(seen) >= 3
    reader.close()
    cache.close()


def test_a_cluster_holds_tables_too(tmp_path):
    with running_valkey(tmp_path / "cluster", cluster=True) as cluster, ItemTableStore(cluster.url, "feed") as store:
        store.load("catalogue", table(1), at_us=0)
        store.load("catalogue", table(2), at_us=0)
        for memory_bytes in (10**9, 1_000):
            reader = served(cluster, memory_bytes=memory_bytes)
            reader.start()
            np.testing.assert_array_equal(reader.vectors(["i5é"], []).lookup(["i5é"])[0], table(2).vectors[[5]])
            reader.close()
        store.use("catalogue", table(1).version)
        assert store.current("catalogue").version == table(1).version


def test_since_when_which_version_was_in_use_is_kept(valkey, store):
    first, second = table(1, 10), table(2, 10)
    assert store.activations("catalogue") == []
    began_us = time.time_ns() // 1000
    for one in (first, first, second):  # the same again changes nothing
        store.load("catalogue", one, at_us=7)
    store.use("catalogue", first.version)
    store.use("catalogue", first.version)
    store.load("other", second, at_us=7)
    found = store.activations("catalogue")
    assert [one.version for one in found] == [first.version, second.version, first.version]
    times_us = [one.at_us for one in found]
    assert began_us - 1_000_000 < times_us[0] < times_us[1] < times_us[2] < time.time_ns() // 1000 + 1_000_000
    with valkey.client() as client:
        assert client.ttl(item_activations_key("feed", "catalogue")) == -1


def test_a_table_that_was_loaded_before_that_was_kept_is_in_use_since_it_is_loaded_again(valkey, store):
    one = table(1, 10)
    store.load("catalogue", one, at_us=7)
    with valkey.client() as client:
        client.delete(item_activations_key("feed", "catalogue"))
    assert store.activations("catalogue") == []
    store.load("catalogue", one, at_us=7)
    assert [each.version for each in store.activations("catalogue")] == [one.version]


def test_what_is_kept_and_what_is_in_use_are_never_two_things(valkey, store):
    store.load("catalogue", table(1, 10), at_us=7)
    with valkey.client() as client:
        client.set(item_pointer_key("feed", "catalogue"), "somebody's")
        with pytest.raises(StoreError, match=f"expected version {table(1, 10).version} of table catalogue in use"):
            store.activations("catalogue")
        client.hset(item_activations_key("feed", "catalogue"), "soon", "x")
        with pytest.raises(StoreError, match="expected times and versions"):
            store.activations("catalogue")


def test_the_pointer_and_what_is_kept_of_it_lie_in_one_slot_of_a_cluster():
    for name, of in (("feed", "catalogue"), ("a_b", "x")):
        assert key_slot(item_pointer_key(name, of).encode()) == key_slot(item_activations_key(name, of).encode())


def test_a_cluster_keeps_it_too(cluster):
    with ItemTableStore(cluster.url, "feed") as store:
        for one in (table(1, 10), table(2, 10)):
            store.load("catalogue", one, at_us=7)
        assert [one.version for one in store.activations("catalogue")] == [table(1, 10).version, table(2, 10).version]
