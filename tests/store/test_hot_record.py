"""Many writers of one record in a real Valkey: a slow one gets its turn, a dead one's ends, nobody tries for ever."""

import threading
import time
from contextlib import closing

import pytest

from tests.store.folding import APPLIED, BAD_RECORD, CONTENDED, DUPLICATE, NOW, PLAN, Wrapped, counted, outcomes, rows
from tests.store.folding import views as made
from tests.trying import S, event
from user_state.fold import Folder
from user_state.store.contention import MOST_TRIES, TURN_AFTER, Contention
from user_state.store.keys import registry_key, turn_key
from user_state.store.redis_store import RedisStateStore

TURN = turn_key("tried", "hot")
AWAY_S = 0.03
"""How far from Redis the slow worker is: a call takes this twice."""


def views(user="hot", **which):
    return made(user, **which)


@pytest.fixture
def open_store(valkey):
    """Open stores of workers of their own."""
    opened = []

    def make():
        opened.append(RedisStateStore(valkey.url, PLAN.name, timeout_s=5))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


def far(store):
    wrapped = Wrapped(store)
    wrapped.before_call = wrapped.after_call = lambda: time.sleep(AWAY_S)
    return wrapped


def test_a_slow_worker_beside_a_fast_one_finishes_within_bounded_tries(open_store):
    fast, slow, watching = Folder(PLAN, open_store()), far(open_store()), open_store()
    ended = threading.Event()
    written, problems = [], []

    def keep_writing():
        try:
            for n in range(100_000):
                if ended.is_set():
                    return
                report = fast.fold(rows(event(NOW + n % 600 * S, "hot", value=1.0)))
                assert outcomes(report) == [APPLIED]
                written.append(n)
        except BaseException as exc:
            problems.append(exc)

    thread = threading.Thread(target=keep_writing)
    thread.start()
    try:
        while len(written) < 10:
            time.sleep(0.01)
        report = Folder(PLAN, slow).fold(rows(*views()))
    finally:
        ended.set()
        thread.join(60)
    assert problems == []
    assert outcomes(report) == [APPLIED] * 3
    # Races lost until it asked, and a few more should this machine be too busy for it to use its turn in time.
    assert 0 < report.conflicts <= TURN_AFTER + 10 < MOST_TRIES
    assert counted(watching, "hot")[0] == 3 + len(written)


def test_a_worker_that_loses_every_race_by_hand_has_the_next_turn(open_store, valkey):
    """Another writes between each of its reads and writes, as often as it can."""
    other, mine = Folder(PLAN, open_store(), contention=Contention(sleep=lambda _: None)), Wrapped(open_store())
    results = []

    def interfere():
        results.append(outcomes(other.fold(rows(event(NOW + len(results) * S, "hot")))))
        mine.before_replace = interfere

    mine.before_replace = interfere
    pauses = []
    report = Folder(PLAN, mine, contention=Contention(sleep=pauses.append)).fold(rows(*views(), event(NOW, "calm")))

    assert outcomes(report) == [APPLIED] * 4
    assert report.conflicts == TURN_AFTER + 1
    assert results == [[APPLIED]] * (TURN_AFTER + 1) + [[CONTENDED]]
    assert len(pauses) == TURN_AFTER  # after it has asked for a turn it goes at once
    with valkey.client() as client:
        assert client.exists(TURN) == 0
    # Afterwards anybody may write again.
    assert outcomes(other.fold(rows(event(NOW, "hot")))) == [APPLIED]
    assert counted(mine, "hot")[0] == 3 + TURN_AFTER + 1 + 1


def take_turn(client, worker: str, turn_ms: int) -> None:
    """Leave what a worker leaves that has asked for a turn."""
    client.set(TURN, worker, px=turn_ms)
    client.hset(registry_key("tried"), "turns_until", time.time_ns() // 1_000_000 + turn_ms)


def test_the_turn_of_a_dead_worker_ends(open_store, valkey):
    store, began_s = open_store(), time.monotonic()
    with valkey.client() as client:
        take_turn(client, "a worker that died", 400)
    report = Folder(PLAN, store).fold(rows(*views(), event(NOW, "calm")))
    assert time.monotonic() - began_s > 0.4
    assert outcomes(report) == [APPLIED] * 4
    assert 1 < report.conflicts < MOST_TRIES
    assert counted(store, "hot") == (3, 3)


def test_a_turn_that_was_asked_for_is_never_longer_than_its_bound(open_store, valkey):
    other, mine = Folder(PLAN, open_store()), Wrapped(open_store())

    class Died(Exception):
        pass

    rounds = iter(range(TURN_AFTER + 1))

    def interfere():
        if next(rounds, None) is None:
            raise Died
        other.fold(rows(event(NOW, "hot")))
        mine.before_replace = interfere

    mine.before_replace = interfere
    with pytest.raises(Died):
        Folder(PLAN, mine).fold(rows(*views()))
    with valkey.client() as client:
        assert 0 < client.pttl(TURN) <= 2_000
    began_s = time.monotonic()
    assert outcomes(other.fold(rows(event(NOW, "hot")))) == [APPLIED]
    assert time.monotonic() - began_s < 3


def test_users_whom_others_hold_are_left_after_so_many_tries_and_the_rest_is_stored(open_store, valkey):
    store = open_store()
    known = rows(*views(count=1))
    Folder(PLAN, store).fold(known)
    with valkey.client() as client:
        take_turn(client, "another", 100_000)
        client.hset(turn_key("tried", "bad"), "no", "turn")
        pauses = []
        report = Folder(PLAN, store, contention=Contention(sleep=pauses.append)).fold(
            [*rows(event(NOW, "calm")), *known, *rows(*views(begin=3, count=1), event(NOW, "bad"))]
        )
        assert outcomes(report) == [APPLIED, CONTENDED, CONTENDED, BAD_RECORD]
        assert (report.conflicts, len(pauses), report.writes) == (MOST_TRIES, MOST_TRIES - 1, 1)
        assert counted(store, "hot") == (1, 1)
        assert counted(store, "calm")[0] == 1
        client.delete(TURN)
    report = Folder(PLAN, store).fold([*known, *rows(*views(begin=3, count=1))])
    assert outcomes(report) == [DUPLICATE, APPLIED]


def test_who_only_compares_waits_for_nobodys_turn(open_store, valkey):
    store = open_store()
    folder = Folder(PLAN, store)
    known = rows(*views())
    folder.fold(known)
    with valkey.client() as client:
        take_turn(client, "another", 100_000)
    report = folder.fold(known)
    assert (outcomes(report), report.conflicts) == ([DUPLICATE] * 3, 0)


def test_on_a_cluster_a_turn_lies_beside_the_user(cluster):
    with closing(RedisStateStore(cluster.url, PLAN.name, timeout_s=5)) as store, cluster.client() as client:
        client.set(TURN, "a worker that died", px=200)
        report = Folder(PLAN, store).fold(rows(*views(), event(NOW, "calm")))
        assert outcomes(report) == [APPLIED] * 4
        assert report.conflicts > 0
