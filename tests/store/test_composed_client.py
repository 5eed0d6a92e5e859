"""The client with tables of item vectors in a real Valkey: composed, scored, searched, swapped mid-stream."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest
import xxhash

from tests.trying import H, event, row, spec_of
from user_state import oracle
from user_state.client import UserStateClient
from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.embeddings.table import ItemTable, checked_table
from user_state.errors import InputError, StoreError
from user_state.fold import Folder
from user_state.oracle import AppliedEvent
from user_state.plan.compile import compile_plan
from user_state.store.item_tables import ItemTableStore
from user_state.store.redis_store import RedisStateStore
from user_state.verify import verify

DIMENSIONS = 4
OVER = {"of": "item_id", "vectors": "shelf", "half_life": "1h", "last": 20}
SPEC = spec_of(
    embeddings={
        "mean": {"kind": "decayed_mean", **OVER, "weights": {"view": 1.0, "like": 3.0, "skip": -1.0}},
        "fold": {"kind": "fold_in", **OVER},
        "find": {"kind": "interests", **OVER, "most": 2},
        "hash": {"kind": "decayed_mean", "of": "item_id", "dimensions": 64, "half_life": "1h"},
    },
    items={"shelf": {"dimensions": DIMENSIONS}},
)
PLAN = compile_plan(SPEC)
NOW = time.time_ns() // 1000
USERS = [f"u{n}" for n in range(6)]


def table(seed: int, items: int = 40) -> ItemTable:
    vectors = np.random.default_rng(seed).normal(size=(items, DIMENSIONS)).astype(np.float32)
    return checked_table([f"i{n}" for n in range(items)], vectors, "here")


def events_of(user: str, count: int = 30) -> list[dict[str, object]]:
    rng = random.Random(user)
    return [
        event(
            NOW - H - rng.randrange(H),
            user,
            f"{user}-{n}",
            item_id=f"i{rng.randrange(45)}",
            action=rng.choice(["view", "like", "skip", "share"]),
        )
        for n in range(count)
    ]


def fill(url: str) -> dict[str, list[AppliedEvent]]:
    applied = {}
    store = RedisStateStore(url, PLAN.name)
    folder = Folder(PLAN, store, cache_bytes=0)
    folder.start()
    for user in USERS:
        events = events_of(user)
        folder.fold([row(PLAN, made) for made in events])
        applied[user] = [
            AppliedEvent(e["event_time"], xxhash.xxh64_intdigest(e["event_id"].encode()), e["event_time"], e)
            for e in events
        ]
    store.close()
    return applied


def load(url: str, vectors: ItemTable) -> None:
    with ItemTableStore(url, PLAN.name) as store:
        store.load("shelf", vectors, at_us=0, grace_s=30)


def expected(applied: list[AppliedEvent], vectors: ItemTable) -> dict[str, np.ndarray]:
    known = dict(zip(vectors.ids, vectors.vectors, strict=True))
    gram = sum(np.outer(v, v) for v in vectors.vectors.astype(np.float64))
    return oracle.features(SPEC.spec, applied, NOW, {"shelf": oracle.ItemTable(known, gram)}).embeddings


@pytest.mark.parametrize("memory_mb", [64, 0.001])
def test_what_is_served_equals_brute_force_with_the_table_whole_or_cached(valkey, memory_mb):
    applied = fill(valkey.url)
    load(valkey.url, table(1))
    with UserStateClient.from_url(valkey.url, SPEC, items_memory_mb=memory_mb) as client:
        verified = verify(client, SPEC, applied, NOW)
        assert (verified.users, [str(d) for d in verified.differences]) == (len(USERS), [])
        assert verified.values >= 5 * len(USERS)
        batch = client.get_many(USERS, NOW)
        assert batch.item_versions == {"shelf": table(1).version}
        beyond = [
            [int(e.event["item_id"][1:]) >= 40 for e in sorted(applied[u], key=lambda e: e.time_us)] for u in USERS
        ]
        assert batch.missing_items["fold_1h"].tolist() == [sum(flags[-20:]) for flags in beyond]
        assert client.item_tables()["shelf"].whole is (memory_mb == 64)


def test_verify_finds_a_vector_that_is_wrong(valkey):
    applied = fill(valkey.url)
    load(valkey.url, table(1))
    applied["u0"] = applied["u0"][:-3]
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        assert {d.user for d in verify(client, SPEC, applied, NOW).differences} == {"u0"}


def test_one_round_trip_a_call_and_the_pointer_in_it(valkey):
    fill(valkey.url)
    load(valkey.url, table(1))
    with UserStateClient.from_url(valkey.url, SPEC, items_refresh_s=0) as client, valkey.client() as raw:
        client.get_many(USERS, NOW)
        before = raw.info("commandstats")["cmdstat_mget"]["calls"], raw.info("stats")["total_commands_processed"]
        client.get_many(USERS, NOW)
        after = raw.info("commandstats")["cmdstat_mget"]["calls"], raw.info("stats")["total_commands_processed"]
    assert after[0] - before[0] == 1
    assert after[1] - before[1] == 1 + 2, "the MGET, and our own two"


def test_without_a_table_every_item_is_missing_and_scores_and_searches_say_so(valkey):
    fill(valkey.url)
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        state = client.get("u0", NOW)
        assert state.item_versions == {"shelf": ""}
        assert state.missing_items["mean_1h"] > 0
        assert not state.embeddings["mean_1h"].any()
        assert not client.score(["u0"], ["i1"], embedding="mean_1h", at=NOW).known.any()
        with pytest.raises(InputError, match=r"table shelf whole .* got none in Redis: user-state items load"):
            client.nearest_items("u0", 3, embedding="mean_1h", at=NOW)


def test_scores_are_inner_products_with_what_is_served(valkey):
    fill(valkey.url)
    load(valkey.url, table(1))
    items = ["i3", "nothing", "i39"]
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        vectors = client.get_many(USERS, NOW).embeddings
        scores = client.score(USERS, items, embedding="mean_1h", at=NOW)
        np.testing.assert_allclose(scores.values, vectors["mean_1h"] @ table(1).lookup(items)[0].T, rtol=1e-6)
        assert (scores.known.tolist(), scores.version) == ([True, False, True], table(1).version)
        hashed = client.score(USERS, items, embedding="hash_1h", at=NOW)
        np.testing.assert_allclose(hashed.values, vectors["hash_1h"] @ hashed_vectors(items, 64).T, atol=1e-6)
        assert hashed.known.all()
        interests = client.score(USERS, ["i3"], embedding="find_1h", at=NOW).values
        np.testing.assert_allclose(interests[:, 0], (vectors["find_1h"] @ table(1).vectors[3]).max(axis=1), rtol=1e-5)


def test_the_nearest_items_are_those_of_a_loop_with_the_seen_ones_left_out(valkey):
    applied = fill(valkey.url)
    load(valkey.url, table(1))
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        vector = client.get("u1", NOW).embeddings["fold_1h"]
        order = [f"i{n}" for n in np.argsort(-(table(1).vectors @ vector), kind="stable")]
        assert list(client.nearest_items("u1", 5, embedding="fold_1h", at=NOW).items) == order[:5]
        last = sorted(applied["u1"], key=lambda e: (e.time_us, e.id_hash))[-20:]
        seen = {e.event["item_id"] for e in last}
        unseen = [item for item in order if item not in seen]
        found = client.nearest_items("u1", 5, embedding="fold_1h", exclude_seen=True, exclude=[unseen[0]], at=NOW)
        assert list(found.items) == unseen[1:6]
        assert client.nearest_items("nobody", 5, embedding="fold_1h", at=NOW).items == ()
        found = client.nearest_items("u1", 5, embedding="find_1h", at=NOW)
        best = (client.get("u1", NOW).embeddings["find_1h"] @ table(1).vectors.T).max(axis=0)
        assert list(found.items) == [f"i{n}" for n in np.argsort(-best, kind="stable")[:5]]
        nearest = client.nearest_users("u1", 3, [*USERS, "nobody"], embedding="mean_1h", at=NOW)
        means = client.get_many(USERS, NOW).embeddings["mean_1h"]
        unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        ranked = [USERS[n] for n in np.argsort(-(unit @ unit[1])) if n != 1]
        assert [user for user, _ in nearest] == ranked[:3]


def test_what_cannot_be_answered_is_refused_by_name(valkey):
    fill(valkey.url)
    load(valkey.url, table(1))
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        with pytest.raises(InputError, match=r"an embedding of the spec \(mean_1h, .*\), got 'mean'"):
            client.score(USERS, ["i1"], embedding="mean")
        with pytest.raises(InputError, match=r"over a table of items .* got hash_1h"):
            client.nearest_items("u1", 3, embedding="hash_1h")
        with pytest.raises(InputError, match="1 item at least, got 0"):
            client.nearest_items("u1", 0, embedding="mean_1h")
        with pytest.raises(InputError, match=r"a table that the spec's embeddings use \(shelf\), got 'shelv'"):
            client.item_vectors("shelv", [])
    with (
        UserStateClient.from_url(valkey.url, SPEC, items_memory_mb=0.001) as client,
        pytest.raises(InputError, match="got one of more than items_memory_mb"),
    ):
        client.nearest_items("u1", 3, embedding="mean_1h")
    with pytest.raises(InputError, match="expected version 'f00' of table shelf"):
        UserStateClient.from_url(valkey.url, SPEC, item_versions={"shelf": "f00"})
    with pytest.raises(InputError, match=r"loaded tables that the spec's embeddings use \(shelf\), got 'shelv'"):
        UserStateClient.from_url(valkey.url, SPEC, item_versions={"shelv": "f00"})


def test_a_version_can_be_asked_for_and_stays(valkey):
    fill(valkey.url)
    load(valkey.url, table(1))
    with UserStateClient.from_url(
        valkey.url, SPEC, items_refresh_s=0, item_versions={"shelf": table(1).version}
    ) as client:
        load(valkey.url, table(2))
        assert client.get("u1", NOW).item_versions == {"shelf": table(1).version}


def test_a_broken_table_is_an_error_at_the_start_and_keeps_the_old_one_later(valkey):
    fill(valkey.url)
    load(valkey.url, table(1))
    with UserStateClient.from_url(valkey.url, SPEC, items_refresh_s=0) as client:
        with valkey.client() as raw:
            load(valkey.url, table(2))
            raw.delete(f"{PLAN.name}:items:shelf:{table(2).version}:0")
        deadline = time.monotonic() + 10
        while client.item_tables()["shelf"].problem is None and time.monotonic() < deadline:
            # It may have been taken before its chunk was deleted only if nobody had asked; we are the first to ask.
            assert client.get("u1", NOW).item_versions == {"shelf": table(1).version}
        assert "expected chunk 0 of the 1" in (client.item_tables()["shelf"].problem or "")
    with pytest.raises(StoreError, match="expected chunk 0 of the 1 of version"):
        UserStateClient.from_url(valkey.url, SPEC)


@pytest.mark.parametrize("memory_mb", [64, 0.001])
def test_while_versions_are_swapped_every_answer_is_of_exactly_the_one_it_names(valkey, memory_mb):
    applied = fill(valkey.url)
    versions = [table(seed) for seed in range(3)]
    by_version = {v.version: {user: expected(applied[user], v) for user in USERS} for v in versions}
    load(valkey.url, versions[0])
    named: set[str] = set()
    wrong: list[str] = []
    answers = 0
    done = threading.Event()
    with UserStateClient.from_url(
        valkey.url, SPEC, items_refresh_s=0, items_memory_mb=memory_mb, timeout_s=10
    ) as client:

        def keep_reading() -> None:
            nonlocal answers
            while not done.is_set():
                try:
                    batch = client.get_many(USERS, NOW)
                except Exception as exc:
                    wrong.append(repr(exc))
                    return
                version = batch.item_versions["shelf"]
                named.add(version)
                answers += 1
                for index, user in enumerate(USERS):
                    for name in ("mean_1h", "fold_1h", "find_1h"):
                        right = by_version[version][user][name]
                        if not np.allclose(batch.embeddings[name][index], right, rtol=1e-4, atol=1e-5):
                            wrong.append(f"{user} {name} of {version}")

        threads = [threading.Thread(target=keep_reading) for _ in range(3)]
        for thread in threads:
            thread.start()
        for vectors in [*versions[1:], *versions, *versions]:
            load(valkey.url, vectors)
            time.sleep(0.15)
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert named == set(by_version)
    assert answers > 20
