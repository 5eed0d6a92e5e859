"""`user-state run --runner flink`: check the cluster, submit the pipeline, watch it, drain it, account for it.

Once submitted the job is Flink's: it is watched through the cluster's REST interface, so that the job server may go
away, and the JobManager for a while. Killing this command (-9) leaves the job running; Ctrl-C and SIGTERM drain it: the
request goes to the workers through Redis, they stop reading, what they have read is folded, stored and acknowledged,
and the job ends by itself. If it does not in time (`watching`), or at a second Ctrl-C, it is cancelled, which loses
nothing either: what was in flight comes again to the next run.

A job with checkpoints does not end by itself (`options` says why), and with state `runner` must not, for its state
would go with it. Its workers are asked to pause reading, what they have read is folded, and then it is cancelled, with
state `runner` by a savepoint that the next run goes on from.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from apache_beam.options.pipeline_options import GoogleCloudOptions

from beam_pipelines.accounting import balanced, closing_lines
from beam_pipelines.beam_patches.versions import put_in_place, uses
from beam_pipelines.flink.checks import brief, check_cluster
from beam_pipelines.flink.cluster import ENDED, FlinkCluster, Unreachable
from beam_pipelines.flink.options import LOOPBACK, FlinkSettings, beam_arguments, with_state
from beam_pipelines.flink.watching import POLL_S, Ending, Watch
from beam_pipelines.running import (
    beam_options,
    draining_on_signals,
    new_pipeline,
    print_spec_changes,
)
from beam_pipelines.streaming import StreamingSettings, build, check_settings, sign_off
from transforms import counters, drain, letter_samples
from user_state.cli.terminal import Terminal
from user_state.errors import InputError
from user_state.spec import LoadedSpec
from user_state.store.credentials import check_travels
from user_state.store.run_board import RunBoard

SUBMIT_S = 60.0
_LOG = logging.getLogger(__name__)


def run_on_flink(
    spec: LoadedSpec,
    settings: StreamingSettings,
    flink: FlinkSettings,
    beam_given: Sequence[str],
    *,
    stop_when_idle_s: float | None = None,
    limit: float = 1.0,
) -> Mapping[str, int]:
    """Run until a drain is requested; print progress and the accounting; return the counts.

    Args:
        spec: what to run.
        settings: how.
        flink: where.
        beam_given: options of Beam.
        stop_when_idle_s: drain after this long without a message, counted from when workers are there.
        limit: the greatest share of dead letters that nothing is said of while it runs.

    Raises:
        UserStateError: something is missing or cannot be used, or the job failed for good.
    """
    console = Terminal(stderr=True)
    check_travels(settings.redis, "Flink")
    flink = with_state(flink, settings.state)
    cluster = FlinkCluster(flink.rest)
    parallelism = check_cluster(cluster, flink, settings.state)
    run = secrets.token_hex(4)
    ours = f"user-state-{spec.spec.name}-{run}"
    options = beam_options(beam_arguments(flink, ours, parallelism, beam_given, os.environ))
    name = options.view_as(GoogleCloudOptions).job_name  # ours, or --job_name, which is an option of Beam's
    pipeline = new_pipeline(options)
    settings = check_settings(spec, settings)
    print_spec_changes(console, spec, settings.redis)
    settings = replace(settings, run=run)
    build(pipeline, spec, settings)
    drain.reset()
    counters.reset()
    letter_samples.reset()
    if flink.worker_pool == LOOPBACK:
        put_in_place("hang_ups")
    with draining_on_signals(console):
        earlier = _earlier_jobs(cluster, name)
        with _submitting(flink, pipeline) as failed:
            job = _job_id(cluster, name, earlier, failed)
        _wait_for_tasks(cluster, job)
        console.print(
            f"{settings.input} -> {spec.keyspace} in Redis. Ctrl-C drains and stops. Flink job {job}, {parallelism}"
            f" slot(s), {cluster.address}",
        )
        board = RunBoard(settings.redis, spec.spec.name, run)
        ending = None
        if flink.checkpoint_interval_s:
            keeps_state = settings.state == "runner"
            ending = Ending(console, cluster, job, board, keeps_state=keeps_state, folder=flink.savepoint_dir)
        watched = Watch(console, cluster, job, board, stop_when_idle_s, ending, limit)
        try:
            counts = watched.until_it_ends()
            if settings.state == "runner":
                sign_off(spec, settings)
        except KeyboardInterrupt:
            cluster.cancel(job)
            raise
        finally:
            board.close()
    console.print(closing_lines(counts, spec.spec.retention))
    if watched.restarted and not balanced(counts):
        console.print(
            "The job was restarted: the figures above lack what a killed worker counted last, and messages that were"
            " read again are counted twice. In Redis each event is counted once.",
        )
    return counts


@contextmanager
def _submitting(flink: FlinkSettings, pipeline: Any) -> Iterator[list[str]]:
    """Submit; yield a list that gets what the job server says if the job fails to start."""
    failed: list[str] = []
    try:
        result = pipeline.run()
    except Exception as exc:
        raise InputError(f"Beam's job server at {flink.job_endpoint} did not take the pipeline: {brief(exc)}") from exc

    def listen() -> None:
        if not uses("job_messages"):
            return
        from beam_pipelines.beam_patches.job_messages import error_messages

        try:
            failed.extend(error_messages(result))
        except Exception as exc:
            _LOG.debug("the job server is gone: %s", exc)

    threading.Thread(target=listen, name="job-server", daemon=True).start()
    yield failed


def _earlier_jobs(cluster: FlinkCluster, name: str) -> set[str]:
    try:
        return cluster.job_ids(name)
    except Unreachable as exc:
        raise InputError(f"cannot reach Flink at {cluster.address}, which answered just now: {exc}") from exc


def _job_id(cluster: FlinkCluster, name: str, earlier: set[str], failed: list[str]) -> str:
    """Wait for a job of that name that is none of the earlier ones; return its id."""
    until = time.monotonic() + SUBMIT_S
    while time.monotonic() < until:
        try:
            found = cluster.job_ids(name) - earlier
        except Unreachable as exc:
            _LOG.debug("while waiting for the job: %s", exc)
            found = set()
        if found:
            return found.pop()
        if failed:
            raise InputError(f"Flink at {cluster.address} did not take the job: {failed[0]}")
        time.sleep(POLL_S)
    raise InputError(
        f"expected job {name} in Flink at {cluster.address} within {SUBMIT_S:.0f} s, got none: does the job"
        " server submit to that cluster?"
    )


def _wait_for_tasks(cluster: FlinkCluster, job: str) -> None:
    """Wait until every task runs, or the job has ended, or for as long as submitting may take."""
    until = time.monotonic() + SUBMIT_S
    while time.monotonic() < until and not drain.draining():
        try:
            if cluster.tasks_running(job) or cluster.state(job) in ENDED:
                return
        except Unreachable as exc:
            _LOG.debug("while waiting for the tasks: %s", exc)
        time.sleep(POLL_S)
