"""A real Flink cluster for tests, as `make flink-up` starts it, on free ports, with its own files; killed at will.

JobManager, TaskManager, Beam's job server, the Python worker pool and its workers are processes of their own. Nothing
here touches a cluster that someone else started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

SCRIPTS = Path(__file__).parents[2] / "deploy" / "flink"
UP_TIMEOUT_S = 300.0  # with the downloads, the first time
PROCESSES = ("jobmanager", "taskmanager", "jobserver", "pool")


def flink_missing() -> str | None:
    """Return why Flink cannot be started here, or None if it can."""
    for command, what in (("javac", "a JDK of version 11 or 17"), ("mvn", "Maven")):
        if shutil.which(command) is None:
            return f"Flink needs {what}: there is no {command} on the PATH"
    return None


class Flink:
    """A running cluster.

    Args:
        folder: where it keeps configuration, logs, pids.
        slots: task slots.
        heartbeat_ms: how often counters are reported.
        metrics: have Flink's Prometheus reporter answer.
        spares: workers started ahead of need; None for as the pool has it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        slots: int = 2,
        heartbeat_ms: int = 1000,
        metrics: bool = False,
        spares: int | None = None,
    ) -> None:
        self.folder = folder
        rest, rpc, job, pool = _free_ports()
        self._env = {
            **{name: value for name, value in os.environ.items() if name != "PUBSUB_EMULATOR_HOST"},
            **{"PYTHON": sys.executable, "FLINK_RUN": str(folder)},
            **{"FLINK_REST_PORT": str(rest), "FLINK_RPC_PORT": str(rpc)},
            **{"FLINK_JOB_PORT": str(job), "FLINK_POOL_PORT": str(pool)},
            **{"FLINK_SLOTS": str(slots), "FLINK_HEARTBEAT_MS": str(heartbeat_ms)},
        }
        self._metrics_port = free_port(run=len(PROCESSES)) if metrics else None
        self._env["FLINK_METRICS_PORT"] = str(self._metrics_port or "")
        self._env["FLINK_SPARES"] = "" if spares is None else str(spares)
        self.rest, self.job_endpoint, self.worker_pool = f"localhost:{rest}", f"localhost:{job}", f"localhost:{pool}"
        done = self._script("up.sh")
        if done.returncode:
            self.stop()
            raise RuntimeError(f"Flink did not start: {done.stdout}{done.stderr}")

    @property
    def run_arguments(self) -> list[str]:
        """Return what `user-state run` needs to find the cluster."""
        return [
            *("--runner", "flink", "--flink", self.rest, "--job_endpoint", self.job_endpoint),
            *("--worker_pool", self.worker_pool),
        ]

    def scrape(self) -> str:
        """Return what the reporters of all JVMs say, in Prometheus's text format."""
        assert self._metrics_port is not None
        pages = []
        for port in range(self._metrics_port, self._metrics_port + len(PROCESSES)):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                pages.append(answer.read().decode())
        return "".join(pages)

    def pid(self, name: str) -> int:
        """Return the pid of one of PROCESSES."""
        return int((self.folder / "pids" / name).read_text())

    def worker_pids(self) -> list[int]:
        """Return the pids of the Python workers that live."""
        return children(self.pid("pool"))

    def kill_9(self, name: str) -> None:
        """End one of PROCESSES, it alone, as a crash would."""
        pid = self.pid(name)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while is_alive(pid):
            assert time.monotonic() < deadline, f"{name} outlived kill -9"
            time.sleep(0.02)

    def restart(self, name: str) -> None:
        """Start one of PROCESSES again, as whatever supervises it would."""
        deadline = time.monotonic() + 20
        while (done := self._script("start.sh", name)).returncode:
            assert time.monotonic() < deadline, f"{name} did not start again: {done.stderr}"
            time.sleep(0.5)  # its port may still be held by what it left behind

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self.folder / "log" / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End the cluster."""
        self._script("down.sh")

    def _script(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / command[0], *command[1:]],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=UP_TIMEOUT_S,
            check=False,
        )


@contextmanager
def running_flink(folder: Path, **settings: Any) -> Iterator[Flink]:
    """Run a cluster for the length of a `with` block; `settings` as `Flink` takes them."""
    cluster = Flink(folder, **settings)
    try:
        yield cluster
    finally:
        cluster.stop()


def children(pid: int) -> list[int]:
    """Return the living children of a process (Linux)."""
    found = subprocess.run(["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    fields = [line.split() for line in found.stdout.splitlines()]
    return [int(child) for child, state in fields if not state.startswith("Z")]


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not waited for does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.strip().startswith("Z")


def resident_mb(pid: int) -> float:
    """Return how much memory a process holds, MB."""
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(found.stdout or 0) / 1024


def cpu_seconds(pid: int) -> float:
    """Return how much processor time a process has used (Linux); 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_ports() -> tuple[int, int, int, int]:
    first = free_port(run=6)
    return first, first + 1, first + 4, first + 5  # the job server also takes the two ports below its own
