"""Folding into a real Valkey: conflicts, lost answers, corrupt records, stale caches; each event once."""

from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.store import folding
from tests.store.folding import APPLIED, BAD_RECORD, DUPLICATE, NOW, OVERSIZED, outcomes, views
from tests.trying import S, event, plan_of, spec_of
from user_state.errors import StoreError, StoreUnavailable
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.state.envelope import MARKER, version_of
from user_state.state.remembered_ids import HEAD_BYTES
from user_state.store.keys import record_key, registry_key, seen_key
from user_state.store.redis_store import RedisStateStore

SPEC = spec_of(
    features={
        "f": {"aggregate": "count", "windows": ["1h", "lifetime"]},
        "g": {"aggregate": "sum", "of": "value", "windows": ["1h", "lifetime"]},
    },
    sequences={"s": {"fields": ["item_id"], "last": 5}},
)
PLAN = compile_plan(SPEC)

rows = partial(folding.rows, plan=PLAN)
counted = partial(folding.counted, plan=PLAN)


def lose_the_answer():
    raise StoreUnavailable("the connection broke after the server had done it")


def test_what_is_folded_is_stored_under_the_users_keys_with_a_layout(store, valkey):
    folder = Folder(PLAN, store)
    folder.start()
    report = folder.fold(rows(*views("u"), *views("v", count=1)))
    assert outcomes(report) == [APPLIED] * 4
    assert (report.writes, report.conflicts, report.set_aside) == (2, 0, {})
    with valkey.client() as client:
        held = {key.decode() for key in client.scan_iter() if b":beat:" not in key}
        sizes = sum(client.strlen(key) for key in held if key.endswith((":state", ":seen")))
        expires = client.pexpiretime(record_key("tried", "u"))
    assert held == {
        registry_key("tried"),
        *(key("tried", user) for user in ("u", "v") for key in (record_key, seen_key)),
    }
    assert report.bytes_written == sizes - 2 * (HEAD_BYTES - 1)
    assert expires == (NOW + 2 * S + PLAN.retention_us) // 1000
    assert store.layout(PLAN.layout.fingerprint) == PLAN.layout


def test_no_rows_touch_nothing(store, valkey):
    assert len(Folder(PLAN, store).fold([]).outcome) == 0
    assert store.reads == 0


def test_events_folded_before_are_duplicates_and_nothing_is_written(store):
    batch = rows(*views())
    Folder(PLAN, store).fold(batch)
    before = store.read(["u"])
    report = Folder(PLAN, store).fold(batch)
    assert outcomes(report) == [DUPLICATE] * 3
    assert (report.writes, report.bytes_written) == (0, 0)
    assert store.read(["u"]) == before


def test_a_conflict_is_read_again_and_folded_once(store):
    """Another folder writes the same user, in part the same events, between our read and our write."""
    mine, others = views(begin=0, count=4), views(begin=2, count=4)
    shared = rows(*mine[2:])
    other = Folder(PLAN, store.store)
    store.before_replace = lambda: other.fold([*shared, *rows(*others[2:])])
    report = Folder(PLAN, store).fold(rows(*mine, event(NOW, "v")))
    assert outcomes(report) == [APPLIED, APPLIED, DUPLICATE, DUPLICATE, APPLIED]
    assert (report.conflicts, report.writes) == (1, 2)
    assert counted(store) == (6, 6)
    assert counted(store, "v") == (1, 1)


def test_conflict_after_conflict_ends_with_every_event_folded_once(store):
    other = Folder(PLAN, store.store)
    rounds = iter(range(5))

    def interfere():
        for n in rounds:
            other.fold(rows(event(NOW + n * S, "u")))
            store.before_replace = interfere
            return

    store.before_replace = interfere
    report = Folder(PLAN, store).fold(rows(*views()))
    assert (outcomes(report), report.conflicts) == ([APPLIED] * 3, 5)
    assert counted(store) == (8, 8)


def test_two_folders_with_caches_taking_turns_fold_everything_once(store):
    """Each writes what the other has cached, so every second write meets a conflict."""
    folders = [Folder(PLAN, store.store), Folder(PLAN, store.store)]
    conflicts = 0
    batch = views(count=40)
    for turn in range(40):
        report = folders[turn % 2].fold(rows(batch[turn], batch[turn - 1]))
        conflicts += report.conflicts
    assert counted(store) == (40, 40)
    assert conflicts > 30


def test_a_cache_that_is_stale_costs_a_round_and_nothing_else(store):
    folder = Folder(PLAN, store)
    first, second, third = views(count=3)
    folder.fold(rows(first))
    Folder(PLAN, store.store).fold(rows(second))
    report = folder.fold(rows(first, second, third))
    assert outcomes(report) == [DUPLICATE, DUPLICATE, APPLIED]
    assert (report.conflicts, counted(store)) == (1, (3, 3))


def test_a_user_in_the_cache_is_not_read_again_and_without_one_is(store):
    for cache_bytes, reads in ((1 << 20, 1), (0, 3)):
        store.reads = 0
        folder = Folder(PLAN, store, cache_bytes=cache_bytes)
        for n in range(3):
            folder.fold(rows(event(NOW + n * S, f"c{cache_bytes}")))
        assert store.reads == reads


def test_a_record_deleted_behind_the_cache_starts_anew(store, valkey):
    folder = Folder(PLAN, store)
    folder.fold(rows(*views()))
    with valkey.client() as client:
        client.flushall()
    report = folder.fold(rows(event(NOW + 9 * S, "u")))
    assert (outcomes(report), report.conflicts) == ([APPLIED], 1)
    assert counted(store) == (1, 1)


# Lost answers


def test_a_write_whose_answer_was_lost_counts_as_applied_and_once(store):
    store.after_replace = lose_the_answer
    waited = []
    report = Folder(PLAN, store).fold(rows(*views(), *views("v")), waited.append)
    assert outcomes(report) == [APPLIED] * 6
    assert len(waited) == 1
    assert counted(store) == counted(store, "v") == (3, 3)


def test_a_write_that_never_arrived_is_made_again(store):
    store.before_replace = lose_the_answer
    report = Folder(PLAN, store).fold(rows(*views()), lambda _: None)
    assert (outcomes(report), report.writes) == ([APPLIED] * 3, 1)
    assert counted(store) == (3, 3)


def test_duplicates_among_events_whose_answer_was_lost_stay_duplicates(store):
    known, fresh = views(count=1), views(begin=1, count=1)
    Folder(PLAN, store).fold(rows(*known))
    store.after_replace = lose_the_answer
    report = Folder(PLAN, store).fold(rows(*known, *fresh, *fresh), lambda _: None)
    assert outcomes(report) == [DUPLICATE, APPLIED, DUPLICATE]
    assert counted(store) == (2, 2)


def test_an_answer_lost_again_and_again_changes_nothing(store):
    def lose_and_lose_again():
        nonlocal losses
        losses += 1
        if losses < 4:
            store.before_replace = lose_the_answer
            store.after_replace = lose_and_lose_again
        lose_the_answer()

    losses = 0
    store.after_replace = lose_and_lose_again
    report = Folder(PLAN, store).fold(rows(*views()), lambda _: None)
    assert outcomes(report) == [APPLIED] * 3
    assert counted(store) == (3, 3)


def test_a_batch_sent_twice_by_the_client_is_refused_by_itself_and_counts_as_applied(store, monkeypatch):
    """A cluster's client sends again by itself when a connection breaks; the answer is then that of the second time."""
    replace = store.store.replace

    def twice(replacements):
        replace(replacements)
        return replace(replacements)

    monkeypatch.setattr(store.store, "replace", twice)
    report = Folder(PLAN, store).fold(rows(*views(), *views("v")))
    assert outcomes(report) == [APPLIED] * 6
    monkeypatch.undo()
    assert counted(store) == counted(store, "v") == (3, 3)


def test_without_anyone_to_wait_the_error_is_raised_and_the_rows_can_be_folded_again(store):
    folder = Folder(PLAN, store)
    batch = rows(*views())
    store.after_replace = lose_the_answer
    with pytest.raises(StoreUnavailable):
        folder.fold(batch)
    assert set(outcomes(folder.fold(batch))) <= {APPLIED, DUPLICATE}
    assert counted(store) == (3, 3)


def test_giving_up_while_waiting_raises_what_was_raised(store):
    def give_up(exc):
        raise StoreError("waited long enough") from exc

    store.before_replace = lose_the_answer
    with pytest.raises(StoreError, match="waited long enough"):
        Folder(PLAN, store).fold(rows(*views()), give_up)


def test_a_server_killed_and_restarted_from_its_file_between_batches_loses_nothing(tmp_path):
    from tests.servers.redis import running_valkey

    with (
        running_valkey(tmp_path / "aof", appendonly=True) as server,
        closing(RedisStateStore(server.url, PLAN.name, durability="fsync", timeout_s=5)) as store,
    ):
        folder = Folder(PLAN, store)
        batches = [rows(*views(begin=3 * n)) for n in range(4)]
        folder.fold(batches[0])
        server.kill_9()
        report = folder.fold([*batches[0], *batches[1]], lambda _: server.restart() if server.port else None)
        assert outcomes(report) == [DUPLICATE] * 3 + [APPLIED] * 3
        assert counted(store) == (6, 6)


# Records that make no sense


@pytest.mark.parametrize(
    ("key", "garbage"),
    [
        (record_key, b""),
        (record_key, b"nonsense"),
        (record_key, MARKER + bytes(30)),
        (seen_key, b"\2"),
        (seen_key, b""),
    ],
)
def test_a_corrupt_record_spares_the_other_users_and_stays_as_it_is(store, valkey, key, garbage):
    Folder(PLAN, store).fold(rows(*views("bad"), *views("good")))
    with valkey.client() as client:
        client.set(key("tried", "bad"), garbage)
    before = store.read(["bad"])
    report = Folder(PLAN, store).fold(rows(event(NOW, "bad"), event(NOW, "good"), event(NOW, "bad"), event(NOW, "new")))
    assert outcomes(report) == [BAD_RECORD, APPLIED, BAD_RECORD, APPLIED]
    assert list(report.set_aside) == ["bad"]
    assert store.read(["bad"]) == before
    assert counted(store, "good") == (4, 4)


def test_damage_behind_the_head_of_a_record_is_found_by_its_checksum_and_sets_its_user_aside(store, valkey):
    batch = rows(*views("bad"), *views("good"))
    Folder(PLAN, store).fold(batch)
    with valkey.client() as client:
        held = client.get(record_key("tried", "bad"))
        client.set(record_key("tried", "bad"), held[:-40] + bytes(b ^ 0xFF for b in held[-40:-20]) + held[-20:])
    before = store.read(["bad"])
    assert outcomes(Folder(PLAN, store).fold(batch)) == [BAD_RECORD] * 3 + [DUPLICATE] * 3
    report = Folder(PLAN, store).fold([*batch, *rows(event(NOW + 9 * S, "bad"), event(NOW + 9 * S, "good"))])
    assert outcomes(report) == [BAD_RECORD] * 3 + [DUPLICATE] * 3 + [BAD_RECORD, APPLIED]
    assert list(report.set_aside) == ["bad"]
    assert (report.writes, store.read(["bad"]), counted(store, "good")) == (1, before, (4, 4))


def test_what_is_to_be_done_before_a_write_is_done_with_the_records_that_can_be_read(store, valkey):
    Folder(PLAN, store).fold(rows(*views("bad"), *views("good")))
    with valkey.client() as client:
        client.set(record_key("tried", "bad"), MARKER + bytes(30))
    told = []
    folder = Folder(PLAN, store, before_write=lambda *what: told.append(what))
    folder.fold(rows(event(NOW + 9 * S, "bad"), event(NOW + 9 * S, "good"), event(NOW + 9 * S, "new")))
    [(histories, events)] = told
    assert (histories.errors, len(histories)) == ({}, 2)
    assert [events.users[user] for user in events.user.tolist()] == ["good", "new"]


def test_events_that_make_a_record_too_large_are_not_among_those_that_arrive(store):
    told = []
    Folder(PLAN, store).fold(rows(*views("probe"), event(NOW, "less", value=1.0)))
    three, one = (len(held.record) for held in store.read(["probe", "less"]))
    assert one < three
    small = replace(PLAN, max_record_bytes=three - 1)
    folder = Folder(small, store, before_write=lambda histories, events: told.append(events))
    report = folder.fold(rows(*views("large"), event(NOW, "small", value=1.0)))
    assert outcomes(report) == [OVERSIZED] * 3 + [APPLIED]
    (events,) = told
    assert [events.users[user] for user in events.user.tolist()] == ["small"]


def test_a_record_of_a_layout_nobody_registered_is_bad_until_somebody_does(store, valkey):
    other = plan_of(features={"f": {"aggregate": "count", "windows": ["1d"], "where": {"action": "view"}}})
    writer = Folder(other, store)
    writer.fold([EventDecoder(other, SPEC.schema).row(e, None) for e in views()])
    late = rows(event(NOW + 5 * S, "u"))
    field = f"layout:{other.layout.fingerprint.hex()}"
    with valkey.client() as client:
        layout = client.hget(registry_key("tried"), field)
        client.hdel(registry_key("tried"), field)
        report = Folder(PLAN, store).fold(late)
        assert outcomes(report) == [BAD_RECORD]
        assert other.layout.fingerprint.hex() in report.set_aside["u"]
        client.hset(registry_key("tried"), field, layout)
    assert outcomes(Folder(PLAN, store).fold(late)) == [APPLIED]


def test_a_damaged_layout_is_a_bad_record_and_no_more(store, valkey):
    other = plan_of(features={"f": {"aggregate": "count", "windows": ["1d"], "where": {"action": "view"}}})
    Folder(other, store).fold([EventDecoder(other, SPEC.schema).row(e, None) for e in views()])
    with valkey.client() as client:
        client.hset(registry_key("tried"), f"layout:{other.layout.fingerprint.hex()}", b"\xff[")
    report = Folder(PLAN, store).fold(rows(event(NOW, "u"), event(NOW, "v")))
    assert outcomes(report) == [BAD_RECORD, APPLIED]


def test_a_changed_spec_takes_the_record_over_where_it_is_folded(store):
    old = plan_of(features={"f": {"aggregate": ["count"], "windows": ["1h"]}})
    before = Folder(old, store)
    before.start()
    before.fold([EventDecoder(old, SPEC.schema).row(e, None) for e in views()])
    Folder(PLAN, store).start()
    report = Folder(PLAN, store).fold(rows(*views(begin=5)))
    assert outcomes(report) == [APPLIED] * 3
    assert counted(store) == (6, 6)
    assert store.read(["u"])[0].record[18:26] == PLAN.layout.fingerprint


def test_every_write_has_a_version_of_its_own(store):
    folder = Folder(PLAN, store)
    versions = set()
    for n in range(20):
        folder.fold(rows(event(NOW + n * S, "u"), event(NOW + n * S, "v")))
        versions |= {version_of(stored.record) for stored in store.read(["u", "v"])}
    assert len(versions) == 40


def test_the_cap_on_ids_is_reported_and_its_horizon_stored(store):
    plan = plan_of(features={"f": {"aggregate": "count", "windows": ["1h"]}}, seen_ids_cap=100)
    decoder = EventDecoder(plan, SPEC.schema)
    batch = [decoder.row(event(NOW + n * S), None) for n in range(150)]
    report = Folder(plan, store).fold(batch)
    assert report.shortened == 1
    again = Folder(plan, store).fold(batch)
    assert np.bincount(again.outcome, minlength=3).tolist() == [0, 100, 50]
    assert counted(store, plan=plan) == (150, 150)
