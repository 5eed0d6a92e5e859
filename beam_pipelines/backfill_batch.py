"""The backfill on a Beam runner, in batch: the shape of `user_state.backfill.job`, spread over workers.

    Files ──> ReadHistory ──split──> FoldHistory: GroupByKey(shard), sort, fold, write
                   └──────dead─────> WriteRefused

No state is kept, and nothing is streamed. Each shard is one element behind the GroupByKey; marks in Redis say which are
there, so that a backfill that was interrupted writes the others alone, though it reads all files again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.backfill_report import DEAD as REASONS
from beam_pipelines.defaults import with_defaults
from beam_pipelines.running import beam_options, committed_counters, new_pipeline, translated, without_stack_traces
from transforms import counters, letter_samples
from transforms.fold_history import FoldHistory
from transforms.history_counts import FATE, FATES, LATEST_S, SHARDS
from transforms.read_history import DEAD, SPLIT, ReadHistory
from transforms.write_dead_letters import WriteDeadLetters
from user_state.backfill.claim import Claim, check_store, claim_for
from user_state.backfill.job import REFUSED, CheckCounts, Filled, Settings, described_job
from user_state.errors import InputError
from user_state.history.shards import shards_for
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.store.backfill_marks import BackfillMarks
from user_state.store.connection import masked
from user_state.store.credentials import check_travels
from user_state.store.specs import propose_epoch


def backfill_on_beam(
    spec: LoadedSpec, settings: Settings, dead_letters: str, runner: str, given: Sequence[str], check: CheckCounts
) -> Filled:
    """Make a generation, or the rest of it, and wait until it is there.

    Args:
        spec: of the generation.
        settings: of what; workers are the runner's.
        dead_letters: where dead letters go.
        runner: direct, flink, dataflow, or the name of a Beam runner.
        given: the user's own options for Beam.
        check: looks at the counts once all is written, before the generation counts as complete; raises to stop.

    Raises:
        InputError: the generation is somebody else's, or the runner refuses.
        UserStateError: a worker's, as `BackfillJob.run`.
    """
    options = batch_options(runner, spec.spec.name, given)
    if not runner.lower().startswith("direct"):
        check_travels(settings.redis, runner)
    check_store(settings.redis, spec.keyspace)
    plan = compile_plan(spec)
    inputs = [settings.describe(path) for path in settings.inputs]
    shards = settings.shards or shards_for(sum(one["bytes"] for one in inputs))
    what = described_job(spec, settings, inputs, shards)
    claim = claim_for(settings.redis, spec, plan, what, settings.until_us, time.time_ns() // 1000)
    found = claim.begin()
    if found is not None and found.is_complete:
        return Filled(Counter(), found.latest_us, was_complete=True)
    epoch = propose_epoch(settings.redis, plan, claim.began_us)
    pipeline = new_pipeline(options)
    build(pipeline, spec, settings, shards, dead_letters, claim, epoch)
    counters.reset()
    letter_samples.reset()
    with without_stack_traces():
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as exc:
            raise translated(exc) or exc from exc
    counts, latest_us = _counts_of(result)
    with BackfillMarks(settings.redis, spec.keyspace, claim.job) as marks:
        finished = marks.finished()
        if len(finished) < committed_counters(result).get(SHARDS, 0):
            raise InputError(
                f"Redis at {masked(settings.redis)} has lost data that it had confirmed: {len(finished)} shards are"
                " there of those that were written. Run the same command again: it writes the others"
            )
        for one in finished.values():
            counts.update(one)
            counts["without_letter"] += sum(one.get(name, 0) for name in REFUSED)
        check(counts)
        claim.end(time.time_ns() // 1000, counts["applied"], latest_us)
        marks.clear()
    return Filled(counts, latest_us)


def build(
    pipeline: beam.Pipeline,
    spec: LoadedSpec,
    settings: Settings,
    shards: int,
    dead_letters: str,
    claim: Claim,
    epoch: int,
) -> None:
    """Add the graph to a pipeline."""
    files = pipeline | "Files" >> beam.Create(list(settings.inputs))
    read = files | "ReadHistory" >> ReadHistory(
        spec, shards, settings.publish_column, claim.began_us, settings.until_us, settings.user_share
    )
    read[SPLIT] | "FoldHistory" >> FoldHistory(spec, settings.redis, claim.job, epoch, settings.part_bytes)
    read[DEAD] | "WriteRefused" >> WriteDeadLetters(dead_letters)


def batch_options(runner: str, name: str, given: Sequence[str]) -> PipelineOptions:
    """Return Beam's options for a batch on a runner; an option of `given` takes the place of ours.

    Raises:
        InputError: an argument is no option that Beam knows.
    """
    which = runner.lower().removesuffix("runner")
    ours: dict[str, str] = {"runner": runner}
    if which == "flink":
        ours = {
            "runner": "PortableRunner",
            "job_endpoint": "localhost:8099",
            "environment_type": "EXTERNAL",
            "environment_config": "localhost:50000",
        }
    elif which == "dataflow":
        ours = {"runner": "DataflowRunner", "sdk_location": "container"}
    ours["job_name"] = f"user-state-backfill-{name.replace('_', '-').lower()}-{time.time_ns() // 10**9}"
    return beam_options(with_defaults(ours, [], given), streaming=False)


def _counts_of(result: Any) -> tuple[Counter[str], int | None]:
    """Return what became of the events as they were read, and the latest publish time, rounded up to a second."""
    counted = committed_counters(result)
    counts: Counter[str] = Counter({name: counted.get(f"{FATE}{name}", 0) for name in FATES})
    counts[counters.READ] = counted.get(counters.READ, 0)
    for reason in REASONS:
        counts[reason] += counted.get(f"{counters.DEAD_LETTER}_{reason}", 0)
    found = [
        one.committed.max
        for one in result.metrics().query()["distributions"]
        if one.key.metric.name == LATEST_S and one.committed is not None
    ]
    latest_s = max(found, default=0)
    return counts, latest_s * 1_000_000 or None
