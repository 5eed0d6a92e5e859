"""What `check` says a user costs is what Redis says it costs."""

from pathlib import Path

import pytest

from tests.trying import spec_of
from user_state.costs import ACTIVITIES, Activity, added_bytes, cost, made_up, rows
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.store.keys import record_key, seen_key
from user_state.store.redis_store import RedisStateStore

FEED = load_spec(Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml")
USERS = 5
FEW = Activity("few", 2, 3, 2)


@pytest.mark.parametrize("activity", ACTIVITIES, ids=lambda activity: activity.label)
def test_expected_bytes_are_what_the_server_uses_to_within_fifteen_percent(valkey, activity):
    plan = compile_plan(FEED)
    folder = Folder(plan, RedisStateStore(valkey.url, FEED.spec.name))
    folder.start()
    used = {record_key: 0, seen_key: 0}
    with valkey.client() as client:
        for seed in range(USERS):
            user = f"user_{seed}"
            # In order, as a pipeline would meet them.
            made = sorted(rows(plan, made_up(plan, activity, seed), user), key=lambda row: row[2])
            for begin in range(0, len(made), 500):
                assert (folder.fold(made[begin : begin + 500]).outcome == 0).all()
            for key in used:
                used[key] += client.memory_usage(key("feed", user))
    expected = [cost(FEED, activity, seed) for seed in range(USERS)]
    assert sum(c.record_in_redis for c in expected) == pytest.approx(used[record_key], rel=0.15)
    assert sum(c.seen_in_redis for c in expected) == pytest.approx(used[seen_key], rel=0.15)


def test_a_feature_adds_the_bytes_that_its_record_loses_without_it():
    counted = {"aggregate": "count", "windows": ["7d"]}
    both = spec_of(features={"views": counted, "summed": {"aggregate": "sum", "of": "value", "windows": ["7d"]}})
    added = added_bytes(both, FEW)
    alone = spec_of(features={"summed": both.spec.model_dump(exclude_defaults=True)["features"]["summed"]})
    assert added["views"] == cost(both, FEW).record - cost(alone, FEW).record > 0
    assert added["summed"] > added["views"]


def test_what_two_features_share_is_counted_for_neither():
    counted = {"aggregate": "count", "windows": ["1h"]}
    assert added_bytes(spec_of(features={"a": counted, "b": counted}), FEW) == {"a": 0, "b": 0}


def test_a_user_who_does_more_costs_more():
    light, typical, heavy = (cost(FEED, activity) for activity in ACTIVITIES)
    assert light.record < typical.record < heavy.record
    assert light.seen < heavy.seen


@pytest.mark.parametrize(
    "where", [{"value": 7}, {"value": {"<": 7}}, {"amount": 1e3}, {"amount": {">": 2.5}}, {"value": [0.5, 2]}]
)
def test_a_filter_may_write_a_number_otherwise_than_its_field_has_it(where):
    loaded = spec_of(features={"views": {"aggregate": "count", "windows": ["7d"], "where": where}})
    assert cost(loaded, FEW).record > 0
