"""`user-state run --runner flink`: check the cluster, submit the pipeline, watch it, drain it, account for it.

Once submitted the job is Flink's: it is watched through the cluster's REST interface, so that the job server may go
away, and the JobManager for a while. Killing this command (-9) leaves the job running; Ctrl-C and SIGTERM drain it: the
request goes to the workers through Redis, they stop reading, what they have read is folded, stored and acknowledged,
and the job ends by itself. If it does not within DRAIN_S, or at a second Ctrl-C, it is cancelled, which loses nothing
either: what was in flight comes again to the next run.

A job with checkpoints does not end by itself (`options` says why), and with state `runner` must not, for its state
would go with it. Its workers are asked to pause reading, what they have read is folded, and then it is cancelled, with
state `runner` by a savepoint that the next run goes on from.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from rich.console import Console

from beam_pipelines.accounting import accounting_line, balanced, progress_line
from beam_pipelines.flink.cluster import ENDED, FlinkCluster, Unreachable
from beam_pipelines.flink.options import LOOPBACK, FlinkSettings, beam_arguments, with_state
from beam_pipelines.running import INTERVAL_S, beam_options, draining_on_signals, new_pipeline, print_spec_changes
from beam_pipelines.streaming import StreamingSettings, build, check_settings, sign_off
from transforms import drain, tally
from user_state.errors import InputError, StoreError, UserStateError
from user_state.spec import LoadedSpec
from user_state.store.run_board import RunBoard

SUBMIT_S = 60.0
DRAIN_S = 60.0
QUIET_S = 1.5
"""A job is ended no sooner than this after reading was paused."""
PAUSE_S = 15.0
"""Nor later than this, whether or not all that was read is folded: what is not comes again."""
ABSENT_S = 120.0
"""How long the JobManager may be away before we give up watching."""
CONNECT_S = 3.0
POLL_S = 0.25
_OUR_ERROR = re.compile(r"user_state\.errors\.(StoreError|InputError|SpecError): (.*)")
_LOG = logging.getLogger(__name__)


def run_on_flink(
    spec: LoadedSpec,
    settings: StreamingSettings,
    flink: FlinkSettings,
    beam_given: Sequence[str],
    *,
    stop_when_idle_s: float | None = None,
) -> Mapping[str, int]:
    """Run until a drain is requested; print progress and the accounting; return the counters.

    Raises:
        UserStateError: something is missing or cannot be used, or the job failed for good.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    flink = with_state(flink, settings.state)
    cluster = FlinkCluster(flink.rest)
    parallelism = _check_cluster(cluster, flink, settings.state)
    run = secrets.token_hex(4)
    ours = f"user-state-{spec.spec.name}-{run}"
    options = beam_options(beam_arguments(flink, ours, parallelism, beam_given, os.environ))
    name = options.view_as(GoogleCloudOptions).job_name  # ours, or --job_name, which is an option of Beam's
    pipeline = new_pipeline(options)
    check_settings(spec, settings)
    print_spec_changes(console, spec, settings.redis)
    settings = replace(settings, run=run)
    build(pipeline, spec, settings)
    drain.reset()
    tally.reset()
    with draining_on_signals(console):
        earlier = _earlier_jobs(cluster, name)
        with _submitting(flink, pipeline) as failed:
            job = _job_id(cluster, name, earlier, failed)
        _wait_for_tasks(cluster, job)
        console.print(
            f"{settings.input} -> {spec.spec.name} in Redis. Ctrl-C drains and stops. Flink job {job}, {parallelism}"
            f" slot(s), {cluster.address}",
            markup=False,
        )
        board = RunBoard(settings.redis, spec.spec.name, run)
        ending = None
        if flink.checkpoint_interval_s:
            keeps_state = settings.state == "runner"
            ending = _Ending(console, cluster, job, board, keeps_state=keeps_state, folder=flink.savepoint_dir)
        watched = _Watch(console, cluster, job, board, stop_when_idle_s, ending)
        try:
            counters = watched.until_it_ends()
            if settings.state == "runner":
                sign_off(spec, settings)
        except KeyboardInterrupt:
            cluster.cancel(job)
            raise
        finally:
            board.close()
    console.print(accounting_line(counters), markup=False)
    if watched.restarted and not balanced(counters):
        console.print(
            "The job had to start again: what a killed worker counted last is missing above,"
            " and what it had read came again. In Redis each event is counted once.",
            markup=False,
        )
    return counters


def _check_cluster(cluster: FlinkCluster, flink: FlinkSettings, state: str) -> int:
    """Return how many slots to use.

    Raises:
        InputError: cluster, job server or worker pool cannot be reached or are of another version, there are too few
            slots, or a savepoint would have no place.
    """
    overview = cluster.check()
    if not f"{overview.version}.".startswith(f"{flink.version}."):
        raise InputError(
            f"expected Flink {flink.version} at {cluster.address}, got {overview.version}: run a cluster of that"
            f" version (`make flink-up` does), or, if Beam's job server at {flink.job_endpoint} is the one for the"
            " cluster's, name it with --flink_version"
        )
    if state == "runner" and not flink.savepoint_dir and not cluster.savepoint_dir():
        raise InputError(
            "expected a place for the savepoint that a stopped run goes on from: name one with --savepoint_dir, or set"
            f" state.savepoints.dir in the configuration of Flink at {cluster.address}"
        )
    wanted = flink.parallelism or overview.free_slots
    if not wanted or wanted > overview.free_slots:
        raise InputError(
            f"expected {wanted or 'a'} free task slot(s) in Flink at {cluster.address}, got {overview.free_slots} of"
            f" {overview.slots}: stop another job, lower --parallelism, or add TaskManagers"
        )
    _check_port(flink.job_endpoint, "Beam's job server", "--job_endpoint")
    host = flink.worker_pool.rsplit(":", 1)[0]
    # The pool's address is as the TaskManagers see it: it can be tried from here if they are on this machine.
    if flink.worker_pool != LOOPBACK and {host, cluster.address.split(":")[0]} <= {"localhost", "127.0.0.1"}:
        _check_port(flink.worker_pool, "the Python worker pool", "--worker_pool")
    _check_job_server(flink.job_endpoint)
    return wanted


def _check_job_server(address: str) -> None:
    """Find out whether Beam's job server for Flink listens there, and not something else."""
    with grpc.insecure_channel(address) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        try:
            known = {option.name for option in service.DescribePipelineOptions(request, timeout=CONNECT_S).options}
        except grpc.RpcError as exc:
            raise InputError(
                f"expected Beam's job server at {address}, got another server there: {_brief(exc)}; `make flink-up`"
                " starts one here, --job_endpoint names another"
            ) from exc
    if "checkpointing_interval" not in known:
        raise InputError(
            f"expected Beam's job server for Flink at {address}, got the one of another runner: start"
            " beam-runners-flink-job-server, or `make flink-up`"
        )


def _check_port(address: str, what: str, option: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"expected {option} to be host:port, got {address!r}")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as exc:
        raise InputError(
            f"cannot reach {what} at {address}: {exc}; `make flink-up` starts one here, {option} names another"
        ) from exc


@contextmanager
def _submitting(flink: FlinkSettings, pipeline: Any) -> Iterator[list[str]]:
    """Submit; yield a list that gets what the job server says if the job fails to start."""
    failed: list[str] = []
    try:
        result = pipeline.run()
    except Exception as exc:
        raise InputError(f"Beam's job server at {flink.job_endpoint} did not take the pipeline: {_brief(exc)}") from exc

    def listen() -> None:
        try:
            # Not `wait_until_finish`: should the job server go away, which does not matter once the job runs, a thread
            # of its own would print a stack trace.
            for message in result._message_stream:
                if message.message_response.importance >= beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR:
                    failed.append(message.message_response.message_text.strip().split("\n", maxsplit=1)[0][:400])
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


class _Ending:
    """Ends a job with checkpoints: pauses reading, waits until what was read is folded, then has it cancelled.

    Args:
        keeps_state: whether a savepoint is taken.
        folder: where it goes; None for where the cluster puts them.
    """

    def __init__(
        self,
        console: Console,
        cluster: FlinkCluster,
        job: str,
        board: RunBoard,
        *,
        keeps_state: bool,
        folder: str | None,
    ) -> None:
        self._console = console
        self._cluster = cluster
        self._job = job
        self._board = board
        self._keeps_state = keeps_state
        self._folder = folder
        self._request: str | None = None
        self._paused = False

    def go_on(self, since_s: float, counts: Mapping[str, int]) -> None:
        """Do what is next, `since_s` seconds after the end was asked for.

        Raises:
            StoreError, Unreachable: not now, then.
        """
        if not self._paused:
            self._board.ask_to_pause()
            self._paused = True
        elif self._request is None:
            # A pull may be under way, and counters come every half second.
            if since_s < QUIET_S or not (balanced(counts) or since_s > PAUSE_S):
                return
            if not self._keeps_state:
                self._cluster.cancel(self._job)
            else:
                self._request = self._cluster.stop_with_savepoint(self._job, self._folder)
        else:
            found = self._cluster.savepoint(self._job, self._request)
            if found.is_over and found.location is None:
                self._console.print(f"no savepoint, trying again: {_cause(found.failure or '')}", markup=False)
                self._request = None

    def say_where(self) -> None:
        """Print what the next run goes on from."""
        if not self._keeps_state:
            return
        try:
            where = self._cluster.last_checkpoint(self._job)
        except Unreachable as exc:
            where = None
            _LOG.debug("cannot find the savepoint: %s", exc)
        if where is None:
            self._console.print(f"{self._cluster.address} shows the job's last checkpoint", markup=False)
        else:
            self._console.print(f"go on from here with --savepoint_path {where}", markup=False)


class _Watch:
    """Looks at a running job, says how it fares, and ends it when asked to."""

    def __init__(
        self,
        console: Console,
        cluster: FlinkCluster,
        job: str,
        board: RunBoard,
        stop_when_idle_s: float | None,
        ending: _Ending | None,
    ) -> None:
        self._ending = ending
        self._console = console
        self._cluster = cluster
        self._job = job
        self._board = board
        self._stop_when_idle_s = stop_when_idle_s
        self._counts: dict[str, int] = {}
        self._failures_until_ms = 0
        self._drain_since: float | None = None
        self._drain_left = False
        self._last_cause = ""
        self.restarted = False

    def until_it_ends(self) -> dict[str, int]:
        """Watch; return the counters.

        Raises:
            UserStateError: the job failed for good, was cancelled by somebody else, or cannot be watched any more.
        """
        interval_s = INTERVAL_S if self._console.is_terminal else 10 * INTERVAL_S
        began = changed = printed = seen = time.monotonic()
        read = printed_read = 0
        while True:
            now = time.monotonic()
            try:
                state = self._cluster.state(self._job)
                seen = now
            except Unreachable as exc:
                if now - seen > ABSENT_S:
                    raise UserStateError(
                        f"Flink at {self._cluster.address} has been away for {ABSENT_S:.0f} s: {exc}; nothing is lost,"
                        " what was not acknowledged comes again to the next run"
                    ) from exc
                state = "AWAY"
            counts = self._counters()
            if counts.get(tally.READ, 0) != read:
                changed, read = now, counts.get(tally.READ, 0)
            if now - printed >= interval_s and read != printed_read:
                rate = (read - printed_read) / (now - printed)
                self._console.print(progress_line(now - began, counts, max(0.0, rate)), markup=False)
                printed, printed_read = now, read
            if state in ENDED:
                return self._ended(state)
            self._report_failures()
            if self._stop_when_idle_s is not None and now - changed >= self._stop_when_idle_s:
                drain.request_drain()
            if drain.draining():
                self._drain()
            time.sleep(POLL_S)

    def _ended(self, state: str) -> dict[str, int]:
        if self._ending is not None:
            self._ending.say_where()
        if state == "FINISHED" or (state == "CANCELED" and self._drain_since is not None):
            return self._counters()
        self._report_failures()
        raise UserStateError(
            f"Flink job {self._job} was {state.lower()} by somebody else"
            if state == "CANCELED"
            else f"Flink job {self._job} failed; {self._cluster.address} shows why"
        )

    def _counters(self) -> dict[str, int]:
        """Return what the workers have counted, as far as is known."""
        try:
            self._counts = self._board.counters()
        except StoreError as exc:
            _LOG.debug("cannot read the counters: %s", exc)
        return self._counts

    def _report_failures(self) -> None:
        """Say why the job starts again; end it if it would fail the same way for ever."""
        try:
            failures = self._cluster.failures(self._job)
        except Unreachable:
            return
        for failure in failures:
            if failure.at_ms <= self._failures_until_ms:
                continue
            self._failures_until_ms = failure.at_ms
            self.restarted = True
            ours = _OUR_ERROR.search(failure.text)
            if ours is not None:
                self._cluster.cancel(self._job)
                raise (StoreError if ours[1] == "StoreError" else InputError)(ours[2].strip())
            cause = _cause(failure.text)
            if cause != self._last_cause:  # while a TaskManager is away the job tries every second
                self._console.print(f"starting again, nothing is lost: {cause}", markup=False)
                self._last_cause = cause

    def _drain(self) -> None:
        """Leave the request to drain; cancel the job if it does not end in time."""
        now = time.monotonic()
        if self._drain_since is None:
            self._drain_since = now
        try:
            if self._ending is not None:
                self._ending.go_on(now - self._drain_since, self._counts)
            elif not self._drain_left:
                self._board.ask_to_stop()
                self._drain_left = True
        except (StoreError, Unreachable) as exc:
            _LOG.debug("cannot ask the job to end yet: %s", exc)
        if now - self._drain_since > DRAIN_S:
            self._console.print(
                f"cancelling: not drained within {DRAIN_S:.0f} s; what is in flight comes again to the next run"
            )
            self._cluster.cancel(self._job)
            self._drain_since = now


def _brief(error: Exception) -> str:
    details = getattr(error, "details", None)  # of gRPC's errors, whose text is many lines
    text = str(details()) if callable(details) else str(error)
    return text.strip().split("\n", maxsplit=1)[0][:400]


def _cause(stacktrace: str) -> str:
    """Return the innermost cause in a Java stack trace, in one line."""
    causes = [line.removeprefix("Caused by: ") for line in stacktrace.splitlines() if line.startswith("Caused by: ")]
    return ([*causes[::-1], *stacktrace.splitlines(), "no reason given"])[0][:300]
