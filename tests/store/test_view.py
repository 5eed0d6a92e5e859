"""The view against a real Valkey: a record of fewer events never takes the place of one of more."""

import time
from contextlib import closing, contextmanager

import pytest

from tests.fuzz.envelope import resealed
from tests.servers.redis import running_valkey
from tests.store.folding import version_of_events
from tests.trying import M, S, event, plan_of, spec_of
from user_state.errors import SpecSuperseded
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.state.envelope import version_of
from user_state.state.outcome import Outcome
from user_state.store.keys import record_key, registry_key, seen_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Writer
from user_state.store.store import Answer, Replacement, Stored
from user_state.store.view import WRITER_MS, RedisView

MOST_EVENTS = 2**32 - 1
LATER_MS = 4_102_444_800_000
SPEC = spec_of(features={"f": {"aggregate": "count", "windows": ["lifetime"]}})
PLAN = compile_plan(SPEC)
NOW = time.time_ns() // 1000 // M * M


def written(events: int, seen: bytes = b"\1ids") -> Replacement:
    """Return a replacement that has the version where a record has it."""
    return Replacement("u", b"", bytes(10) + version_of_events(events) + b"record", seen, LATER_MS)


@contextmanager
def claimed(url):
    """Yield a view and a store whose records are claimed by the same writer."""
    with (
        closing(RedisStateStore(url, "tried", timeout_s=5)) as store,
        closing(RedisView(url, "tried", timeout_s=5, registry=store.registry)) as view,
    ):
        store.claim(Writer(PLAN.layout, PLAN.definition, NOW))
        yield view, store


@pytest.fixture
def opened(valkey):
    with claimed(valkey.url) as both:
        yield both


@pytest.fixture
def view(opened):
    return opened[0]


@pytest.fixture
def store(opened):
    return opened[1]


@pytest.mark.parametrize(
    ("held", "new", "refused"),
    [(None, 1, 0), (3, 4, 0), (3, 3, 0), (4, 3, 1), (255, 256, 0), (256, 255, 1), (2**31, 2**31 - 1, 1)],
)
def test_only_a_record_of_fewer_events_is_refused(view, store, held, new, refused):
    if held is not None:
        assert view.write([written(held, b"\1old")]) == 0
    before = store.read(["u"])
    replacement = written(new, b"\1new")

    assert view.write([replacement]) == refused
    assert store.read(["u"]) == (before if refused else [Stored(replacement.record, b"\1new")])


def test_more_events_than_a_version_can_say_are_as_many_as_it_can_say(view):
    assert view.write([written(MOST_EVENTS + 5)]) == 0
    assert view.write([written(MOST_EVENTS)]) == 0


def test_each_of_many_users_is_judged_alone_and_expires(view, valkey):
    users = [written(n)._replace(user=f"u{n}") for n in range(5)]
    view.write(users)

    assert view.write([written(2)._replace(user=one.user) for one in users]) == 2  # those of 3 and of 4
    with valkey.client() as client:
        assert {client.pexpiretime(key) for key in client.scan_iter("*:state")} == {LATER_MS}


@pytest.mark.parametrize("key", [record_key, seen_key])
def test_a_key_of_another_type_is_refused_to_that_user_alone(view, store, valkey, key):
    with valkey.client() as client:
        client.rpush(key("tried", "u"), "x")
        one = written(1)
        assert view.write([one, one._replace(user="v")]) == 1
        assert client.type(key("tried", "u")) == b"list"
    assert store.read(["v"]) == [Stored(one.record, b"\1ids")]


@pytest.mark.parametrize("lost", [False, True], ids=["", "after the registry was lost"])
def test_a_newer_spec_stops_the_view_of_an_older_one(valkey, lost):
    newer = Writer(plan_of(allowed_lateness="2h").layout, b"another.", NOW + 1)
    with claimed(valkey.url) as (view, store), closing(RedisStateStore(valkey.url, "tried")) as other:
        first = written(1)
        view.write([first])
        other.claim(newer)
        assert other.replace([written(7)._replace(expected=version_of(first.record))]).answers == [Answer.DONE]
        with valkey.client() as client:
            before = store.read(["u"])
            if lost:
                client.delete(registry_key("tried"))
            with pytest.raises(SpecSuperseded):
                view.write([written(9)])
        assert store.read(["u"]) == before


def test_a_registry_that_was_lost_is_written_again_with_the_view(view, store, valkey):
    with valkey.client() as client:
        client.delete(registry_key("tried"))
    assert view.write([written(1)]) == 0
    assert store.layout(PLAN.layout.fingerprint) == PLAN.layout


def test_a_record_that_a_fold_in_redis_has_written_gives_way_to_one_of_more_events_and_back(view, store):
    folder = Folder(PLAN, store, cache_bytes=0)
    decoder = EventDecoder(PLAN, SPEC.schema)
    rows = [decoder.row(event(time_us=NOW + n * S, event_id=f"e{n}"), None) for n in range(3)]
    folder.start()
    for row in rows:  # a write an event: the version counts three
        folder.fold([row])
    (stored,) = store.read(["u"])

    assert view.write([Replacement("u", b"", stored.record, stored.seen, LATER_MS)]) == 0
    assert view.write([written(2)]) == 1
    assert view.write([written(4)]) == 0
    later = resealed(stored.record[:10] + version_of_events(9) + stored.record[18:])
    view.write([Replacement("u", b"", later, stored.seen, LATER_MS)])
    report = folder.fold(rows)
    assert (report.outcome == Outcome.DUPLICATE).all()


def test_a_restarted_server_that_has_forgotten_the_script_is_taught_it(tmp_path):
    with running_valkey(tmp_path / "own") as server, claimed(server.url) as (view, _):
        assert view.write([written(1)]) == 0
        with server.client() as client:
            client.script_flush()
        assert view.write([written(0)]) == 1


def test_who_writes_a_view_is_known_until_it_signs_off_or_falls_silent(view, valkey):
    assert view.writer() is None
    view.sign("run-1")
    assert view.writer() == "run-1"
    with valkey.client() as client:
        assert 0 < client.pttl("tried:writer") <= WRITER_MS
    view.sign_off("run-2")
    assert view.writer() == "run-1"
    view.sign_off("run-1")
    assert view.writer() is None


def test_the_password_does_not_show():
    assert "secret" not in repr(RedisView("redis://:secret@localhost:1", "tried"))
