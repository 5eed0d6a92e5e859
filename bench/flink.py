"""Events a second Pub/Sub -> Flink -> Redis on a real cluster, beside an empty pipeline, and how fresh Redis is.

    ours      the product: our source, decode, shuffle, fold, acknowledge; records in Redis (shuffled by shard), or in
              Flink's keyed state with Redis a view (shuffled by user)
    empty     the least that any pipeline does with the same pulls, for each of the two: packs, shuffles and
              acknowledges them (`bench.bare`); no state, no sink, nothing is decoded but where users are keys
    one slot  ours on one slot: with one core for all of this, as two slots have two, which is what scaling is told by;
              and with both cores, where TaskManager, worker, emulator and Redis fill more than one by themselves
    Beam      Beam's own ReadFromPubSub on its old DirectRunner, counting messages: what Python has elsewhere

All of it, Pub/Sub emulator, Flink, Redis and workers, runs on this machine: two cores share the work of what are many
machines in production. Messages are published as they are read (see `bench.feeder`). The pipelines run by turns, some
times over, and medians count; the first turn counts for nobody, since JVMs that have not yet compiled what they do cost
twice as much and more. Freshness is measured by a reader: one new user at a time is published at half the rate that
ours sustained, amid other traffic, and looked for in Redis until there.

    python bench/flink.py [--quick] [--json]

Takes some nine minutes. `--quick` runs ours and empty once, in this order, on JVMs that are cold: its figures say that
all of it works, and little more.
"""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from beam_pipelines.streaming import StreamingSettings
from bench.cores import held_to
from bench.feeder import Feeder
from bench.flink_jobs import POLL_S, TIMEOUT_S, Job, Kind, Spent, job, processor_time, sustained
from bench.report import arguments, finish, percentile
from tests.servers.flink import PROCESSES, Flink, flink_missing
from tests.servers.pubsub import PROJECT, PubSubEmulator, emulator_missing, pubsub_emulator
from tests.servers.redis import Valkey, running_valkey
from transforms import counters
from user_state.events.avro_files import SingleObject, interaction_schema, write_messages
from user_state.events.generate import generate
from user_state.spec import LoadedSpec, load_spec
from user_state.store.keys import record_key

SPEC = Path(__file__).parent.parent / "examples" / "feed" / "user_state.yaml"
USERS = 2_000
HOUR_US = 3_600_000_000
PROBE_EVERY_S = 0.03
BEAMS_OWN_MESSAGES = 10_000

OURS = Kind("ours", "redis", 2)
EMPTY = Kind("empty", "redis", 2)
RUNNER = Kind("ours", "runner", 2)
EMPTY_RUNNER = Kind("empty", "runner", 2)
ONE_SLOT_ONE_CORE = Kind("ours", "redis", 1, cores=1)
ONE_SLOT = Kind("ours", "redis", 1)


class Effort(NamedTuple):
    """How much is done.

    Attributes:
        kinds: which pipelines, in order.
        messages: of one run.
        warm: the share of them that is not timed: workers start, and set up, on it.
        warm_up: turns that count for nobody.
        turns: those that do.
        lasts_s: seconds that freshness is looked at.
    """

    kinds: tuple[Kind, ...]
    messages: int
    warm: float
    warm_up: int
    turns: int
    lasts_s: float


FULL = Effort(
    (OURS, EMPTY, RUNNER, EMPTY_RUNNER, ONE_SLOT_ONE_CORE, ONE_SLOT),
    messages=200_000,
    warm=0.1,
    warm_up=1,
    turns=3,
    lasts_s=30.0,
)
QUICK = Effort((OURS, EMPTY), messages=10_000, warm=0.5, warm_up=0, turns=1, lasts_s=1.5)


class Servers(NamedTuple):
    """What all runs share, and a folder for their files."""

    flink: Flink
    pubsub: PubSubEmulator
    valkey: Valkey
    folder: Path

    def pids(self) -> list[int]:
        """Return the processes, this one too, since it feeds."""
        cluster = [self.flink.pid(name) for name in PROCESSES]
        return [os.getpid(), *cluster, *self.flink.worker_pids(), self.pubsub.process.pid, self.valkey.pid]


class Measured(NamedTuple):
    """What runs of a kind came to, a number a turn."""

    rates: list[float]
    spent: list[Spent]

    @property
    def rate(self) -> float:
        """The median rate, events a second."""
        return median(self.rates)

    def times(self, other: Measured) -> float:
        """Return the median of how many times as fast this was as `other`, turn by turn."""
        return median(mine / its for mine, its in zip(self.rates, other.rates, strict=True))


@contextmanager
def running(kind: Kind, spec: LoadedSpec, servers: Servers, messages: int) -> Iterator[tuple[Job, Feeder]]:
    """Run a pipeline on a topic and an empty store of its own, with so many messages to feed."""
    name = f"bench-{time.time_ns()}"
    topic = servers.pubsub.create_topic(name)
    servers.pubsub.create_subscription(name, topic, ack_deadline_s=60)
    file = servers.folder / f"{name}.avro"
    traffic = generate(USERS, messages, 1, end_us=time.time_ns() // 1000, span_us=HOUR_US)
    write_messages(file, traffic, interaction_schema())
    feeder = Feeder(servers.pubsub.host, topic, file)
    file.unlink()
    with servers.valkey.client() as client:
        client.flushall()
    settings = StreamingSettings(
        input=f"pubsub://projects/{PROJECT}/subscriptions/{name}",
        redis=servers.valkey.url,
        dead_letters=str(servers.folder / "dead"),
    )
    try:
        with held_to(kind.cores, servers.pids()), job(kind, servers.flink, spec, settings) as one:
            yield one, feeder
    finally:
        feeder.close()


def freshness(feeder: Feeder, valkey: Valkey, spec: LoadedSpec, rate: float, lasts_s: float) -> tuple[list[float], int]:
    """Publish at `rate` for `lasts_s` seconds.

    Returns:
        Seconds from publishing a user's first event to reading it, for each such user; how many messages were sent.
    """
    bodies = SingleObject(interaction_schema())
    end_us = time.time_ns() // 1000
    made = [m.event for m in generate(USERS, 20_000, 3, end_us=end_us, span_us=HOUR_US) if m.event is not None]
    others = [bodies.encode(event) for event in made]
    sample = next(event for event in made if event["action"] == "view")
    waiting: dict[str, float] = {}
    took: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        with valkey.client() as client:
            until = time.monotonic() + lasts_s + 20
            while (waiting or not ended.is_set()) and time.monotonic() < until:
                users = list(waiting)
                held = client.mget([record_key(spec.spec.name, user) for user in users]) if users else []
                now = time.monotonic()
                for user, record in zip(users, held, strict=True):
                    if record is not None:
                        took.append(now - waiting.pop(user))
                time.sleep(0.005)

    reader = threading.Thread(target=watch)
    reader.start()
    began, sent, number = time.monotonic(), 0, 0
    while (elapsed := time.monotonic() - began) < lasts_s:
        due = int(elapsed * rate) - sent
        user = f"probe-{began}-{number}"
        event = {**sample, "user_id": user, "event_id": user, "event_time": time.time_ns() // 1000}
        event |= {"published_at": event["event_time"]} if "published_at" in event else {}
        chosen = [others[(sent + n) % len(others)] for n in range(max(0, due - 1))]
        place = random.randrange(len(chosen) + 1)
        batch = [*chosen[:place], bodies.encode(event), *chosen[place:]]
        waiting[user] = time.monotonic()
        feeder.publish(batch)
        sent, number = sent + len(batch), number + 1
        time.sleep(PROBE_EVERY_S)
    ended.set()
    reader.join()
    assert len(took) > 0.98 * number, f"{number - len(took)} of {number} probes never became readable"
    return took, sent


def beams_own(pubsub: PubSubEmulator, messages: int, name: str) -> float:
    """Return messages a second of Beam's own ReadFromPubSub on its old DirectRunner."""
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=60)
    pubsub.publish(topic, [b"x" * 90] * messages)
    done = subprocess.run(
        [sys.executable, "-m", "bench.beams_own", subscription, str(messages)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else 0.0


def measure(args: Any, servers: Servers) -> dict[str, float | str | None]:
    """Run all of it; print; return the results."""
    effort = QUICK if args.quick else FULL
    spec = load_spec(SPEC)
    spec = replace(spec, spec=spec.spec.model_copy(update={"allowed_lateness": 30 * 24 * HOUR_US}))
    found: dict[Kind, Measured] = defaultdict(lambda: Measured([], []))
    results: dict[str, float | str | None] = {}
    for turn in range(-effort.warm_up, effort.turns):
        for kind in effort.kinds:
            with running(kind, spec, servers, effort.messages) as (one, feeder):
                spent = lambda: processor_time(servers.flink, servers.pubsub, servers.valkey)  # noqa: E731
                rate, cost = sustained(one, feeder, round(effort.warm * effort.messages), effort.messages, spent)
                counts = "" if turn >= 0 else "  (warming up)"
                print(f"{kind!s:30} {rate:9,.0f} events/s; processor time an event, us: {cost}{counts}", flush=True)
                if turn >= 0:
                    found[kind].rates.append(rate)
                    found[kind].spent.append(cost)
                if turn == effort.turns - 1 and kind == OURS:
                    results |= look(one, feeder, servers.valkey, spec, rate / 2, effort.lasts_s)
    return results | summary(found, effort.turns)


def summary(found: dict[Kind, Measured], turns: int) -> dict[str, float | str | None]:
    """Print and return what the turns came to."""
    ours, empty = found[OURS], found[EMPTY]
    results: dict[str, float | str | None] = {
        "events_per_second": ours.rate,
        "empty_events_per_second": empty.rate,
        "ratio_to_empty_pipeline": ours.times(empty),
        "processor_us_per_event": median(sum(cost) for cost in ours.spent),
        "processor_us_per_event_empty": median(sum(cost) for cost in empty.spent),
        "scaling_1_to_2": None,
    }
    print(f"medians of {turns}:")
    print(
        f"  ours         {ours.rate:9,.0f} events/s, {ours.times(empty):.2f} of the empty pipeline's {empty.rate:,.0f}"
    )
    if ONE_SLOT in found:
        alone, spread = found[ONE_SLOT_ONE_CORE], found[ONE_SLOT]
        results |= {
            "one_slot_one_core_events_per_second": alone.rate,
            "scaling_1_to_2": ours.times(alone),
            "one_slot_two_cores_events_per_second": spread.rate,
            "scaling_1_to_2_same_cores": ours.times(spread),
        }
        print(
            f"  one slot     {alone.rate:9,.0f} events/s on one core, two on two do {ours.times(alone):.2f} times as"
            f" much; {spread.rate:,.0f} events/s on two cores, {ours.times(spread):.2f}"
        )
    if RUNNER in found:
        runner, same_way = found[RUNNER], found[EMPTY_RUNNER]
        results |= {
            "state_runner_events_per_second": runner.rate,
            "empty_state_runner_events_per_second": same_way.rate,
            "ratio_to_empty_pipeline_state_runner": runner.times(same_way),
            "ratio_of_state_runner_to_ours": runner.times(ours),
        }
        print(
            f"  state runner {runner.rate:9,.0f} events/s, {runner.times(same_way):.2f} of its empty pipeline's"
            f" {same_way.rate:,.0f}, {runner.times(ours):.2f} of ours"
        )
    return results


def look(
    one: Job, feeder: Feeder, valkey: Valkey, spec: LoadedSpec, rate: float, lasts_s: float
) -> dict[str, float | str | None]:
    """Measure freshness at a rate; return it, with what was written and redelivered until then."""
    took, sent = freshness(feeder, valkey, spec, rate, lasts_s)
    until = time.monotonic() + 10
    while one.counters()[1] < feeder.sent and time.monotonic() < until:
        time.sleep(POLL_S)
    so_far = one.board.counters()
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    redelivered = so_far.get(counters.READ, 0) / feeder.sent - 1
    writes = so_far.get(counters.WRITES, 0) / max(1, so_far.get(counters.APPLIED, 0))
    print(
        f"  freshness at {sent / lasts_s:,.0f} events/s: p50 {p50:.2f} s, p99 {p99:.2f} s, {len(took)} users looked for"
    )
    print(f"  redelivered {redelivered:.2%}; {writes:.2f} writes an event")
    return {
        "freshness_p50_s": p50,
        "freshness_p99_s": p99,
        "redelivery_share": redelivered,
        "writes_per_event": writes,
    }


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    logging.getLogger().setLevel(logging.ERROR)
    missing = flink_missing() or emulator_missing()
    if missing is not None:
        sys.exit(f"bench/flink.py needs a real Flink and the Pub/Sub emulator: {missing}")
    results: dict[str, float | str | None] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="user-state-bench-")))
        # Without spare workers: they would start amid what is timed. Flink comes up beside the emulator.
        cluster = partial(Flink, folder / "flink", spares=0)
        starting = stack.enter_context(ThreadPoolExecutor(1)).submit(cluster)
        stack.callback(lambda: starting.result().stop())
        pubsub = stack.enter_context(pubsub_emulator())
        os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.host
        valkey = stack.enter_context(running_valkey(folder / "valkey"))
        results = measure(args, Servers(starting.result(), pubsub, valkey, folder))
        if not args.quick:
            own = beams_own(pubsub, BEAMS_OWN_MESSAGES, "bench-beams-own")
            results["beams_own_direct_runner_events_per_second"] = own or None
            print(f"  Beam's own   {own:9,.0f} events/s on DirectRunner, counting only")
    finish(args, results)


if __name__ == "__main__":
    main()
