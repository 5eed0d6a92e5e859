"""`user-state` as a user starts it: a process of its own, its output in a file, signals and exit codes.

    run_command      a command that ends by itself
    Pipeline         `user-state run`, which is watched, drained, or killed

Each pipeline leads a process group of its own, so that a kill takes whatever the runner has started with it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

USER_STATE = (sys.executable, "-m", "user_state.cli.main")
START_TIMEOUT_S = 60.0
DRAIN_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 120.0
POLL_S = 0.1
STARTED = "Ctrl-C drains and stops"
"""What `run` prints when all checks are done and the pipeline begins."""

_ACCOUNTING = re.compile(
    r"^(?P<progress> +[\d]+ s  )?read (?P<read>[\d,]+) (?P<sign>!?=) applied (?P<applied>[\d,]+)"
    r" \+ duplicate (?P<duplicate>[\d,]+) \+ ignored (?P<ignored>[\d,]+)(?: \+ expired (?P<expired>[\d,]+))?"
    r" \+ dead letters (?P<dead_letters>[\d,]+)(?: \((?P<reasons>[^)]*)\))?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Accounting:
    """The accounting line: every message read, and the bin it ended in."""

    read: int
    applied: int
    duplicate: int
    ignored: int
    dead_letters: int
    reasons: Mapping[str, int]
    balanced: bool
    expired: int = 0


def run_command(
    *arguments: str | Path, env: Mapping[str, str] | None = None, timeout_s: float = COMMAND_TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run `user-state ARGUMENTS` until it ends, with `env` added to the environment."""
    return subprocess.run(
        [*USER_STATE, *map(str, arguments)],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def started_command(*arguments: str | Path, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `user-state ARGUMENTS` beside the test, output in a file; it ends with the `with` block at the latest."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*USER_STATE, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _kill_group(process)


class Pipeline:
    """A running `user-state run`.

    Args:
        arguments: what follows `run`.
        output: the file that gets stdout and stderr.
    """

    def __init__(self, arguments: Sequence[str | Path], output: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                # These tests count dead letters themselves, of few messages, many of which are meant to be refused.
                [*USER_STATE, "run", "--max_dead_letters", "100%", *map(str, arguments)],
                # Progress every second, as on a terminal.
                env={**os.environ, "FORCE_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """Return what it has printed so far."""
        return self._output.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def wait_until_started(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until all checks are done and the pipeline begins."""
        self.wait_until(lambda: STARTED in self.output, "the pipeline to start", timeout_s)

    def wait_for_read(self, messages: int, timeout_s: float = 120.0) -> None:
        """Wait until the progress says that so many messages have been read."""
        self.wait_until(lambda: self._read_so_far() >= messages, f"{messages:,} messages to be read", timeout_s)

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
        """Poll until `condition` holds; fail if it does not in time, or if the pipeline ends first."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.is_running(), f"waited for {what}, but the pipeline ended:\n{self.output[-4000:]}"
            assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for {what}:\n{self.output[-4000:]}"
            time.sleep(POLL_S)

    def drain(self, sign: signal.Signals = signal.SIGTERM) -> Accounting:
        """Ask it to stop, as Ctrl-C (SIGINT) or an orchestrator (SIGTERM) does; return its accounting.

        Only the process itself gets the signal, so it has to look after its children.
        """
        self._process.send_signal(sign)
        return self.wait_for_end()

    def wait_for_end(self, timeout_s: float = DRAIN_TIMEOUT_S) -> Accounting:
        """Wait until it ends in peace; return its accounting."""
        code = self.wait_for_code(timeout_s)
        assert code == 0, f"exit code {code}:\n{self.output[-4000:]}"
        assert "Traceback" not in self.output, self.output[-4000:]
        return self._accounting()

    def wait_for_code(self, timeout_s: float = DRAIN_TIMEOUT_S) -> int:
        """Wait until it ends, in peace or not; return its exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s:.0f} s:\n{self.output[-4000:]}") from None

    def kill_9(self) -> None:
        """End it and its children as a crash would."""
        _kill_group(self._process)

    def _read_so_far(self) -> int:
        lines = list(_ACCOUNTING.finditer(self.output))
        return _number(lines[-1]["read"]) if lines else 0

    def _accounting(self) -> Accounting:
        final = [line for line in _ACCOUNTING.finditer(self.output) if line["progress"] is None]
        assert len(final) == 1, f"expected one accounting line:\n{self.output[-4000:]}"
        line = final[0]
        reasons = dict(reason.rsplit(" ", 1) for reason in (line["reasons"] or "").split(", ") if reason)
        return Accounting(
            **{name: _number(line[name]) for name in ("read", "applied", "duplicate", "ignored", "dead_letters")},
            reasons={name: _number(held) for name, held in reasons.items()},
            balanced=line["sign"] == "=",
            expired=_number(line["expired"] or "0"),
        )


@contextmanager
def running_pipeline(*arguments: str | Path, output: Path) -> Iterator[Pipeline]:
    """Run `user-state run ARGUMENTS` for the length of a `with` block, at most."""
    pipeline = Pipeline(arguments, output)
    try:
        yield pipeline
    finally:
        pipeline.kill_9()


def _number(text: str) -> int:
    return int(re.sub(r",(?=\d{3})", "", text))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
