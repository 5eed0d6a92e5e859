"""A user's timer: it deletes nobody before the retention is over, whoever fires it, and shows again what was lost."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.redis import Valkey, running_valkey
from tests.trying import batch_of, event, spec_of
from transforms.fold_into_state import TOLERANCE_MS, _FoldFn
from user_state.errors import StoreUnavailable
from user_state.plan.compile import compile_plan
from user_state.state.remembered_ids import FORMAT as NO_IDS
from user_state.state.runner_state import decode_cell
from user_state.store.keys import record_key, registry_key, writer_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.store import Replacement, Stored

DAY_MS = 86_400_000
SPEC = spec_of(features={"f": {"aggregate": "count", "windows": ["lifetime"]}})
PLAN = compile_plan(SPEC)
REFRESH_S = 3600.0


class Handle:
    """A user's cell as the runner keeps it from bundle to bundle."""

    def __init__(self) -> None:
        self.value: bytes | None = None

    def read(self) -> bytes | None:
        return self.value

    def write(self, value: bytes) -> None:
        self.value = value

    def clear(self) -> None:
        self.value = None


class Timer:
    """The times a timer was set to, milliseconds."""

    def __init__(self) -> None:
        self.set_to_ms: list[int] = []

    def set(self, at) -> None:
        self.set_to_ms.append(at.micros // 1000)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Valkey]:
    with running_valkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def fold(redis: Valkey) -> Iterator[_FoldFn]:
    one = _FoldFn(SPEC, redis.url, 5.0, REFRESH_S, None, None)
    one.setup()
    yield one
    one.teardown()


@pytest.fixture
def clock(monkeypatch):
    """Sets the clock of the step."""

    def set_to(now_ms: int) -> None:
        monkeypatch.setattr("transforms.fold_into_state._now_ms", lambda: now_ms)

    return set_to


def held_in(redis: Valkey) -> Stored:
    with closing(RedisStateStore(redis.url, SPEC.spec.name)) as store:
        return store.read(["u"])[0]


def bundle(fold: _FoldFn, handle: Handle, timer: Timer, *events) -> None:
    fold.start_bundle()
    for one in events:
        packet = batch_of(PLAN, [one]).pack()
        assert list(fold.process(("u", packet), handle, timer, 0)) == []
    assert list(fold.finish_bundle()) == []


def fire(fold: _FoldFn, handle: Handle, timer: Timer) -> None:
    fold.start_bundle()
    fold.look("u", handle, timer)
    assert list(fold.finish_bundle()) == []


def test_the_cell_and_the_view_hold_the_same_and_the_timer_is_set_once(fold, redis):
    handle, timer = Handle(), Timer()
    now_ms = time.time_ns() // 1_000_000

    bundle(fold, handle, timer, event(now_ms * 1000, "u"), event(now_ms * 1000, "u"))
    bundle(fold, handle, timer, event(now_ms * 1000, "u"))

    cell = decode_cell(handle.value)
    assert Stored(cell.record, cell.seen) == held_in(redis)
    assert len(timer.set_to_ms) == 1
    assert cell.look_at_ms == timer.set_to_ms[0]
    assert now_ms + 1000 * REFRESH_S <= cell.look_at_ms < now_ms + 1000 * REFRESH_S + 10_000


def test_a_timer_that_a_drain_fires_long_before_its_time_changes_nothing(fold, redis, clock):
    handle, timer = Handle(), Timer()
    bundle(fold, handle, timer, event(time.time_ns() // 1000, "u"))
    before = handle.value
    with redis.client() as client:
        client.flushall()

    fire(fold, handle, timer)

    assert handle.value == before
    assert len(timer.set_to_ms) == 1
    assert held_in(redis) == Stored(None, None)


def test_a_timer_that_fires_in_time_or_a_little_before_shows_again_what_the_view_has_lost(fold, redis, clock):
    handle, timer = Handle(), Timer()
    bundle(fold, handle, timer, event(time.time_ns() // 1000, "u"))
    cell = decode_cell(handle.value)
    with redis.client() as client:
        client.flushall()
    clock(cell.look_at_ms - TOLERANCE_MS // 2)

    fire(fold, handle, timer)

    assert held_in(redis) == Stored(cell.record, cell.seen)
    assert timer.set_to_ms[1:] == [cell.look_at_ms - TOLERANCE_MS // 2 + round(1000 * REFRESH_S)]
    fire(fold, handle, timer)  # a drain fires what was just set: it must come to an end
    assert len(timer.set_to_ms) == 2


def test_a_user_is_forgotten_when_the_retention_is_over_and_not_a_second_before(fold, redis, clock):
    handle, timer = Handle(), Timer()
    bundle(fold, handle, timer, event(time.time_ns() // 1000, "u"))
    cell = decode_cell(handle.value)
    assert cell.expire_at_ms - time.time_ns() // 1_000_000 <= PLAN.retention_us // 1000

    clock(cell.expire_at_ms - 1)
    fire(fold, handle, timer)
    assert decode_cell(handle.value).record == cell.record

    clock(cell.expire_at_ms + 60_000)
    fire(fold, handle, timer)
    assert handle.value is None


def test_a_user_who_comes_back_in_the_bundle_that_forgets_them_is_looked_at_again(fold, redis, clock):
    handle, timer = Handle(), Timer()
    bundle(fold, handle, timer, event(time.time_ns() // 1000, "u"))
    later_ms = decode_cell(handle.value).expire_at_ms + 60_000
    clock(later_ms)
    packet = batch_of(PLAN, [event(later_ms * 1000, "u")]).pack()
    timer.set_to_ms.clear()

    fold.start_bundle()
    fold.look("u", handle, timer)
    assert handle.value is None
    assert list(fold.process(("u", packet), handle, timer, 0)) == []
    assert list(fold.finish_bundle()) == []

    assert timer.set_to_ms == [decode_cell(handle.value).look_at_ms]
    assert timer.set_to_ms[0] > later_ms


def test_a_user_without_a_cell_begins_with_what_redis_holds(fold, redis):
    first, second, timer = Handle(), Handle(), Timer()
    one, two = (event(time.time_ns() // 1000, "u") for _ in range(2))
    bundle(fold, first, timer, one)

    bundle(fold, second, timer, one, two)  # another job, whose state is empty

    bundle(fold, first, timer, two)
    assert decode_cell(first.value).seen == decode_cell(second.value).seen
    assert held_in(redis).seen == decode_cell(first.value).seen


@pytest.mark.parametrize("away", [False, True], ids=["unnoticed", "while written to"])
def test_a_redis_that_has_lost_everything_is_told_again_at_once_whose_records_these_are_and_how_to_read_them(
    fold, redis, away
):
    handle, timer = Handle(), Timer()
    bundle(fold, handle, timer, event(time.time_ns() // 1000, "u"))
    redis.kill_9()
    if away:
        with pytest.raises(StoreUnavailable):
            fold._show([Replacement("u", b"", bytes(20), NO_IDS, 2**42)])
    redis.restart()

    bundle(fold, handle, timer, event(time.time_ns() // 1000, "u"))

    assert written_by_and_layouts(redis) == (b"direct", 1)


def test_a_process_that_has_folded_nothing_yet_says_how_what_it_shows_is_read(fold, redis, clock):
    handle, timer = Handle(), Timer()
    bundle(fold, handle, timer, event(time.time_ns() // 1000, "u"))
    cell = decode_cell(handle.value)
    with redis.client() as client:
        client.flushall()
    clock(cell.look_at_ms)
    restarted = _FoldFn(SPEC, redis.url, 5.0, REFRESH_S, None, None)
    restarted.setup()

    fire(restarted, handle, timer)

    restarted.teardown()
    assert held_in(redis) == Stored(cell.record, cell.seen)
    assert written_by_and_layouts(redis) == (b"direct", 1)


def written_by_and_layouts(redis: Valkey) -> tuple[bytes, int]:
    with redis.client() as client:
        layouts = [field for field in client.hkeys(registry_key(SPEC.spec.name)) if field.startswith(b"layout:")]
        return client.get(writer_key(SPEC.spec.name)), len(layouts)


def test_what_a_job_that_went_back_to_a_checkpoint_finds_in_redis_is_kept_though_no_event_is_new(fold, redis, clock):
    """Redis, which shows more than the checkpoint held, is lost after the same events have come again."""
    before, restored, timer = Handle(), Handle(), Timer()
    now_us = time.time_ns() // 1000
    one, two = event(now_us - 1000, "u"), event(now_us, "u")
    bundle(fold, before, timer, one, two)
    shown = held_in(redis)

    bundle(fold, restored, timer, one)
    bundle(fold, restored, timer, two)

    with redis.client() as client:
        client.flushall()
    clock(decode_cell(restored.value).look_at_ms)
    fire(fold, restored, timer)
    assert held_in(redis).seen == shown.seen
    assert decode_cell(restored.value).expire_at_ms == (two["event_time"] + PLAN.retention_us) // 1000


def test_a_record_in_redis_that_makes_no_sense_is_no_cell(fold, redis):
    handle, timer = Handle(), Timer()
    with redis.client() as client:
        client.set(record_key(SPEC.spec.name, "u"), b"nonsense")
    fold.start_bundle()
    packet = batch_of(PLAN, [event(time.time_ns() // 1000, "u")]).pack()
    assert list(fold.process(("u", packet), handle, timer, 0)) == []

    assert len(list(fold.finish_bundle())) == 1  # a dead letter

    assert handle.value is None
