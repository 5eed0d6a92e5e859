"""A world in which everything goes wrong: workers, a subscription and a model of Redis, driven one step at a time.

What a step does is in `steps_of_traffic`, `steps_of_workers` and `steps_of_redis`; what must hold, in `checks`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import greenlet

from tests.simulation import steps_of_redis, steps_of_traffic, steps_of_workers
from tests.simulation.checks import check_counts, counted
from tests.simulation.client import ModelClient
from tests.simulation.redis_model import RedisModel
from tests.simulation.schedule import Step
from tests.simulation.specs import MOST_EVENTS
from tests.simulation.steps_of_traffic import HISTORY, USERS
from tests.simulation.worker import NAME, URL, Fate, Message, Run, Worker
from tests.trying import T0, S
from user_state.events import screening
from user_state.state.outcome import Outcome
from user_state.store.keys import registry_key
from user_state.store.redis_store import Durability

MOST_BYTES = 8_000
"""Of a value that the server takes: more than a record may have."""
MOST_A_PULL = 6
STEPS = steps_of_traffic.STEPS | steps_of_workers.STEPS | steps_of_redis.STEPS


class World:
    """All of it.

    Attributes:
        step: number of the step at hand.
        losses: steps at which the server lost data, and what of it: "all" or a user.
        said_at: steps at which a worker said that data is lost.
        violations: what went wrong that must not.
    """

    users = (*USERS, f"{HISTORY}0", f"{HISTORY}1")

    def __init__(self) -> None:
        self.url = URL
        self.durability: Durability = "none"
        self.server = RedisModel()
        self.server.most_bytes = MOST_BYTES
        self.hub = greenlet.getcurrent()
        self.now_us = T0
        self.history = 0
        """How many events of long ago were published."""
        self.step = 0
        self.messages: list[Message] = []
        self.runs: list[Run] = []
        self.workers: list[Worker] = []
        self.everybody: list[Worker] = []
        self.later: list[Callable[[], None]] = []
        self.snapshots: list[dict[bytes, Any]] = [{}]
        self.losses: list[tuple[int, str]] = []
        self.said_at: list[int] = []
        self.ids_lost: set[str] = set()
        self.large: set[str] = set()
        self.foreign: set[str] = set()
        self.registry_lost_at = -1
        self.epoch = 0
        self.claimed_at: int | None = None
        self.writes_now = b""
        """The definition of the spec that began to write last."""
        self.counted_at_claim: dict[str, list[int]] = {}
        """The numbers of the events that were counted when another spec last began to write."""
        self.violations: list[str] = []
        self.log: list[str] = []
        self.done: Counter[str] = Counter()

    def do(self, step: Step) -> None:
        """Do one step, if it makes sense now."""
        self.step += 1
        self.now_us += S // 10
        self.server.now_ms = self.now_us // 1000
        if STEPS[step.kind](self, step.a, step.b) is not False:
            self.done[step.kind] += 1
            if step.kind != "work":
                self.note(f"{step.kind} {step.a} {step.b}")
        self.note_claim()

    def note(self, what: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{self.step:5}  {what}")

    def note_claim(self) -> None:
        """Note when another spec begins to write, and what is counted then."""
        held = self.server.get(registry_key(NAME))
        epoch = int(held.get(b"epoch", b"0")) if isinstance(held, dict) else 0
        if epoch > self.epoch:
            self.epoch, self.claimed_at = epoch, self.step
            self.writes_now = bytes.fromhex(held[b"current"].decode()) if isinstance(held, dict) else b""
            self.note(f"a spec begins to write with epoch {epoch - T0}")
            found = {user: counted(self, user) for user in self.users}
            self.counted_at_claim = {
                user: [number for number, count in enumerate(one.total) if count] if one else list(range(MOST_EVENTS))
                for user, one in found.items()
            }

    def pull(self, worker: Worker) -> list[Message]:
        """Lease messages to a worker."""
        free = [one for one in self.messages if not one.acked and one.holder is None][:MOST_A_PULL]
        for one in free:
            one.holder = worker
        worker.pulled_at = self.step
        return free

    def end_at_the_door(self, worker: Worker, batch: list[Message], screened: list[int]) -> None:
        """Acknowledge what is not folded at all."""
        for message, verdict in zip(batch, screened, strict=True):
            if verdict != screening.Screened.PASSED:
                message.holder, message.acked = None, True
                message.fates.append(Fate(worker.pulled_at, self.step, worker, screening.Screened(verdict)))
                self.note(f"{message} ends at the door: {screening.Screened(verdict).name.lower()}")

    def settle(self, worker: Worker, batch: list[Message], report: Any) -> None:
        """Acknowledge what a fold has done with; note what it said."""
        for message, code in zip(batch, report.outcome.tolist(), strict=True):
            if code < 0:
                self.violations.append(f"no outcome: {message}")
                continue
            message.holder = None
            if code != Outcome.CONTENDED:
                message.acked = True
                message.fates.append(Fate(worker.pulled_at, self.step, worker, Outcome(code)))
        if report.lost or report.went_back or report.ids_lost:
            self.said(worker, f"lost {report.lost}, went back {report.went_back}, ids lost {report.ids_lost}")
        outcomes = " ".join(
            f"{message}:{'?' if code < 0 else Outcome(code).name.lower()}"
            for message, code in zip(batch, report.outcome.tolist(), strict=True)
        )
        self.note(f"worker {worker.number} ({worker.run.spec.name}) folded {outcomes}")

    def said(self, worker: Worker, what: str) -> None:
        """Note what a worker said."""
        self.said_at.append(self.step)
        self.note(f"worker {worker.number} says: {what}")

    def loses(self, what: str = "all") -> None:
        """Note that the server loses data: all of it, or a user's."""
        check_counts(self)
        self.losses.append((self.step, what))

    def calm_client(self) -> ModelClient:
        """Return a client to which nothing happens."""
        return ModelClient(self.server, lambda: None, lambda: None, lambda _: None)
