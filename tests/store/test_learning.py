"""The item stage: whatever happens on the way, items' records are a function of the set of users' events."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.learned_pairs import Act, item_sums, pairs_of
from tests.servers.redis import Valkey
from user_state import item_stage
from user_state.errors import SpecSuperseded, StoreUnavailable
from user_state.evaluation.memory_store import MemoryStore
from user_state.fold import Folder
from user_state.item_stage import ItemStage
from user_state.plan.compile import compile_plan
from user_state.plan.compile.learned import item_plan
from user_state.plan.plan import Plan
from user_state.spec import parse_spec
from user_state.state.envelope import heads_of
from user_state.state.histories import SumsReader
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords
from user_state.store.redis_store import RedisStateStore
from user_state.store.specs import force_epoch, propose_epoch
from user_state.store.store import Answer, Replaced, Replacement, StateStore

SPEC = """
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1h
max_clock_skew: 5m
retention: 36500d
features: {all: {aggregate: count, windows: lifetime}}
items:
  together: {dimensions: 32, learned: {of: item_id, reach: REACH, half_life: 1m, spread: SPREAD}}
"""
DIMENSIONS, HALF_LIFE_US, START_US = 32, 60_000_000, 10**15
Stores = dict[str, MemoryStore]


def plan_of(reach: int = 30, spread: int = 3) -> Plan:
    return compile_plan(parse_spec(SPEC.replace("REACH", str(reach)).replace("SPREAD", str(spread)), beside=Path()))


def acts_by_chance(seed: int, count: int, users: int = 4, items: int = 9, span_s: int = 900) -> list[Act]:
    """Return events in order of time, some of one second, some without an item."""
    rng = random.Random(seed)
    seconds = sorted(rng.randrange(span_s) for _ in range(count))
    return [
        Act(
            f"e{n}",
            f"u{rng.randrange(users)}",
            None if rng.random() < 0.05 else f"i{rng.randrange(items)}",
            START_US + second * 1_000_000,
        )
        for n, second in enumerate(seconds)
    ]


class Pipeline:
    """A worker: folds into stores that outlive it."""

    def __init__(self, plan: Plan, users: StateStore, items: StateStore, cache_bytes: int = 0) -> None:
        self.stage = ItemStage(plan, lambda _: items, cache_bytes=cache_bytes)
        self.stage.start()
        self.folder = Folder(plan, users, cache_bytes=cache_bytes, before_write=self.stage.learn)
        self.folder.start()

    def fold(self, acts: Sequence[Act]) -> list[int]:
        return self.folder.fold([act.row() for act in acts]).outcome.tolist()


def read_sums(plan: Plan, store: StateStore, items: Sequence[str]) -> dict[str, tuple[np.ndarray, int]]:
    """Return each item's sum and how many derived events it is made of, as stored; those without a record left out."""
    spread = plan.learned[0].spread
    names = [f"{item}#{part}" for item in items for part in range(spread)]
    blobs = [stored.record for stored in store.read(names)]
    of_items = item_plan(plan, plan.learned[0])
    sums, broken = SumsReader(of_items, PackedRecords(of_items, store)).read(blobs)
    assert not broken, broken
    heads, _ = heads_of(blobs)
    found: dict[str, tuple[np.ndarray, int]] = {}
    for at, blob in enumerate(blobs):
        if blob is not None:
            total, count = found.get(items[at // spread], (0.0, 0))
            found[items[at // spread]] = total + sums.sums[at, 0], count + int(heads.applied[at])
    return found


def check(plan: Plan, store: StateStore, acts: Sequence[Act], reach: int = 10**9) -> None:
    """Hold items' records against plain loops."""
    pairs = pairs_of(acts, HALF_LIFE_US, reach)
    expected = item_sums(pairs, DIMENSIONS)
    held = read_sums(plan, store, sorted({act.item for act in acts if act.item is not None}))
    assert set(held) == set(expected)
    for item, (total, count) in held.items():
        # The longest half-life, a century, forgets one part in 10^7 of a quarter of an hour.
        np.testing.assert_allclose(total, expected[item], rtol=1e-5, atol=1e-5)
        assert count == sum(pair[0] == item for pair in pairs)


def batches(acts: Sequence[Act], rng: random.Random) -> list[list[Act]]:
    cut, at = [], 0
    while at < len(acts):
        size = rng.choice((1, 2, 7, 40))
        cut.append(list(acts[at : at + size]))
        at += size
    return cut


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 120), st.sampled_from([1, 2, 8, 64]))
def test_any_order_batching_and_repetition_gives_the_same_items(seed: int, count: int, spread: int) -> None:
    """As long as no user does more than the log holds in what a pair spans, the set of events decides."""
    rng = random.Random(seed)
    acts = acts_by_chance(seed, count)
    arriving = acts + rng.sample(acts, len(acts) // 3)
    rng.shuffle(arriving)
    plan, users, items = plan_of(130, spread), MemoryStore(), MemoryStore()
    pipeline = Pipeline(plan, users, items)
    outcomes = [outcome for batch in batches(arriving, rng) for outcome in pipeline.fold(batch)]
    assert outcomes.count(Outcome.APPLIED) == len(acts)
    assert outcomes.count(Outcome.DUPLICATE) == len(arriving) - len(acts)
    check(plan, items, acts)


@pytest.mark.parametrize("seed", range(3))
def test_in_order_the_reach_is_kept_to_however_events_are_batched(seed: int) -> None:
    acts = acts_by_chance(seed, 300, users=2, span_s=200)
    plan, users, items = plan_of(reach=5), MemoryStore(), MemoryStore()
    pipeline = Pipeline(plan, users, items)
    # Within one second the order is that of ties, not of arrival, so batches end with a second.
    acts.sort(key=lambda act: act.order)
    for batch in batches(acts, random.Random(seed)):
        pipeline.fold(batch)
    check(plan, items, acts, reach=5)
    everything = MemoryStore()
    Pipeline(plan, MemoryStore(), everything).fold(acts)
    check(plan, everything, acts, reach=5)


def test_a_late_event_is_paired_on_both_sides() -> None:
    a, b, c = (Act(f"e{n}", "u", item, START_US + n * 10_000_000) for n, item in enumerate("abc"))
    plan, users, items = plan_of(), MemoryStore(), MemoryStore()
    pipeline = Pipeline(plan, users, items)
    pipeline.fold([a, c])
    before = read_sums(plan, items, ["a", "b", "c"])
    assert set(before) == {"a", "c"}
    pipeline.fold([b])
    check(plan, items, [a, b, c])
    assert read_sums(plan, items, ["b"])["b"][1] == 2


class DyingStore(MemoryStore):
    """Writes that succeed a number of times, and then never again."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """Replace, or be gone."""
        if self.left <= 0:
            raise StoreUnavailable("gone")
        self.left -= 1
        return super().replace(replacements)


@pytest.mark.parametrize("dies", ["users", "items"])
@pytest.mark.parametrize("seed", range(4))
def test_a_crash_on_either_side_loses_nothing_and_counts_nothing_twice(seed: int, dies: str) -> None:
    rng = random.Random(seed)
    acts = acts_by_chance(seed, 120)
    plan = plan_of(reach=130)
    stores: Stores = {"users": MemoryStore(), "items": MemoryStore()}
    stores[dies] = DyingStore(0)
    waiting = batches(acts, rng)
    crashes = 0
    while waiting:
        dying = stores[dies]
        assert isinstance(dying, DyingStore)
        dying.left = rng.randrange(0, 3)
        worker = Pipeline(plan, stores["users"], stores["items"], cache_bytes=rng.choice((0, 1 << 20)))
        try:
            while waiting:
                worker.fold(waiting[0])
                waiting.pop(0)  # acknowledged
        except StoreUnavailable:
            crashes += 1
            # What was not acknowledged comes again, in another order and other batches.
            again = [act for batch in waiting for act in batch]
            rng.shuffle(again)
            waiting = batches(again, rng)
    assert crashes > 3
    check(plan, stores["items"], acts)


def test_two_workers_side_by_side_in_valkey(valkey: Valkey) -> None:
    """Both hold old versions of everything in their caches, so both meet conflicts, of users and of items."""
    acts = acts_by_chance(5, 240, users=5, items=6)
    plan = plan_of(reach=200)
    of_items = item_plan(plan, plan.learned[0]).name
    assert of_items == "feed.items.together.3"
    stores = [RedisStateStore(valkey.url, name) for name in (plan.name, of_items) for _ in range(2)]
    try:
        workers = [Pipeline(plan, stores[n], stores[2 + n], cache_bytes=1 << 20) for n in range(2)]
        for n, batch in enumerate(batches(acts, random.Random(5))):
            workers[n % 2].fold(batch)
            if n % 5 == 0:
                workers[(n + 1) % 2].fold(batch)  # redelivered to the other
        reports = [worker.stage.take_report() for worker in workers]
        assert all(report.conflicts > 0 and report.refused == 0 for report in reports)
        assert sum(report.applied for report in reports) == len(pairs_of(acts, HALF_LIFE_US))
        check(plan, stores[2], acts)
    finally:
        for store in stores:
            store.close()


@pytest.mark.parametrize(("spread", "conflicts"), [(1, True), (2, False), (6, False)])
def test_two_workers_of_a_shard_each_never_meet_at_an_item_that_is_spread(
    valkey: Valkey, spread: int, conflicts: bool
) -> None:
    acts = acts_by_chance(3, 240, users=12, items=3)
    plan = plan_of(200, spread)
    stores = [
        RedisStateStore(valkey.url, plan.name),
        RedisStateStore(valkey.url, item_plan(plan, plan.learned[0]).name),
    ]
    try:
        workers = [Pipeline(plan, *stores, cache_bytes=1 << 20) for _ in range(2)]
        for batch in batches(acts, random.Random(5)):
            for shard, worker in enumerate(workers):
                worker.fold([act for act in batch if xxhash.xxh64_intdigest(act.user.encode()) % 2 == shard])
        reports = [worker.stage.take_report() for worker in workers]
        assert all(report.writes > 10 and (report.conflicts > 0) == conflicts for report in reports)
        check(plan, stores[1], acts)
    finally:
        for store in stores:
            store.close()


def test_a_table_that_is_spread_anew_starts_anew_and_counts_no_pair_twice(valkey: Valkey) -> None:
    """The worker of the old spec dies between the two folds, so the pairs that it stored arise once more."""
    acts = acts_by_chance(4, 60)
    assert plan_of(100, 2).definition != plan_of(100, 3).definition, "workers of both would write users at once"
    for spread in (2, 3, 2):
        plan = plan_of(100, spread)
        items = RedisStateStore(valkey.url, item_plan(plan, plan.learned[0]).name)
        try:
            with pytest.raises(StoreUnavailable):
                Pipeline(plan, DyingStore(0), items).fold(acts)
            check(plan, items, acts)
        finally:
            items.close()


def test_a_burst_of_more_pairs_than_a_part_remembers_is_folded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_stage, "FOLD_AT_MOST", 1_000)
    acts = [Act(f"e{n}", "u", "tea" if n % 2 else f"i{n % 7}", START_US + n * 1_000_000) for n in range(900)]
    plan, items = plan_of(reach=10, spread=8), MemoryStore()
    pipeline = Pipeline(plan, MemoryStore(), items)
    pipeline.fold(acts)
    assert pipeline.stage.take_report().refused == 0
    assert read_sums(plan, items, ["tea"])["tea"][1] > item_plan(plan, plan.learned[0]).seen_ids_cap
    check(plan, items, acts, reach=10)


def test_pairs_too_late_for_an_item_are_counted_and_not_folded() -> None:
    hour_us = 3_600_000_000
    plan, users, items = plan_of(spread=1), MemoryStore(), MemoryStore()
    pipeline = Pipeline(plan, users, items)
    pipeline.fold([Act("a", "new", "x", START_US + 4 * hour_us), Act("b", "new", "y", START_US + 4 * hour_us)])
    assert pipeline.stage.take_report().refused == 0
    # Another user's part of the stream lags four hours: fine for the user, beyond what the item remembers pairs for.
    assert pipeline.fold([Act("c", "old", "x", START_US), Act("d", "old", "z", START_US)]) == [0, 0]
    report = pipeline.stage.take_report()
    assert (report.applied, report.refused) == (1, 1)
    assert read_sums(plan, items, ["x", "z"])["x"][1] == 1


class BusyStore(MemoryStore):
    """It is another writer's turn at the parts of one item, for as long as `busy` says."""

    busy: str | None = None

    def _is_busy(self, part: str) -> bool:
        return self.busy is not None and part.startswith(f"{self.busy}#")

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """Replace all but the one."""
        free = [one for one in replacements if not self._is_busy(one.user)]
        answers = iter(super().replace(free).answers)
        return Replaced([Answer.BUSY if self._is_busy(one.user) else next(answers) for one in replacements])


def test_a_user_waits_for_pairs_whose_item_others_write_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event enters its user's record only once its pairs are stored."""
    monkeypatch.setattr("user_state.store.contention.LONGEST_PAUSE_S", 0.0)
    acts = [Act(f"e{n}", "u", item, START_US + n * 10_000_000) for n, item in enumerate("abc")]
    plan, users, items = plan_of(), MemoryStore(), BusyStore()
    items.busy = "b"
    pipeline = Pipeline(plan, users, items)
    with pytest.raises(StoreUnavailable, match="1 records of learned items are written by other workers"):
        pipeline.fold(acts)
    assert users.read(["u"])[0].record is None
    items.busy = None
    assert pipeline.fold(acts) == [Outcome.APPLIED] * 3
    check(plan, items, acts)


def changed(half_life: str = "1m", lateness: str = "1h") -> Plan:
    text = SPEC.replace("REACH", "30").replace("SPREAD", "2").replace("half_life: 1m", f"half_life: {half_life}")
    return compile_plan(
        parse_spec(text.replace("allowed_lateness: 1h", f"allowed_lateness: {lateness}"), beside=Path())
    )


def test_items_are_written_by_the_spec_that_writes_users_and_by_no_older_one(valkey: Valkey) -> None:
    """The third spec learns as the first did, and is none the older for it."""
    specs = [changed(), changed("2m"), changed(lateness="2h")]
    assert item_plan(specs[0], specs[0].learned[0]).vectors == item_plan(specs[2], specs[2].learned[0]).vectors
    assert len({plan.definition for plan in specs}) == 3
    with ExitStack() as opened:

        def stage_of(plan: Plan, epoch: int) -> ItemStage:
            stage = ItemStage(plan, lambda name: RedisStateStore(valkey.url, name), epoch=epoch)
            opened.callback(stage.close)
            stage.start()
            return stage

        for epoch, plan in enumerate(specs, 1):
            assert propose_epoch(valkey.url, plan, epoch) == epoch
            with closing(RedisStateStore(valkey.url, plan.name)) as users:
                Folder(plan, users, epoch=epoch).start()
            stage_of(plan, epoch)
        for plan in specs[:2]:
            with pytest.raises(SpecSuperseded):
                stage_of(plan, 9)
        stage_of(specs[2], 9)
        force_epoch(valkey.url, specs[0], 10)
        stage_of(specs[0], 11)
        with pytest.raises(SpecSuperseded):
            stage_of(specs[2], 12)


def test_a_spec_that_changes_nothing_about_items_stops_an_older_ones_item_stage_too(valkey: Valkey) -> None:
    older, newer = (
        changed(),
        compile_plan(
            parse_spec(SPEC.replace("REACH", "30").replace("SPREAD", "2") + "seen_ids_cap: 500\n", beside=Path())
        ),
    )
    acts = acts_by_chance(1, 40)
    names = older.name, item_plan(older, older.learned[0]).name
    with ExitStack() as opened:
        stores = [opened.enter_context(closing(RedisStateStore(valkey.url, name))) for name in names * 2]
        Pipeline(older, stores[0], stores[1]).fold(acts[:20])
        running = Pipeline(older, stores[0], stores[1])
        before = read_sums(older, stores[1], sorted({act.item for act in acts if act.item}))
        Pipeline(newer, stores[2], stores[3])
        with pytest.raises(SpecSuperseded):
            running.fold(acts[20:])
        assert read_sums(older, stores[1], sorted({act.item for act in acts if act.item})).keys() == before.keys()
