"""Vectors that the pipeline learns, read back by a client from a real Valkey and composed into users' embeddings."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.learned_pairs import Act, item_sums, pairs_of
from user_state.client import UserStateClient
from user_state.core.compile import compile_plan
from user_state.errors import InputError
from user_state.fold import Folder
from user_state.learning import ItemStage
from user_state.spec import parse_spec
from user_state.store.redis_store import RedisStateStore

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
