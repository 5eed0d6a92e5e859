"""Vectors that the pipeline learns, read back by a client from a real Valkey and composed into users' embeddings."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.learned_pairs import Act, item_sums, pairs_of
from user_state.client import UserStateClient
from user_state.embeddings.spread import item_of_part
from user_state.errors import InputError
from user_state.fold import Folder
from user_state.item_stage import ItemStage
from user_state.plan.compile import compile_plan
from user_state.plan.compile.learned import item_plan
from user_state.spec import parse_spec
from user_state.store.keys import record_key
from user_state.store.learned_table import LearnedTable
from user_state.store.redis_store import RedisStateStore
from user_state.store.survey import stored_users

SPEC = parse_spec(
    """
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1h
max_clock_skew: 5m
retention: 400d
embeddings:
  taste: {kind: decayed_mean, of: item_id, vectors: together, half_life: 1h, last: 5}
items:
  together: {dimensions: 32, learned: {of: item_id, reach: 30, half_life: 1m}}
""",
    beside=Path(),
)
PLAN = compile_plan(SPEC)
NOW = time.time_ns() // 1000


def test_a_user_is_composed_of_what_was_learned_of_the_items(valkey):
    acts = [
        Act(f"e{n}", f"u{n % 3}", item, NOW - 600_000_000 + 7_000_000 * n)
        for n, item in enumerate(["tea", "jam", "rye", "jam", "tea", "tea", "oat", "jam", "jam", "rye", "oat", "rye"])
    ]
    acts.append(Act("alone", "lonely", "never near another", NOW - 1))
    users = RedisStateStore(valkey.url, PLAN.name)
    stage = ItemStage(PLAN, lambda name: RedisStateStore(valkey.url, name))
    stage.start()
    folder = Folder(PLAN, users, before_write=stage.learn)
    folder.start()
    folder.fold([act.row() for act in acts])
    sums = item_sums(pairs_of(acts, 60_000_000), 32)
    vectors = {item: total / np.linalg.norm(total) for item, total in sums.items()}
    with UserStateClient.from_url(valkey.url, SPEC, items_refresh_s=60) as client, valkey.client() as raw:
        batch = client.get_many(["u0", "u1", "u2", "lonely", "nobody"], NOW)
        for index, user in enumerate(("u0", "u1", "u2")):
            mine = [act for act in acts if act.user == user]
            shares = np.array([0.5 ** ((NOW - act.time_us) / 3.6e9) for act in mine])
            expected = shares @ np.array([vectors[act.item] for act in mine]) / shares.sum()
            np.testing.assert_allclose(batch.embeddings["taste_1h"][index], expected, atol=1e-6)
        assert not batch.embeddings["taste_1h"][3:].any()
        assert batch.missing_items["taste_1h"].tolist() == [0, 0, 0, 1, 0]
        assert batch.item_versions == {"together": "learned"}
        before = raw.info("commandstats")["cmdstat_mget"]["calls"]
        client.get_many(["u0", "u1", "u2", "lonely"], NOW)
        assert raw.info("commandstats")["cmdstat_mget"]["calls"] - before == 1, "the items are held"
        scores = client.score(["u0"], ["tea", "nothing"], embedding="taste_1h", at=NOW)
        assert scores.values[0, 0] == pytest.approx(float(batch.embeddings["taste_1h"][0] @ vectors["tea"]), abs=1e-6)
        assert scores.known.tolist() == [True, False]
        with pytest.raises(InputError, match="got one that the pipeline learns"):
            client.nearest_items("u0", 3, embedding="taste_1h", at=NOW)
    users.close()
    stage.close()


NAMED_LIKE_PARTS = ["tea", "tea#1", "tea#0", "tea#0#1", "#0", "{tea}", "tea}#0", "%7Btea", "é#", "x" * 65_535]


def test_items_named_like_parts_of_others_are_told_apart(valkey):
    acts = [
        Act(f"{user}{n}", user, item, NOW - 600_000_000 + 5_000_000 * n)
        for user in ("u", "v", "w")
        for n, item in enumerate(NAMED_LIKE_PARTS)
    ]
    with closing(RedisStateStore(valkey.url, PLAN.name)) as users:
        stage = ItemStage(PLAN, lambda name: RedisStateStore(valkey.url, name))
        stage.start()
        Folder(PLAN, users, before_write=stage.learn).fold([act.row() for act in acts])
        stage.close()
    sums = item_sums(pairs_of(acts, 60_000_000), 32)
    expected = np.array([sums[item] / np.linalg.norm(sums[item]) for item in NAMED_LIKE_PARTS])
    table = LearnedTable(
        valkey.url, item_plan(PLAN, PLAN.learned[0]), PLAN.learned[0], memory_bytes=1 << 20, refresh_s=60, timeout_s=5
    )
    with closing(table), valkey.client() as raw:
        before = raw.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]  # folding reads with it too
        found, known = table.vectors(NAMED_LIKE_PARTS, []).lookup([*NAMED_LIKE_PARTS, "nothing"])
        assert known.tolist() == [True] * len(NAMED_LIKE_PARTS) + [False]
        np.testing.assert_allclose(found[:-1], expected, atol=1e-6)
        assert raw.info("commandstats")["cmdstat_mget"]["calls"] == before + 1, "all parts in one round trip"
        for part in range(8):
            raw.delete(record_key("feed.items.together.8", f"tea#{part}"))
    # Each item has records of its own, and the users' are not among them.
    assert set(stored_users(valkey.url, "feed")) == {"u", "v", "w"}
    left = {item_of_part(name) for name in stored_users(valkey.url, "feed.items.together.8")}
    assert left == set(NAMED_LIKE_PARTS) - {"tea"}


def test_what_is_learned_later_is_read_later(valkey):
    users = RedisStateStore(valkey.url, PLAN.name)
    stage = ItemStage(PLAN, lambda name: RedisStateStore(valkey.url, name))
    stage.start()
    folder = Folder(PLAN, users, before_write=stage.learn)
    folder.start()
    folder.fold([Act("a", "u", "tea", NOW - 9_000_000).row()])
    with UserStateClient.from_url(valkey.url, SPEC, items_refresh_s=0) as client:
        assert not client.get("u", NOW).embeddings["taste_1h"].any()
        folder.fold([Act("b", "u", "jam", NOW - 8_000_000).row()])
        assert client.get("u", NOW).embeddings["taste_1h"].any()
    users.close()
    stage.close()
