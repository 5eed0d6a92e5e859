"""One user's trouble in a real Valkey stays with that user: keys of another type, records too large to be written."""

from contextlib import closing
from dataclasses import replace

import pytest

from tests.servers.redis import running_valkey
from tests.store.folding import (
    APPLIED,
    BAD_RECORD,
    DUPLICATE,
    NOW,
    OVERSIZED,
    PLAN,
    TOO_LATE,
    Wrapped,
    counted,
    outcomes,
    rows,
    views,
)
from tests.trying import H, S, event, plan_of
from user_state.errors import StoreDenied
from user_state.evaluation.memory_store import MemoryStore
from user_state.fold import Folder
from user_state.state.envelope import heads_of
from user_state.store.keys import record_key, seen_key
from user_state.store.redis_store import SINGLY_AFTER, RedisStateStore

MIB = 1 << 20


def make_other(server, key, kind):
    """Put a key of another type in a key's place."""
    with server.client() as client:
        client.delete(key)
        {
            "hash": lambda: client.hset(key, "a", "b"),
            "list": lambda: client.rpush(key, "a"),
            "stream": lambda: client.xadd(key, {"a": "b"}),
        }[kind]()


KINDS = pytest.mark.parametrize("kind", ["hash", "list", "stream"])
KEYS = pytest.mark.parametrize("key", [record_key, seen_key])


@KINDS
@KEYS
def test_a_user_whose_key_is_of_another_type_is_set_aside_when_read(store, valkey, key, kind):
    known = views("bad")
    Folder(PLAN, store).fold(rows(*known, *views("good")))
    make_other(valkey, key("tried", "bad"), kind)

    report = Folder(PLAN, store).fold(rows(*known, *views("good", begin=3), event(NOW, "new")))

    assert outcomes(report) == [BAD_RECORD] * 3 + [APPLIED] * 4
    assert list(report.set_aside) == ["bad"]
    assert "WRONGTYPE" in report.set_aside["bad"]
    assert (report.writes, report.ids_lost, report.lost) == (2, 0, 0)
    assert (counted(store, "good"), counted(store, "new")[0]) == ((6, 6), 1)
    with valkey.client() as client:
        assert client.type(key("tried", "bad")).decode() == kind


@KINDS
@pytest.mark.parametrize("key", [record_key, seen_key])
def test_a_user_whose_key_changes_its_type_before_the_write_is_set_aside(store, valkey, key, kind):
    Folder(PLAN, store).fold(rows(*views("bad"), *views("good")))
    store.before_replace = lambda: make_other(valkey, key("tried", "bad"), kind)

    report = Folder(PLAN, store).fold(rows(*views("bad", begin=3), *views("good", begin=3), event(NOW, "new")))

    assert outcomes(report) == [BAD_RECORD] * 3 + [APPLIED] * 4
    assert "WRONGTYPE" in report.set_aside["bad"]
    assert (counted(store, "good"), counted(store, "new")[0]) == ((6, 6), 1)


@KEYS
def test_a_cached_user_whose_key_is_of_another_type_is_no_duplicate(store, valkey, key):
    """Of the record, since that is compared; of the ids, as soon as they are to be written."""
    folder = Folder(PLAN, store)
    known = views("bad", count=2)
    folder.fold(rows(*known, *views("good")))
    make_other(valkey, key("tried", "bad"), "hash")
    later = views("bad", begin=2, count=1)
    report = folder.fold(rows(*known, *later, *views("good", begin=3)))
    assert outcomes(report) == [BAD_RECORD] * 3 + [APPLIED] * 3
    assert counted(store, "good") == (6, 6)


def test_a_user_whose_key_is_mended_goes_on(store, valkey):
    make_other(valkey, record_key("tried", "u"), "list")
    folder = Folder(PLAN, store)
    assert outcomes(folder.fold(rows(*views()))) == [BAD_RECORD] * 3
    with valkey.client() as client:
        client.delete(record_key("tried", "u"))
    assert outcomes(folder.fold(rows(*views()))) == [APPLIED] * 3


@pytest.mark.parametrize("rights", ["-evalsha", "-mget -get", "-set"])
def test_a_right_that_is_missing_is_no_users_fault(own_valkey, rights):
    with own_valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pass", "~*", "+@all")
        url = f"redis://app:pass@127.0.0.1:{own_valkey.port}"
        with closing(RedisStateStore(url, PLAN.name, timeout_s=5)) as store:
            folder = Folder(PLAN, store)
            folder.fold(rows(*views("u")))
            client.execute_command("ACL", "SETUSER", "app", *rights.split())
            with pytest.raises(StoreDenied, match="refused us"):
                folder.fold(rows(*views("u", begin=3), *views("v")))
            client.execute_command("ACL", "SETUSER", "app", "+@all")
            assert outcomes(folder.fold(rows(*views("v")))) == [APPLIED] * 3


# Records too large


def long_items(user, count, length, begin=0):
    return [
        event(NOW + n * S, user, item_id=f"{n}-".ljust(length, "x"), value=1.0) for n in range(begin, begin + count)
    ]


@pytest.mark.parametrize("many", [False, True], ids=["beside one", "among many"])
def test_a_record_that_the_server_does_not_take_is_set_aside_within_bounded_tries(tmp_path, many):
    """The server breaks the connection of whoever sends a value above its limit, in the middle of a batch."""
    plan = plan_of(sequences={"s": {"fields": ["item_id"], "last": 50}})
    plan = replace(plan, max_record_bytes=64 * MIB)
    others = [f"u{n}" for n in range(20 if many else 1)]
    with (
        running_valkey(tmp_path / "small") as server,
        closing(RedisStateStore(server.url, "tried", timeout_s=5)) as real,
    ):
        with server.client() as client:
            client.config_set("proto-max-bulk-len", MIB)
        store, waited = Wrapped(real), []
        batch = [*(event(NOW, user) for user in others), *long_items("large", 40, 60_000), event(NOW, "last")]

        report = Folder(plan, store).fold(rows(*batch, plan=plan), waited.append)

        assert outcomes(report) == [APPLIED] * len(others) + [BAD_RECORD] * 40 + [APPLIED]
        assert list(report.set_aside) == ["large"]
        assert "connection" in report.set_aside["large"]
        assert len(waited) < SINGLY_AFTER
        assert [one.record is not None for one in store.read([*others, "large", "last"])] == [
            *([True] * len(others)),
            False,
            True,
        ]
        report = Folder(plan, store).fold(rows(*batch, event(NOW + S, "last"), plan=plan), waited.append)
        assert outcomes(report) == [DUPLICATE] * len(others) + [BAD_RECORD] * 40 + [DUPLICATE, APPLIED]
        assert len(waited) < 2 * SINGLY_AFTER


DISTINCT = {
    "f": {"aggregate": "count", "windows": ["lifetime"]},
    "d": {"aggregate": "distinct", "of": "item_id", "windows": ["1h"]},
}
"""Distinct items of an hour leave the record when the hour is over."""


def limited():
    """Return a plan whose record of 100 distinct items is as large as one may be."""
    plan = plan_of(features=DISTINCT, allowed_lateness="1h")
    store = MemoryStore()
    Folder(plan, store).fold(rows(*long_items("u", 100, 8), plan=plan))
    (held,) = store.read(["u"])
    return replace(plan, max_record_bytes=len(held.record))


def test_an_oversized_record_stays_as_it_is_and_others_are_stored(store):
    plan = limited()
    first, more = long_items("u", 100, 8), long_items("u", 100, 8, begin=100)
    folder = Folder(plan, store)
    report = folder.fold(rows(*first, plan=plan))
    assert outcomes(report) == [APPLIED] * 100  # exactly as large as may be
    before = store.read(["u"])

    report = folder.fold(rows(*first, *more, event(NOW, "v"), plan=plan))

    assert outcomes(report) == [DUPLICATE] * 100 + [OVERSIZED] * 100 + [APPLIED]
    assert list(report.set_aside) == ["u"]
    assert f"more than max_record, {plan.max_record_bytes:,}" in report.set_aside["u"]
    assert (report.writes, store.read(["u"]), counted(store, "v", plan)) == (1, before, (1, 1))
    # No id of theirs is remembered: they are not told to be duplicates when they come again.
    assert outcomes(Folder(plan, store).fold(rows(*first, *more, plan=plan))) == [DUPLICATE] * 100 + [OVERSIZED] * 100


def test_a_user_with_an_oversized_record_comes_back_when_enough_has_left_the_windows(store):
    plan = limited()
    Folder(plan, store).fold(rows(*long_items("u", 100, 8), plan=plan))
    assert outcomes(Folder(plan, store).fold(rows(*long_items("u", 9, 8, begin=100), plan=plan))) == [OVERSIZED] * 9
    report = Folder(plan, store).fold(rows(event(NOW + 3 * H, "u", item_id="later"), plan=plan))
    assert outcomes(report) == [APPLIED]
    assert counted(store, "u", plan, at_us=NOW + 3 * H)[0] == 101
    assert outcomes(Folder(plan, store).fold(rows(*views("u", begin=3 * 3600 + 1), plan=plan))) == [APPLIED] * 3


def test_an_oversized_record_that_lost_its_ids_is_closed_and_remembers_nothing_of_what_it_refused(store, valkey):
    plan = limited()
    first, more = long_items("u", 100, 8), long_items("u", 9, 8, begin=100)
    Folder(plan, store).fold(rows(*first, plan=plan))
    with valkey.client() as client:
        client.delete(seen_key("tried", "u"))
    report = Folder(plan, store).fold(rows(*first, *more, plan=plan))
    assert outcomes(report) == [TOO_LATE] * 100 + [OVERSIZED] * 9
    assert (report.ids_lost, report.writes) == (1, 1)
    (held,) = store.read(["u"])
    heads, _ = heads_of([held.record])
    assert [int(heads.horizon_us[0]), int(heads.applied[0])] == [NOW + 99 * S + 1, 100]
    larger = replace(plan, max_record_bytes=MIB)
    report = Folder(larger, store).fold(rows(*first, *more, plan=plan))
    assert outcomes(report) == [TOO_LATE] * 100 + [APPLIED] * 9
    assert (report.ids_lost, counted(store, "u", plan)[0]) == (0, 109)
