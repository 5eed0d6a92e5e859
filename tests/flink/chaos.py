"""Killing what a pipeline on Flink stands on, at random moments from a seed, while events stream.

    taskmanager   the JVM that runs the steps; its Python workers lose their runner
    worker        one Python process, in the middle of a bundle
    pool          the pool, and with it every worker; until it is back none can be started
    jobserver     not needed once the job runs
    redis         Valkey with an append-only file, under --durability fsync

Each is killed with -9 and started again by the supervisor that stands here for Kubernetes or systemd. The job's own
restarts are Flink's.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.servers.flink import Flink, children, resident_mb
from tests.servers.redis import Valkey

VICTIMS = ("taskmanager", "worker", "pool", "jobserver", "redis")
RESTART_AFTER_S = (0.3, 2.0)
IN_STREAM = 0.7
FLOW_S = 90.0
"""Longest we wait for events to flow again."""


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        after_s: seconds after the one before, or after events flow again.
        in_stream: whether to wait until events flow again; else it may hit what has not recovered yet.
        victim: whom.
        down_s: seconds until it is started again.
    """

    after_s: float
    in_stream: bool
    victim: str
    down_s: float


def schedule(seed: int, kills: int, pause_s: tuple[float, float], among: Sequence[str] = VICTIMS) -> list[Kill]:
    """Return kills of every victim, as equally often as goes, in random order at random moments."""
    rng = random.Random(seed)
    victims = [among[n % len(among)] for n in range(kills)]
    rng.shuffle(victims)
    return [
        Kill(rng.uniform(*pause_s), rng.random() < IN_STREAM, victim, rng.uniform(*RESTART_AFTER_S))
        for victim in victims
    ]


def carry_out(
    plan: Sequence[Kill],
    flink: Flink,
    valkey: Valkey,
    seed: int,
    folded: Callable[[], int],
    say: Callable[[str], None],
) -> dict[str, int]:
    """Kill as planned; return how often each victim was killed. `folded` gives the events folded so far."""
    rng = random.Random(seed + 1)
    killed = dict.fromkeys((kill.victim for kill in plan), 0)
    for kill in plan:
        if kill.in_stream:
            before, deadline = folded(), time.monotonic() + FLOW_S
            while folded() == before and time.monotonic() < deadline:
                time.sleep(0.2)
        time.sleep(kill.after_s)
        if kill.victim == "redis":
            valkey.kill_9()
            time.sleep(kill.down_s)
            valkey.restart()
        elif kill.victim == "worker":
            deadline = time.monotonic() + 60
            while not (workers := flink.worker_pids()):
                assert time.monotonic() < deadline, "no Python worker was started for a minute"
                time.sleep(0.1)
            with suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
        else:
            flink.kill_9(kill.victim)
            time.sleep(kill.down_s)
            flink.restart(kill.victim)
        killed[kill.victim] += 1
        say(f"killed {kill.victim}{'' if kill.in_stream else ', whatever had recovered'}")
    return killed


@dataclass
class Memory:
    """Resident memory by role, MB, one sample after another; a role's processes are added up."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def table(self) -> str:
        """Return the median of each quarter of the run, a line a role."""
        lines = [f"{'MB resident':12} {'1st quarter':>12} {'2nd':>8} {'3rd':>8} {'4th':>8} {'most':>8}"]
        for role, held in self.samples.items():
            first, second, third, fourth = (f"{one:.0f}" for one in self.quarters(held))
            lines.append(f"{role:12} {first:>12} {second:>8} {third:>8} {fourth:>8} {max(held):>8.0f}")
        return "\n".join(lines)

    def growing(self, factor: float = 1.3, slack_mb: float = 60) -> list[str]:
        """Return the roles that hold clearly more in the last quarter than in the second."""
        grown = []
        for role, held in self.samples.items():
            _, second, _, fourth = self.quarters(held)
            if fourth > factor * second + slack_mb:
                grown.append(f"{role}: {second:.0f} MB in the second quarter, {fourth:.0f} MB in the last")
        return grown

    @staticmethod
    def quarters(held: Sequence[float]) -> tuple[float, float, float, float]:
        """Return the median of each quarter."""
        size = max(1, len(held) // 4)
        parts = [held[n * size : (n + 1) * size] or held[-1:] for n in range(4)]
        first, second, third, fourth = (statistics.median(part) for part in parts)
        return first, second, third, fourth


@contextmanager
def memory_sampled(flink: Flink, others: dict[str, Callable[[], int]], every_s: float) -> Iterator[Memory]:
    """Sample memory from a thread; `others` gives the pids of further roles."""
    memory, ended = Memory(), threading.Event()

    def sample() -> None:
        while not ended.wait(every_s):
            for role in ("jobmanager", "taskmanager", "jobserver", "pool"):
                with suppress(OSError, ValueError):
                    add(role, resident_mb(flink.pid(role)))
            with suppress(OSError, ValueError):
                workers = [resident_mb(pid) for pid in children(flink.pid("pool"))]
                add("workers", max(workers, default=0))
            for role, pid in others.items():
                with suppress(OSError, ValueError, AssertionError):
                    add(role, resident_mb(pid()))

    def add(role: str, held_mb: float) -> None:
        if held_mb > 0:  # not while it is down
            memory.samples.setdefault(role, []).append(held_mb)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()
