"""Watching a job through the cluster's REST API: how it fares, and ending it when asked to.

A job without checkpoints ends by itself once its workers were asked to drain. One with checkpoints does not (`options`
says why): its workers are asked to pause reading, and then it is cancelled, with state `runner` by a savepoint.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Mapping

from beam_pipelines.accounting import balanced, loss_line
from beam_pipelines.dead_letter_limit import LimitWatch
from beam_pipelines.flink.cluster import ENDED, FlinkCluster, Unknown, Unreachable
from beam_pipelines.flink.health import Health
from beam_pipelines.running import Progress
from transforms import counters, drain
from user_state.cli.terminal import Terminal
from user_state.errors import InputError, SpecSuperseded, StoreError, UserStateError
from user_state.store.run_board import RunBoard

DRAIN_S = 60.0
QUIET_S = 1.5
"""A job is ended no sooner than this after reading was paused."""
PAUSE_S = 15.0
"""Nor later than this, whether or not all that was read is folded: what is not comes again."""
ABSENT_S = 120.0
"""How long the JobManager may be away before we give up watching."""
FORGOTTEN_S = 30.0
"""How long it may be back without the job: with high availability it finds its jobs again within seconds."""
TOLD_S = 5.0
"""When it is told that it is away."""
LOSS_S = 10.0
"""How often it is told that Redis has lost more data."""
POLL_S = 0.25
LOOK_S = 1.0
"""How often it is looked where the last checkpoint is: a JobManager that starts again may have forgotten. What is
acknowledged is in the one before the last as well (`transforms.pubsub_pending`), so the one seen last will do."""
_CAUSE = "Caused by: "
_PYTHON = "Traceback (most recent call last):"
_RAISED = re.compile(r"[A-Za-z_][\w.]*(: |$)")
"""The line of a Python trace that says what was raised."""
_OUR_ERROR = re.compile(r"user_state\.errors\.(StoreError|SpecSuperseded|InputError|SpecError): (.*)")
_ERRORS = {"StoreError": StoreError, "SpecSuperseded": SpecSuperseded}
_LOG = logging.getLogger(__name__)


class Ending:
    """Ends a job with checkpoints: pauses reading, waits until what was read is folded, then has it cancelled.

    Args:
        keeps_state: whether a savepoint is taken.
        folder: where it goes; None for where the cluster puts them.
    """

    def __init__(
        self,
        console: Terminal,
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
        self.keeps_state = keeps_state
        self._folder = folder
        self._request: str | None = None
        self._paused = False
        self._looked_s = float("-inf")
        self.last_checkpoint: str | None = None

    def look(self) -> None:
        """Remember where the last checkpoint is, if state is kept; call it as often as you like."""
        now_s = time.monotonic()
        if self.keeps_state and now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self.last_checkpoint = self._find() or self.last_checkpoint

    def _find(self) -> str | None:
        try:
            return self._cluster.last_checkpoint(self._job)
        except Unreachable as exc:
            _LOG.debug("cannot find the last checkpoint: %s", exc)
            return None

    def go_on(self, since_s: float, counts: Mapping[str, int]) -> None:
        """Do what is next, `since_s` seconds after the end was asked for.

        Raises:
            StoreError, Unreachable: not now, then.
        """
        if self._request is None:
            self._pause()
            # A pull may be under way, and counters come every half second.
            if since_s < QUIET_S or not (balanced(counts) or since_s > PAUSE_S):
                return
            if not self.keeps_state:
                self._cluster.cancel(self._job)
            else:
                self._request = self._cluster.stop_with_savepoint(self._job, self._folder)
        else:
            found = self._cluster.savepoint(self._job, self._request)
            if found.is_over and found.location is None:
                self._console.print(f"no savepoint, trying again: {cause_of(found.failure or '')}")
                self._request = None

    def _pause(self) -> None:
        """Ask to pause: each time, since Redis may lose it before every worker has seen it."""
        try:
            self._board.ask_to_pause()
            self._paused = True
        except StoreError:
            if not self._paused:
                raise

    def say_where(self) -> None:
        """Print what the next run goes on from."""
        if not self.keeps_state:
            return
        where = self._find()  # none that was seen earlier: what was acknowledged since may be missing there
        if where is None:
            self._console.print(f"{self._cluster.address} shows the job's last checkpoint")
        else:
            self._console.print(f"go on from here with --savepoint_path {where}")


class Watch:
    """Looks at a running job, says how it fares, and ends it when asked to."""

    def __init__(
        self,
        console: Terminal,
        cluster: FlinkCluster,
        job: str,
        board: RunBoard,
        stop_when_idle_s: float | None,
        ending: Ending | None,
        limit: float = 1.0,
    ) -> None:
        self._refused = LimitWatch(limit, time.monotonic())
        self._ending = ending
        self._console = console
        self._cluster = cluster
        self._job = job
        self._board = board
        self._health = Health(console, board)
        self._stop_when_idle_s = stop_when_idle_s
        self._counts: dict[str, int] = {}
        self._failures_until_ms = 0
        self._drain_since: float | None = None
        self._unknown_since: float | None = None
        self._last_cause = ""
        self._last_loss: str | None = None
        self._last_loss_s = float("-inf")
        self.restarted = False

    def until_it_ends(self) -> dict[str, int]:
        """Watch; return the counters.

        Raises:
            UserStateError: the job failed for good, was cancelled by somebody else, or cannot be watched any more.
        """
        progress = Progress(self._console)
        changed = seen = time.monotonic()
        read, started = 0, False
        while True:
            now = time.monotonic()
            away: Unreachable | None = None
            try:
                state = self._cluster.state(self._job)
                seen, self._unknown_since = now, None
                if self._ending is not None:
                    self._ending.look()
            except Unreachable as exc:
                state, away = "AWAY", exc
                self._bear_with(exc, now, now - seen)
            counts = self._counters()
            if not started:  # workers take their time to start: nobody is idle before
                changed, started = now, self._has_started(counts)
            if counts.get(counters.READ, 0) != read:
                changed, read = now, counts.get(counters.READ, 0)
            progress.show(counts)
            if (said := self._refused.look(counts, now)) is not None:
                self._console.print(said)
            self._report_losses()
            if state in ENDED:
                return self._ended(state)
            self._report_failures()
            self._health.look(None if away is None or now - seen < TOLD_S else f"Flink is away: {away}")
            if self._stop_when_idle_s is not None and now - changed >= self._stop_when_idle_s:
                drain.request_drain()
            if drain.draining():
                self._drain()
            time.sleep(POLL_S)

    def _bear_with(self, exc: Unreachable, now_s: float, absent_s: float) -> None:
        """Give up if the JobManager has been away, or back without the job, for too long.

        Raises:
            UserStateError: it has.
        """
        where = f"Flink at {self._cluster.address}"
        if not isinstance(exc, Unknown):
            self._unknown_since = None
        elif self._unknown_since is None:
            self._unknown_since = now_s
        elif now_s - self._unknown_since > FORGOTTEN_S:
            raise UserStateError(
                f"{where} does not know job {self._job} any more: its JobManager started again and keeps no jobs (see"
                f" high-availability in Flink's configuration); run again, {self._nothing_is_lost}"
            ) from exc
        if absent_s > ABSENT_S:
            raise UserStateError(f"{where} has been away for {ABSENT_S:.0f} s: {exc}; {self._nothing_is_lost}") from exc

    @property
    def _nothing_is_lost(self) -> str:
        if self._ending is not None and self._ending.keeps_state:
            where = self._ending.last_checkpoint
            return f"with --savepoint_path {where or 'and its last checkpoint'} nothing is lost"
        return "nothing is lost, what was not acknowledged comes again"

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

    def _has_started(self, counts: Mapping[str, int]) -> bool:
        """Return whether a worker of the run is there."""
        try:
            return bool(counts) or self._board.has_joined()
        except StoreError as exc:
            _LOG.debug("cannot look for workers: %s", exc)
            return False

    def _report_losses(self) -> None:
        """Say that Redis has lost data: the workers say it too, but to their own log."""
        loss, now_s = loss_line(self._counts), time.monotonic()
        if loss is not None and loss != self._last_loss and now_s - self._last_loss_s > LOSS_S:
            self._console.print(loss)
            self._last_loss, self._last_loss_s = loss, now_s

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
                raise _ERRORS.get(ours[1], InputError)(ours[2].strip())
            cause = cause_of(failure.text)
            if cause != self._last_cause:  # while a TaskManager is away the job tries every second
                self._console.print(f"starting again, nothing is lost: {cause}")
                self._last_cause = cause

    def _drain(self) -> None:
        """Leave the request to drain; cancel the job if it does not end in time."""
        now = time.monotonic()
        if self._drain_since is None:
            self._drain_since = now
        try:
            if self._ending is not None:
                self._ending.go_on(now - self._drain_since, self._counts)
            else:
                self._board.ask_to_stop()  # each time: Redis may have lost it before every worker saw it
        except (StoreError, Unreachable) as exc:
            _LOG.debug("cannot ask the job to end yet: %s", exc)
        if now - self._drain_since > DRAIN_S:
            self._console.print(
                f"cancelling: not drained within {DRAIN_S:.0f} s; what is in flight comes again to the next run"
            )
            self._cluster.cancel(self._job)
            self._drain_since = now


def cause_of(stacktrace: str) -> str:
    """Return the innermost cause in a Java stack trace, in one line; what Python raised if it was there."""
    lines = stacktrace.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(_CAUSE)]
    innermost = lines[starts[-1] if starts else 0 :]
    if not innermost:
        return "no reason given"
    cause = innermost[0].removeprefix(_CAUSE)
    if _PYTHON in cause:
        python = itertools.takewhile(lambda line: not line.startswith("\tat "), innermost)
        cause = ([cause] + [line for line in python if _RAISED.match(line)])[-1]
    return cause[:300]
