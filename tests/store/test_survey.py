"""Looking at all that a Redis holds of a spec: its users, whatever they are called, and the layouts of its records."""

import time
from contextlib import closing

import pytest

from tests.trying import event, plan_of, spec_of
from user_state.errors import CodecError, StoreError, StoreUnavailable
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.plan import Plan
from user_state.store import survey
from user_state.store.keys import record_key, registry_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.survey import check_readable, stored_layouts, stored_users

USERS = ["u", "a{b}", "100%", "%7B", "漢 é", "x}:state"]
COUNTS = {"aggregate": "count", "windows": ["1h"]}
OLD, NEW = (
    plan_of(features={"a": COUNTS}),
    plan_of(features={"a": COUNTS, "s": {**COUNTS, "where": {"action": "like"}}}),
)


def fill(url: str, plan: Plan, users: list[str]) -> None:
    decoder = EventDecoder(plan, spec_of().schema)
    with closing(RedisStateStore(url, plan.name, timeout_s=5)) as store:
        folder = Folder(plan, store)
        folder.start()
        folder.fold([decoder.row(event(time.time_ns() // 1000, user), None) for user in users])


def test_users_of_any_name_and_records_of_several_layouts_are_found(valkey):
    assert list(stored_users(valkey.url, "tried")) == []
    nothing = stored_layouts(valkey.url, "tried")
    assert (nothing.registered, nothing.held, nothing.whole) == ({}, {}, True)

    fill(valkey.url, OLD, USERS)
    fill(valkey.url, NEW, ["u", "new"])
    with valkey.client() as client:
        client.set("other:{u}:state", b"not ours")
    assert set(stored_users(valkey.url, "tried")) == {*USERS, "new"}
    found = stored_layouts(valkey.url, "tried")
    assert found.held == {OLD.layout.fingerprint: len(USERS) - 1, NEW.layout.fingerprint: 2}
    assert found.registered == {plan.layout.fingerprint: plan.layout for plan in (OLD, NEW)}
    assert found.whole


def test_of_many_records_some_are_looked_at(valkey, monkeypatch):
    fill(valkey.url, OLD, [f"u{n}" for n in range(30)])
    monkeypatch.setattr(survey, "RECORDS", 10)
    found = stored_layouts(valkey.url, "tried")
    assert (found.held.total(), found.whole) == (10, False)
    assert len(set(stored_users(valkey.url, "tried"))) == 30


def test_a_cluster_is_looked_at_as_one_server_is(cluster):
    fill(cluster.url, OLD, USERS)
    assert set(stored_users(cluster.url, "tried")) == set(USERS)
    assert stored_layouts(cluster.url, "tried").held == {OLD.layout.fingerprint: len(USERS)}


def test_a_layout_that_is_not_the_one_its_name_says_is_named(valkey):
    fill(valkey.url, OLD, ["u"])
    with valkey.client() as client:
        client.hset(registry_key("tried"), f"layout:{OLD.layout.fingerprint.hex()}", NEW.layout.to_json())
    with pytest.raises(CodecError, match=f"expected layout {OLD.layout.fingerprint.hex()} under its name"):
        stored_layouts(valkey.url, "tried")


def test_records_of_a_layout_that_is_registered_nowhere_are_refused_and_the_way_out_is_said(valkey):
    fill(valkey.url, OLD, USERS)
    with valkey.client() as client:
        client.delete(registry_key("tried"))
    with pytest.raises(
        StoreError, match=f"6 of 6 records of tried .*{OLD.layout.fingerprint.hex()}.*Register the spec that wrote them"
    ):
        check_readable(valkey.url, "tried", NEW.layout.fingerprint)
    assert check_readable(valkey.url, "tried", OLD.layout.fingerprint).whole  # the spec that wrote them
    fill(valkey.url, OLD, ["once more"])
    assert check_readable(valkey.url, "tried", NEW.layout.fingerprint).held.total() == 7


def test_damaged_or_foreign_values_under_a_few_users_keys_keep_no_run_from_starting(valkey):
    fill(valkey.url, OLD, [f"u{n}" for n in range(150)])
    with valkey.client() as client:
        record = client.get(record_key("tried", "u0"))
        client.set(record_key("tried", "u1"), b"not ours")
        client.delete(record_key("tried", "u2"))
        client.hset(record_key("tried", "u2"), "a", "hash")
        client.set(record_key("tried", "u3"), record[:18] + b"lost one" + record[26:])
    held = check_readable(valkey.url, "tried", OLD.layout.fingerprint).held
    assert held == {OLD.layout.fingerprint: 147, b"lost one": 1}
    with valkey.client() as client:
        client.set(record_key("tried", "u4"), record[:18] + b"lost one" + record[26:])
    with pytest.raises(StoreError, match="2 of 148 records"):
        check_readable(valkey.url, "tried", OLD.layout.fingerprint)


def test_a_start_looks_at_no_more_keys_of_others_than_is_said(valkey, monkeypatch):
    with valkey.client() as client:
        client.mset({f"other:{n}": "x" for n in range(3_000)})
    fill(valkey.url, OLD, ["u"])
    monkeypatch.setattr(survey, "KEYS_AT_A_START", 10)
    assert not check_readable(valkey.url, "tried", OLD.layout.fingerprint).held
    assert stored_layouts(valkey.url, "tried").held.total() == 1


def test_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(StoreUnavailable):
        stored_layouts("redis://127.0.0.1:1", "tried")
    with pytest.raises(StoreUnavailable):
        list(stored_users("redis://127.0.0.1:1", "tried"))
