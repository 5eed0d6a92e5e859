"""Events a second Pub/Sub -> Flink -> Redis on a real cluster, beside an empty pipeline, and how fresh Redis is.

    ours      the product on two slots: our source, decode, shuffle by shard, fold in Redis, acknowledge
    empty     the same source and shuffle on two slots: no decoding, no logic, no sink; acknowledges
    runner    ours with --state runner: records in Flink's keyed state, checkpoints, Redis a view
    one slot  ours on one slot: what a second slot is worth
    Beam      Beam's own ReadFromPubSub on its old DirectRunner, counting messages: what Python has elsewhere

All of it, Pub/Sub emulator, Flink, Redis and workers, runs on this machine: two cores share the work of what are many
machines in production. Messages wait when a pipeline starts; rates are from the first 10 % to the last message, so that
start-up counts for nobody. Before anything is timed, all pipelines work off some messages: JVMs of emulator and
TaskManager that have not yet compiled what they do cost twice as much, and more, so that whatever came first would look
slow beside what came last. Freshness is measured by a reader: one new user at a time is published at half the rate that
ours sustained, amid other traffic, and looked for in Redis until there.

    python bench/flink.py [--quick] [--json]
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.typehints import Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from beam_pipelines.flink.cluster import FlinkCluster
from beam_pipelines.flink.options import FlinkSettings, beam_arguments, with_state
from beam_pipelines.publish import publish_file
from beam_pipelines.streaming import StreamingSettings, build, source_of
from bench.pipeline import SHARDS
from bench.report import arguments, finish, percentile
from tests.servers.flink import Flink, cpu_seconds, flink_missing
from tests.servers.pubsub import PROJECT, PubSubEmulator, emulator_missing, pubsub_emulator
from tests.servers.redis import Valkey, running_valkey
from transforms import tally
from transforms.acknowledge import acknowledge_messages
from transforms.packet import pack_decoded, unpack_decoded
from transforms.remote_run import RemoteRun, join
from user_state.events.avro_files import SingleObject, interaction_schema, write_messages
from user_state.events.generate import generate
from user_state.spec import LoadedSpec, load_spec
from user_state.store.keys import record_key
from user_state.store.run_board import RunBoard

SPEC = Path(__file__).parent.parent / "examples" / "feed" / "user_state.yaml"
USERS = 2_000
HOUR_US = 3_600_000_000
TIMEOUT_S = 180.0
POLL_S = 0.02
WARM = 0.1
"""Share of the messages that is not timed: processes warm up on it."""
WARM_UP = (
    ("ours", 2, "redis"),
    ("ours", 2, "runner"),
    ("ours", 1, "redis"),
    ("ours", 2, "redis"),
    ("empty", 2, "redis"),
)
"""What runs before anything is timed: kind, slots, state."""
PROBE_EVERY_S = 0.03
DONE = (tally.APPLIED, tally.DUPLICATE, tally.IGNORED, tally.DEAD_LETTER)


class _SpreadFn(beam.DoFn):
    """Stands where decoding stands: the same packets, of the same messages, to shards in turn."""

    def __init__(self, run: RemoteRun) -> None:
        self._run = run

    def setup(self) -> None:
        join(self._run)

    def process(self, pull: list[Any]) -> Iterator[tuple[int, bytes]]:
        tally.count(tally.READ, len(pull))
        for shard in range(SHARDS):
            yield shard, pack_decoded([], pull[shard::SHARDS])


class _DropFn(beam.DoFn):
    """Stands where folding stands: takes packets by key, does nothing, acknowledges."""

    CELL = beam.transforms.userstate.ReadModifyWriteStateSpec("cell", beam.coders.BytesCoder())

    def __init__(self, run: RemoteRun) -> None:
        self._run = run

    def setup(self) -> None:
        join(self._run)

    def start_bundle(self) -> None:
        self._messages: list[Any] = []

    def process(self, packet: tuple[int, bytes], cell: Any = beam.DoFn.StateParam(CELL)) -> None:  # noqa: B008
        self._messages += unpack_decoded(packet[1]).messages

    def finish_bundle(self) -> None:
        acknowledge_messages(self._messages)
        tally.count(tally.APPLIED, len(self._messages))


class Job(NamedTuple):
    """A job that runs on the cluster."""

    cluster: FlinkCluster
    id: str
    board: RunBoard

    def done(self) -> int:
        """Return how many messages have ended in a bin."""
        counters = self.board.counters()
        return sum(counters.get(name, 0) for name in DONE)


@contextmanager
def job(kind: str, slots: int, flink: Flink, spec: LoadedSpec, settings: StreamingSettings) -> Iterator[Job]:
    """Run a pipeline, `ours` or `empty`, for the length of a `with` block."""
    name = f"bench-{kind}-{time.time_ns()}"
    where = with_state(FlinkSettings(flink.rest, flink.job_endpoint, flink.worker_pool), settings.state)
    settings = replace(settings, run=name)
    given = beam_arguments(where, name, slots, os.environ.get("BENCH_BEAM", "").split(), os.environ)
    pipeline = beam.Pipeline(options=PipelineOptions(["--streaming", *given]))
    if kind == "ours":
        build(pipeline, spec, settings)
    else:
        run = RemoteRun(settings.redis, spec.spec.name, name)
        pulls = pipeline | "Read" >> source_of(spec, settings)
        keyed = pulls | "Spread" >> beam.ParDo(_SpreadFn(run)).with_output_types(Tuple[int, bytes])
        keyed | "Drop" >> beam.ParDo(_DropFn(run))
    pipeline.run()
    cluster = FlinkCluster(flink.rest)
    until = time.monotonic() + TIMEOUT_S
    while (found := next(iter(cluster.job_ids(name)), None)) is None:
        assert time.monotonic() < until, "the job did not start"
        time.sleep(POLL_S)
    board = RunBoard(settings.redis, spec.spec.name, name)
    try:
        yield Job(cluster, found, board)
    finally:
        cluster.cancel(found)
        while cluster.state(found) != "CANCELED":
            time.sleep(POLL_S)
        board.close()


class Spent(NamedTuple):
    """Processor time an event, microseconds, by who spent it."""

    workers: float
    taskmanager: float
    emulator: float
    redis: float

    def text(self) -> str:
        """Return it in words, with what it allows on two cores that do nothing else."""
        each = ", ".join(f"{name} {value:.0f}" for name, value in self._asdict().items())
        return f"processor time an event, us: {each}; two idle cores could do {2e6 / max(1.0, sum(self)):,.0f} events/s"


def processor_time(flink: Flink, pubsub: PubSubEmulator, valkey: Valkey) -> list[float]:
    """Return seconds used so far, in the order of `Spent`."""
    return [
        sum(cpu_seconds(pid) for pid in flink.worker_pids()),
        cpu_seconds(flink.pid("taskmanager")),
        cpu_seconds(pubsub.process.pid),
        cpu_seconds(valkey.pid),
    ]


def sustained(one: Job, messages: int, spent: Callable[[], list[float]]) -> tuple[float, Spent]:
    """Return events a second from the first WARM of the messages to the last, and the processor time of an event."""
    first: tuple[float, int] | None = None
    used: list[float] = []
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        done, now = one.done(), time.monotonic()
        if first is None and done >= WARM * messages:
            first, used = (now, done), spent()
        if done >= messages and first is not None:
            assert now > first[0], "too few messages to tell a rate"
            events = done - first[1]
            share = [1e6 * (after - before) / events for before, after in zip(used, spent(), strict=True)]
            return events / (now - first[0]), Spent(*share)
        time.sleep(POLL_S)
    raise AssertionError(f"{one.done():,} of {messages:,} messages within {TIMEOUT_S:.0f} s")


def freshness(
    pubsub: PubSubEmulator, topic: str, valkey: Valkey, spec: LoadedSpec, rate: float, lasts_s: float
) -> tuple[list[float], int]:
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

    def look() -> None:
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

    reader = threading.Thread(target=look)
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
        pubsub.publish(topic, batch)
        sent, number = sent + len(batch), number + 1
        time.sleep(PROBE_EVERY_S)
    ended.set()
    reader.join()
    assert len(took) > 0.98 * number, f"{number - len(took)} of {number} probes never became readable"
    return took, sent


def beams_own(pubsub: PubSubEmulator, folder: Path, messages: int, name: str) -> float:
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


def measure(
    args: Any, folder: Path, flink: Flink, pubsub: PubSubEmulator, valkey: Valkey
) -> dict[str, float | str | None]:
    """Run all of it; print; return the results."""
    messages, lasts_s = (20_000, 5.0) if args.quick else (150_000, 30.0)
    spec = load_spec(SPEC)
    spec = replace(spec, spec=spec.spec.model_copy(update={"allowed_lateness": 30 * 24 * HOUR_US}))
    number = iter(range(100))

    def waiting(count: int) -> tuple[str, StreamingSettings]:
        """Publish `count` messages to a new topic; return it, and settings for a store of its own."""
        name = f"bench-{next(number)}"
        topic = pubsub.create_topic(name)
        pubsub.create_subscription(name, topic, ack_deadline_s=60)
        file = folder / f"{name}.avro"
        end_us = time.time_ns() // 1000
        write_messages(file, generate(USERS, count, 1, end_us=end_us, span_us=HOUR_US), interaction_schema())
        publish_file(spec, str(file), topic)
        with valkey.client() as client:
            client.flushall()
        settings = StreamingSettings(
            input=f"pubsub://projects/{PROJECT}/subscriptions/{name}",
            redis=valkey.url,
            dead_letters=str(folder / "dead"),
        )
        return topic, settings

    def spent() -> list[float]:
        return processor_time(flink, pubsub, valkey)

    for kind, slots, state in WARM_UP[:1] if args.quick else WARM_UP:
        _, settings = waiting(messages)
        with job(kind, slots, flink, spec, replace(settings, state=state)) as one:
            sustained(one, messages, spent)
    results: dict[str, float | str | None] = {}
    topic, settings = waiting(messages)
    with job("ours", 2, flink, spec, settings) as one:
        ours, cost = sustained(one, messages, spent)
        took, sent = freshness(pubsub, topic, valkey, spec, ours / 2, lasts_s)
        until = time.monotonic() + 10
        while one.done() < messages + sent and time.monotonic() < until:
            time.sleep(POLL_S)
        counters = one.board.counters()
    results["events_per_second"] = ours
    results["processor_us_per_event"] = sum(cost)
    print(f"ours, two slots    {ours:9,.0f} events/s; {cost.text()}")
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    results |= {"freshness_p50_s": p50, "freshness_p99_s": p99}
    print(f"freshness at {ours / 2:,.0f} events/s: p50 {p50:.2f} s, p99 {p99:.2f} s, {len(took)} new users looked for")
    results["redelivery_share"] = counters.get(tally.READ, 0) / (messages + sent) - 1
    results["writes_per_event"] = counters.get(tally.WRITES, 0) / max(1, counters.get(tally.APPLIED, 0))
    print(f"redelivered {results['redelivery_share']:.2%}; {results['writes_per_event']:.2f} writes an event")

    _, settings = waiting(messages)
    with job("empty", 2, flink, spec, settings) as one:
        empty, cost = sustained(one, messages, spent)
    results["processor_ratio_to_empty"] = sum(cost) / float(results["processor_us_per_event"] or 1)
    results["empty_events_per_second"] = empty
    results["ratio_to_empty_pipeline"] = ours / empty
    print(f"empty, two slots   {empty:9,.0f} events/s; ours is {ours / empty:.2f} of it; {cost.text()}")

    _, settings = waiting(messages)
    with job("ours", 2, flink, spec, replace(settings, state="runner")) as one:
        kept, cost = sustained(one, messages, spent)
    results["state_runner_events_per_second"] = kept
    results["ratio_to_empty_pipeline_state_runner"] = kept / empty
    print(f"state runner       {kept:9,.0f} events/s; {kept / empty:.2f} of empty; {cost.text()}")

    _, settings = waiting(messages)
    with job("ours", 1, flink, spec, settings) as one:
        single, cost = sustained(one, messages, spent)
    results["one_slot_events_per_second"] = single
    results["scaling_1_to_2"] = ours / single
    print(f"ours, one slot     {single:9,.0f} events/s; two slots do {ours / single:.2f} times as much; {cost.text()}")

    own = beams_own(pubsub, folder, 400 if args.quick else 10_000, f"bench-{next(number)}")
    results["beams_own_direct_runner_events_per_second"] = own or None
    print(f"Beam's own source  {own:9,.0f} events/s on DirectRunner, counting only")
    return results


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
        starting = stack.enter_context(ThreadPoolExecutor(1)).submit(Flink, folder / "flink")  # beside the emulator
        stack.callback(lambda: starting.result().stop())
        pubsub = stack.enter_context(pubsub_emulator())
        os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.host
        valkey = stack.enter_context(running_valkey(folder / "valkey"))
        results = measure(args, folder, starting.result(), pubsub, valkey)
    finish(args, results)


if __name__ == "__main__":
    # Steps are pickled by the name of their module, which must not be __main__ where workers look for it.
    from bench.flink import main as named_main

    named_main()
