"""A run whose command is another process: workers look in Redis whether to drain, and say there how they fare.

`transforms.drain`, `transforms.counters` and `transforms.health` are of one process, enough where source, steps and
command share it. On a cluster one thread a worker process joins them through a `RunBoard`, every INTERVAL_S; while the
run drains, each bundle reports at its end, since the process may be gone a moment later.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from dataclasses import dataclass, field

from transforms.counters import so_far
from transforms.drain import draining, paused, request_drain, request_pause
from transforms.health import trouble
from user_state.errors import StoreError
from user_state.store.run_board import RunBoard

INTERVAL_S = 0.5
AGAIN_S = 10.0
"""How often a process says what it has counted though nothing is new, should Redis have lost it."""
_LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()
_JOINED: dict[RemoteRun, _Member] = {}


@dataclass(frozen=True)
class RemoteRun:
    """Where the processes of a run meet; pickles, so that a DoFn can carry it to its worker.

    Attributes:
        redis: URL.
        name: the spec's name.
        run: an id of this run alone.
    """

    redis: str = field(repr=False)  # it may have a password
    name: str
    run: str

    def board(self) -> RunBoard:
        """Return the board, to be closed."""
        return RunBoard(self.redis, self.name, self.run)


def join(run: RemoteRun | None) -> None:
    """Have this process take part in `run`, however often this is called; None is a run of this process alone."""
    if run is not None:
        with _LOCK:
            if run not in _JOINED:
                _JOINED[run] = _Member(run)


def bundle_ended() -> None:
    """Report if this may be the process's last bundle; call it when a bundle's counts are complete."""
    if draining():
        for member in list(_JOINED.values()):
            member.report()


class _Member:
    """This process's part in a run."""

    def __init__(self, run: RemoteRun) -> None:
        self._process = uuid.uuid4().hex
        self._board = run.board()
        self._reported: dict[str, int] | None = None
        self._reported_s = time.monotonic()
        self._reporting = threading.Lock()
        threading.Thread(target=self._keep_in_touch, name="run-board", daemon=True).start()

    def report(self) -> None:
        """Say what was counted: that we are here, then if there is anything new, or nothing was said for a while."""
        with self._reporting:
            counted, now_s = dict(so_far()), time.monotonic()
            if counted == self._reported and (not counted or now_s - self._reported_s < AGAIN_S):
                return
            try:
                self._board.report(self._process, counted)
                self._reported, self._reported_s = counted, now_s
            except StoreError as exc:  # the fold says so, and waits
                _LOG.debug("cannot report counters: %s", exc)

    def _keep_in_touch(self) -> None:
        while True:
            try:
                self.report()
                self._say_trouble()
                self._look()
            except Exception:  # without this thread nothing is counted any more, and no request is seen
                _LOG.exception("cannot keep in touch with the run, trying again")
            time.sleep(INTERVAL_S)

    def _say_trouble(self) -> None:
        """Say what hinders this process, at each look, since the board forgets it soon."""
        hinders = trouble()
        if hinders is not None:
            try:
                self._board.say_trouble(hinders)
            except StoreError as exc:  # the command finds that out by itself
                _LOG.debug("cannot say what hinders: %s", exc)

    def _look(self) -> None:
        """Look whether the run is to drain or to pause."""
        try:
            if not draining() and self._board.is_asked_to_stop():
                request_drain()
            if not paused() and self._board.is_asked_to_pause():
                request_pause()
        except StoreError as exc:
            _LOG.debug("cannot look for a request to drain: %s", exc)
