"""`user-state run` and `user-state publish` as processes of their own, as any user starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from user_state.errors import InputError

USER_STATE = (sys.executable, "-m", "user_state.cli.main")
START_TIMEOUT_S = 60.0
DRAIN_TIMEOUT_S = 60.0
STARTED = "Ctrl-C drains and stops"
"""What `user-state run` says when its checks are done."""


@contextmanager
def running(
    arguments: list[str], output: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `user-state ARGUMENTS` with its output in a file; it ends with the `with` block at the latest.

    `environment` is added to ours: arguments are for everybody to see, so a password goes there.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*USER_STATE, *arguments],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def maybe_running(arguments: list[str] | None, output: Path) -> Iterator[subprocess.Popen[bytes] | None]:
    """Do the same, or nothing if there are no arguments."""
    if arguments is None:
        yield None
        return
    with running(arguments, output) as process:
        yield process


def wait_for_start(process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until `user-state run` is at work.

    Raises:
        InputError: it ended, or takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while STARTED not in output.read_text("utf-8", "replace"):
        check_running(process, output)
        if process.poll() is not None or time.monotonic() > deadline:
            raise InputError(f"expected `user-state run` to start within {START_TIMEOUT_S:.0f} s")
        time.sleep(0.1)


def check_running(process: subprocess.Popen[bytes], output: Path) -> None:
    """Raise InputError with a process's last words if it has failed."""
    if process.poll() not in (None, 0):  # a file, once read, ends the pipeline in peace, and publishing too
        said = output.read_text("utf-8", "replace").strip()[-2000:]
        raise InputError(f"`user-state {output.stem}` ended before its time:\n{said}")


def drained(process: subprocess.Popen[bytes], output: Path) -> str:
    """Ask the pipeline to stop, as Ctrl-C does; return its accounting."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(DRAIN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise InputError(f"expected `user-state run` to drain within {DRAIN_TIMEOUT_S:.0f} s") from None
    lines = [line for line in output.read_text("utf-8", "replace").splitlines() if line.startswith("read ")]
    return lines[-1] if lines else ""
