"""A pipeline on a real Flink under steady traffic and kills, for as long as you like: `make soak`.

    python -m tests.flink.soak [--minutes 20] [--seed 1] [--rate 150] [--state runner]

Messages come at an even rate: 5 % twice, 5 % late, 1 % too late, 1 % corrupt. At the end, when all is acknowledged:
every user's record equals brute force, every distinct event ended in one bin, and memory was flat.

With state `redis` the spec is the reference, and Redis keeps an append-only file. With state `runner` Redis keeps
nothing, so that each of its kills takes the whole view; the spec is smaller, but ignores some events, which the
reference does not.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fastavro

from tests.flink.chaos import VICTIMS, Memory, carry_out, memory_sampled, schedule
from tests.pipelines.traffic import (
    SPEC_TEXT,
    Expected,
    Traffic,
    assert_all_acknowledged,
    assert_equals_brute_force,
    dead_letters,
    events_in_redis,
    expected_of_file,
    expected_of_first,
    make_traffic,
    run_arguments,
    undecodable_bodies,
)
from tests.servers.flink import running_flink
from tests.servers.pipeline import running_pipeline
from tests.servers.pubsub import PubSubEmulator, pubsub_emulator
from tests.servers.redis import Valkey, running_valkey
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject, interaction_schema

REFERENCE = Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml"
USERS = 150
ACK_DEADLINE_S = 10
SPARE = 3
"""Times as many messages are made as the schedule would need if everything recovered as fast as it does here."""

RECOVERS_S = 4.0
"""What it takes on the whole until events flow again, so that events come for as long as kills do."""

RECOVER_S = 240.0
"""Longest it may take, when the kills are over and all is published, until every event is folded."""


@dataclass(frozen=True)
class Soak:
    """What is done to the pipeline: `kills` of `victims`, at pauses between the two of `pause_s`; messages a second."""

    seed: int
    kills: int
    pause_s: tuple[float, float]
    rate: float
    state: str = "redis"
    victims: tuple[str, ...] = VICTIMS

    @property
    def spec_text(self) -> str:
        """Return the spec that is run."""
        return REFERENCE.read_text() if self.state == "redis" else SPEC_TEXT

    @property
    def options(self) -> list[str]:
        """Return what the pipeline is run with."""
        if self.state == "redis":
            return ["--durability", "fsync"]
        return ["--state", "runner", "--checkpoint_interval", "1", "--view_refresh", "3"]


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        killed: how often each victim was killed.
        held_at_kills: different numbers of events in Redis after the kills.
        memory: of each role.
    """

    killed: dict[str, int]
    held_at_kills: set[int]
    memory: Memory


def soak(pubsub: PubSubEmulator, folder: Path, what: Soak, say: Callable[[str], None]) -> Outcome:
    """Run, kill, and hold the outcome against brute force.

    Raises:
        AssertionError: something is lost, counted twice, or never recovered.
    """
    plan = schedule(what.seed, what.kills, what.pause_s, what.victims)
    lasts_s = sum(kill.after_s + kill.down_s + RECOVERS_S * kill.in_stream for kill in plan)
    messages = round(SPARE * what.rate * lasts_s)
    traffic = make_traffic(folder, events=messages, users=USERS, seed=what.seed, spec_text=what.spec_text)
    with traffic.path.open("rb") as file:
        bodies = [message["data"] for message in fastavro.reader(file)]
    everyone = expected_of_file(traffic).applied
    name = f"soak-{time.time_ns()}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic, ack_deadline_s=ACK_DEADLINE_S)
    held: set[int] = set()
    began = time.monotonic()

    with (
        running_flink(folder / "flink") as flink,
        running_valkey(folder / "valkey", appendonly=what.state == "redis", appendfsync="everysec") as valkey,
        running_pipeline(
            *run_arguments(traffic, subscription, valkey.url, folder / "dead-letters"),
            *(*what.options, *flink.run_arguments),
            output=folder / "run.log",
        ) as pipeline,
    ):
        pipeline.wait_until_started()

        sender = Sender(pubsub, topic, bodies, what.rate)

        def folded() -> int:
            return events_in_redis(valkey, everyone)

        def progress(text: str) -> None:
            now = folded()
            held.add(now)
            say(f"{time.monotonic() - began:6.0f} s  {text}; {sender.sent:,} messages sent, {now:,} events folded")

        roles = {"run": lambda: pipeline.pid, "valkey": lambda: valkey.pid, "emulator": lambda: pubsub.process.pid}
        with memory_sampled(flink, roles, every_s=max(1.0, lasts_s / 200)) as memory:
            with sender:
                killed = carry_out(plan, flink, valkey, what.seed, folded, progress)
            expected = expected_of_first(traffic, sender.sent)
            pipeline.wait_until(
                lambda: folded() >= expected.events_applied,
                "every event to be folded",
                RECOVER_S,
            )
        # Dead letters and ignored messages leave no trace in Redis: what was in flight with them comes again by now.
        time.sleep(2 * ACK_DEADLINE_S)
        accounting = pipeline.drain()
        say(f"{time.monotonic() - began:6.0f} s  drained: {accounting}")
        say(f"{sender.sent:,} messages sent, {accounting.read:,} counted as read: what was in flight came again")

        ignores = what.spec_text == SPEC_TEXT
        _assert_each_event_once(valkey, traffic, expected, set(bodies[: sender.sent]), folder / "dead-letters", ignores)
        assert_all_acknowledged(pubsub, subscription, ACK_DEADLINE_S)
    return Outcome(killed, held, memory)


class Sender:
    """Publishes bodies in order at an even rate, from a thread, for the length of a `with` block at most."""

    def __init__(self, pubsub: PubSubEmulator, topic: str, bodies: Sequence[bytes], rate: float) -> None:
        self._pubsub = pubsub
        self._topic = topic
        self._bodies = bodies
        self._rate = rate
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.sent = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more."""
        self._ended.set()
        self._thread.join()

    def _send(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(0.1) and self.sent < len(self._bodies):
            due = min(len(self._bodies), int((time.monotonic() - began) * self._rate))
            self._pubsub.publish(self._topic, self._bodies[self.sent : due])
            self.sent = due


def _assert_each_event_once(
    valkey: Valkey, traffic: Traffic, expected: Expected, sent: set[bytes], folder: Path, ignores: bool
) -> None:
    """Every user equals brute force, and every distinct message is in one bin: 0 lost, 0 counted twice."""
    assert_equals_brute_force(valkey, traffic, expected)
    applied = events_in_redis(valkey, expected.applied)
    assert applied == expected.events_applied
    letters = dead_letters(folder)
    assert set(expected.corrupt) == set(undecodable_bodies(letters))
    bodies = SingleObject(interaction_schema())
    ignored: set[bytes] = set()
    for body in sent:
        try:
            if bodies.decode(body)["action"] == "skip" and ignores:
                ignored.add(body)
        except EventError:
            continue
    dead = {letter["data"] for letter in letters}
    assert bool(ignored) == ignores
    assert not dead & ignored
    assert len(sent) == applied + len(ignored) + len(dead)


def main() -> None:
    """Soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100_000)
    parser.add_argument("--rate", type=float, default=150, help="messages a second")
    parser.add_argument("--state", choices=("redis", "runner"), default="redis")
    parser.add_argument("--pause_s", type=float, default=25, help="mean seconds between kills")
    args = parser.parse_args()
    kills = max(10, round(60 * args.minutes / (args.pause_s + 1)))
    what = Soak(args.seed, kills, (0.2 * args.pause_s, 1.8 * args.pause_s), args.rate, args.state)
    print(
        f"seed {args.seed}: {kills} kills in about {args.minutes:g} minutes, {args.rate:g} messages a second",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="user-state-soak-") as folder, pubsub_emulator() as emulator:
        os.environ["PUBSUB_EMULATOR_HOST"] = emulator.host
        outcome = soak(emulator, Path(folder), what, say=lambda text: print(text, flush=True))
    print(outcome.memory.table())
    grown = outcome.memory.growing()
    if grown:
        raise SystemExit("memory grew: " + "; ".join(grown))
    print(f"{sum(outcome.killed.values())} kills, nothing lost, nothing counted twice, memory flat")


if __name__ == "__main__":
    main()
