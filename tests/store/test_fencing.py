"""Two folders with different specs in a real Valkey: the newer one writes and the older one stops, whatever is lost."""

from contextlib import ExitStack, closing

import pytest

from tests.store.folding import APPLIED, DUPLICATE, NOW, SPEC, TOO_LATE, Wrapped, counted, outcomes, rows, views
from tests.trying import H, S, event, plan_of
from user_state.errors import SpecSuperseded
from user_state.fold import Folder
from user_state.store.keys import record_key, registry_key, seen_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.specs import force_epoch, propose_epoch

OLD = plan_of(features={"f": {"aggregate": "count", "windows": ["1h"]}})
NEW = plan_of(features={"f": {"aggregate": "count", "windows": ["1h", "lifetime"]}})
assert SPEC.spec.name == OLD.name == NEW.name


@pytest.fixture(params=["valkey", "cluster"])
def server(request):
    """One server, and a cluster, where the registry and users lie on different slots."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def folder_of(server):
    """Return makes of folders of a plan, each with a store of its own, as another process has it."""
    with ExitStack() as opened:

        def make(plan, epoch):
            store = opened.enter_context(closing(RedisStateStore(server.url, plan.name, timeout_s=5)))
            folder = Folder(plan, Wrapped(store), epoch=epoch)
            folder.store, folder.plan = folder._store, plan
            return folder

        yield make


def fold(folder, *events):
    return folder.fold(rows(*events, plan=folder.plan))


def bytes_of(server, *users):
    with server.client() as client:
        return [client.get(key("tried", user)) for user in users for key in (record_key, seen_key)]


def test_the_newer_spec_stops_the_older_for_users_it_has_written(server, folder_of):
    older, newer = folder_of(OLD, 1), folder_of(NEW, 2)
    fold(older, *views("u"), *views("v"))
    fold(newer, *views("u", begin=3))
    before = bytes_of(server, "u")
    for _ in range(2):  # once superseded, for good
        with pytest.raises(SpecSuperseded, match=r"user-state rollback"):
            fold(older, *views("u", begin=6))
    assert bytes_of(server, "u") == before
    assert outcomes(fold(newer, *views("u", begin=6))) == [APPLIED] * 3
    assert counted(newer.store, "u", NEW) == (9, 9)


@pytest.mark.parametrize("warm", [False, True], ids=["unknown users", "users in the cache"])
def test_the_newer_spec_stops_the_older_for_users_it_never_touched(valkey, warm, request):
    """In the same step as the write, so not one record is written."""
    with closing(RedisStateStore(valkey.url, "tried")) as one, closing(RedisStateStore(valkey.url, "tried")) as two:
        older, newer = Folder(OLD, one, epoch=1), Folder(NEW, two, epoch=2)
        older.fold(rows(*(views("v") if warm else views("other")), plan=OLD))
        before = bytes_of(valkey, "v", "w")
        newer.start()
        for _ in range(2):
            with pytest.raises(SpecSuperseded):
                older.fold(rows(*views("v", begin=3), *views("w"), plan=OLD))
        assert bytes_of(valkey, "v", "w") == before


def test_on_a_cluster_the_older_is_not_told_that_anything_is_stored_and_no_event_counts_twice(cluster):
    """A user's node does not know the registry: one batch may still be written, and is never acknowledged."""
    with closing(RedisStateStore(cluster.url, "tried")) as one, closing(RedisStateStore(cluster.url, "tried")) as two:
        older, newer = Folder(OLD, one, epoch=1), Folder(NEW, two, epoch=2)
        older.fold(rows(*views("v"), plan=OLD))
        newer.start()
        late = views("v", begin=3)
        with pytest.raises(SpecSuperseded):
            older.fold(rows(*late, *views("w"), plan=OLD))
        after = bytes_of(cluster, "v", "w")
        with pytest.raises(SpecSuperseded):
            Folder(OLD, one, epoch=1).start()
        assert bytes_of(cluster, "v", "w") == after
        report = newer.fold(rows(*late, *views("v", begin=6), plan=NEW))
        assert set(outcomes(report)[:3]) <= {APPLIED, DUPLICATE}
        assert outcomes(report)[3:] == [APPLIED] * 3
        assert counted(two, "v", NEW)[0] == 9


def test_duplicates_are_not_settled_by_a_superseded_spec(server, folder_of):
    """Its answer would be right, but who knows: the newer one gets the messages again."""
    older, newer = folder_of(OLD, 1), folder_of(NEW, 2)
    known = views("u")
    fold(older, *known)
    newer.start()
    with pytest.raises(SpecSuperseded):
        fold(older, *known)
    assert outcomes(fold(newer, *known)) == [DUPLICATE] * 3


def test_an_older_spec_that_starts_again_is_refused_with_whatever_epoch(server, folder_of):
    fold(folder_of(OLD, 1), *views("u"))
    fold(folder_of(NEW, 2), *views("u", begin=3))
    for epoch in (1, 2, 3, None):
        with pytest.raises(SpecSuperseded):
            folder_of(OLD, epoch).start()
    with pytest.raises(SpecSuperseded):
        propose_epoch(server.url, OLD, 9)


def test_runs_of_one_spec_write_side_by_side(server, folder_of):
    first, second = folder_of(NEW, 2), folder_of(NEW, 7)
    batch = views("u", count=6)
    for n, one in enumerate(batch):
        assert outcomes(fold((first, second)[n % 2], one)) == [APPLIED]
    with server.client() as client:
        client.delete(registry_key("tried"))
    for folder in (second, first, second):
        assert outcomes(fold(folder, *batch)) == [DUPLICATE] * 6
    assert outcomes(fold(first, event(NOW + 9 * S, "u"))) == [APPLIED]
    assert counted(first.store, "u", NEW) == (7, 7)


def lose_epoch(client):
    client.hdel(registry_key("tried"), "epoch")


def lose_current(client):
    client.hdel(registry_key("tried"), "current")


def lose_registry(client):
    client.delete(registry_key("tried"))


def lose_everything(client):
    client.flushall()


@pytest.mark.parametrize("older_first", [True, False])
@pytest.mark.parametrize("lose", [lose_epoch, lose_current, lose_registry, lose_everything])
def test_after_the_registry_is_lost_the_newer_spec_wins_whoever_writes_first(server, folder_of, lose, older_first):
    older, newer = folder_of(OLD, 1), folder_of(NEW, 2)
    fold(older, *views("old"))
    fold(newer, *views("new"))
    with server.client() as client:
        lose(client)

    def write_older():
        try:
            fold(older, *views("old", begin=3))
        except SpecSuperseded:
            return False
        return True

    if older_first:
        write_older()  # it may, for nobody knows better
    fold(newer, *views("new", begin=3))
    assert write_older() is False
    assert outcomes(fold(newer, *views("new", begin=6), *views("old", begin=6))) == [APPLIED] * 6
    expected = 6 if lose == lose_everything else 9
    assert counted(newer.store, "new", NEW)[0] == expected


@pytest.mark.parametrize("lose", [lose_epoch, lose_registry])
def test_a_record_of_a_newer_spec_is_never_overwritten_by_an_older_one_though_the_registry_is_lost(
    server, folder_of, lose
):
    older, newer = folder_of(OLD, 1), folder_of(NEW, 2)
    fold(older, *views("u"), *views("v"))
    fold(newer, *views("u", begin=3))
    before = bytes_of(server, "u")
    for cold in (False, True):
        with server.client() as client:
            lose(client)
        writer = folder_of(OLD, 1) if cold else older
        with pytest.raises(SpecSuperseded):
            fold(writer, *views("u", begin=6))
        assert bytes_of(server, "u") == before
    report = fold(newer, *views("u", begin=6))
    assert (outcomes(report), report.writes, report.conflicts) == ([APPLIED] * 3, 1, 0)


def test_going_back_on_purpose_lets_the_older_spec_write_and_stops_the_newer(server, folder_of):
    older, newer = folder_of(OLD, 1), folder_of(NEW, 2)
    fold(older, *views("u"))
    fold(newer, *views("u", begin=3))

    epoch = force_epoch(server.url, OLD, 3)

    again = folder_of(OLD, propose_epoch(server.url, OLD, 4))
    assert outcomes(fold(again, *views("u", begin=6))) == [APPLIED] * 3
    assert again.store.registry.claimed.epoch == epoch
    with pytest.raises(SpecSuperseded):
        fold(newer, *views("u", begin=9))
    with pytest.raises(SpecSuperseded):
        folder_of(NEW, 5).start()
    assert counted(again.store, "u", OLD) == (9, 9)


def test_a_lateness_that_was_raised_admits_nothing_that_was_forgotten(server, folder_of):
    """The id of the first event was forgotten under a lateness of an hour; a day is allowed since."""
    base = NOW - 6 * H
    known, later = event(base, "u"), event(base + 3 * H, "u")
    short, long_ = plan_of(allowed_lateness="1h"), plan_of(allowed_lateness="1d")
    assert outcomes(fold(folder_of(short, 1), known, later)) == [APPLIED] * 2
    for _ in range(2):  # also when the longer lateness has written the record itself
        between = event(base + 2 * H + 30 * 60 * S, "u")
        report = fold(folder_of(long_, 2), known, event(base + H, "u"), between, later)
        assert outcomes(report) == [TOO_LATE, TOO_LATE, APPLIED, DUPLICATE]
    store = folder_of(long_, 2).store
    assert counted(store, "u", long_)[0] == 4
    assert outcomes(fold(folder_of(long_, 2), event(base + 22 * H, "u"), event(base + 3 * H, "u"))) == [APPLIED] * 2


def test_a_lateness_that_was_lowered_holds_at_once_and_knows_what_it_still_admits(server, folder_of):
    base = NOW - 6 * H
    known, later = event(base + 2 * H + S, "u"), event(base + 3 * H, "u")
    assert outcomes(fold(folder_of(plan_of(allowed_lateness="1d"), 1), known, later)) == [APPLIED] * 2
    report = fold(folder_of(plan_of(allowed_lateness="1h"), 2), known, event(base + 2 * H - S, "u"), later)
    assert outcomes(report) == [DUPLICATE, TOO_LATE, DUPLICATE]
