"""The pipelines that bench/flink.py compares, as jobs on a real cluster, and what one of them sustains.

A module of its own, since steps are pickled by the name of their module, which workers must find.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.flink.cluster import FlinkCluster
from beam_pipelines.flink.options import FlinkSettings, beam_arguments, with_state
from beam_pipelines.streaming import StreamingSettings, build, source_of
from bench.bare import DropFn, SpreadFn
from bench.feeder import Feeder
from tests.servers.flink import Flink, cpu_seconds
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from transforms import counters
from transforms.packet import KEYED_PACKETS, USERS_PACKETS
from transforms.pull import Pull
from transforms.remote_run import RemoteRun, join
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.state.event_batch import batch_size
from user_state.store.run_board import RunBoard

TIMEOUT_S = 180.0
POLL_S = 0.02
DONE = (counters.APPLIED, counters.DUPLICATE, counters.IGNORED, counters.EXPIRED, counters.DEAD_LETTER)
CHECKPOINT_S = 2.0
"""With state `runner`, in place of ten: the emulator goes through all that is not acknowledged at every pull."""


class Kind(NamedTuple):
    """One of the pipelines.

    Attributes:
        what: `ours` or `empty`.
        state: where records are kept.
        slots: on how many it runs.
        cores: how many the whole of it has, with source, store and feeder.
    """

    what: str
    state: str
    slots: int
    cores: int = 2

    def __str__(self) -> str:
        return f"{self.what}, state {self.state}, {_many(self.slots, 'slot')}, {_many(self.cores, 'core')}"


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number > 1 else ''}"


class _SpreadUsersFn(beam.DoFn):
    """The same where users are keys: decodes, since only so it is known whose a message is."""

    def __init__(self, spec: LoadedSpec, run: RemoteRun) -> None:
        self._spec = spec
        self._run = run

    def setup(self) -> None:
        join(self._run)
        self._decoder = EventDecoder(compile_plan(self._spec), self._spec.schema)

    def process(self, pull: Pull) -> Iterator[tuple[str, bytes]]:
        counters.count(counters.READ, len(pull))
        yield from self._decoder.batch(pull).batch.pack_by_user()


class _DropUsersFn(DropFn):
    """The same by user; what the runner finalizes, the source acknowledges."""

    def process(self, packet: tuple[Any, bytes], cell: Any = beam.DoFn.StateParam(DropFn.CELL)) -> None:  # noqa: B008
        counters.count(counters.APPLIED, batch_size(packet[1]))


def _build_empty(pipeline: beam.Pipeline, spec: LoadedSpec, settings: StreamingSettings, run: RemoteRun) -> None:
    pulls = pipeline | "Read" >> source_of(spec, settings)
    if settings.state == "runner":
        keyed = pulls | "Spread" >> beam.ParDo(_SpreadUsersFn(spec, run)).with_output_types(USERS_PACKETS)
        keyed | "Drop" >> beam.ParDo(_DropUsersFn(run))
    else:
        keyed = pulls | "Spread" >> beam.ParDo(SpreadFn(settings.shards, run)).with_output_types(KEYED_PACKETS)
        keyed | "Drop" >> beam.ParDo(DropFn(run))


class Job(NamedTuple):
    """A job that runs on the cluster."""

    cluster: FlinkCluster
    id: str
    board: RunBoard

    def counters(self) -> tuple[int, int]:
        """Return how many messages were read, and how many have ended in a bin."""
        so_far = self.board.counters()
        return so_far.get(counters.READ, 0), sum(so_far.get(name, 0) for name in DONE)


@contextmanager
def job(kind: Kind, flink: Flink, spec: LoadedSpec, settings: StreamingSettings) -> Iterator[Job]:
    """Run a pipeline for the length of a `with` block."""
    name = f"bench-{kind.what}-{time.time_ns()}"
    where = with_state(FlinkSettings(flink.rest, flink.job_endpoint, flink.worker_pool), kind.state)
    if kind.state == "runner":
        where = replace(where, checkpoint_interval_s=CHECKPOINT_S)
    settings = replace(settings, run=name, state=kind.state)
    given = beam_arguments(where, name, kind.slots, os.environ.get("BENCH_BEAM", "").split(), os.environ)
    pipeline = beam.Pipeline(options=PipelineOptions(["--streaming", *given]))
    if kind.what == "ours":
        build(pipeline, spec, settings)
    else:
        _build_empty(pipeline, spec, settings, RemoteRun(settings.redis, spec.spec.name, name))
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

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.0f}" for name, value in self._asdict().items())


def processor_time(flink: Flink, pubsub: PubSubEmulator, valkey: Valkey) -> list[float]:
    """Return seconds used so far, in the order of `Spent`."""
    return [
        sum(cpu_seconds(pid) for pid in flink.worker_pids()),
        cpu_seconds(flink.pid("taskmanager")),
        cpu_seconds(pubsub.process.pid),
        cpu_seconds(valkey.pid),
    ]


def sustained(
    one: Job, feeder: Feeder, warm: int, messages: int, spent: Callable[[], list[float]]
) -> tuple[float, Spent]:
    """Feed a job; return events a second, and the processor time of an event.

    `warm` of the messages come first; the others are timed, from when the first is sent to when the last has ended.
    """
    _feed(one, feeder, warm)
    _, before = one.counters()
    used, began = spent(), time.monotonic()
    _feed(one, feeder, messages)
    took, events = time.monotonic() - began, messages - before
    share = [1e6 * (after - earlier) / events for earlier, after in zip(used, spent(), strict=True)]
    return events / took, Spent(*share)


def _feed(one: Job, feeder: Feeder, most: int) -> None:
    """Publish up to `most` messages in all, as they are read; come back when all that was sent has ended."""
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        read, done = one.counters()
        feeder.keep_ahead(read, most)
        if feeder.sent >= most and done >= feeder.sent:
            return
        time.sleep(POLL_S)
    raise AssertionError(f"{one.counters()[1]:,} of {most:,} messages within {TIMEOUT_S:.0f} s")
