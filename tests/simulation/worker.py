"""A worker of the simulated world: the real `Folder` over the real `RedisStateStore`, and the messages that it folds.

Each is a greenlet that stops at every call of Redis, so any interleaving of any number of workers can be had, from one
thread, without a clock: the schedule says who goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import greenlet
import xxhash

from tests.simulation.client import ModelClient
from tests.simulation.specs import Compiled
from user_state.errors import SpecSuperseded, StoreError
from user_state.events import screening
from user_state.fold import Folder
from user_state.state.events import Events
from user_state.state.outcome import Outcome
from user_state.store.contention import Contention
from user_state.store.redis_store import RedisStateStore

if TYPE_CHECKING:
    from tests.simulation.world import World

NAME = "tried"
URL = "redis://model"


class Fate(NamedTuple):
    """What became of a message: it was pulled in one step, and acknowledged in another."""

    pulled_at: int
    acked_at: int
    worker: Worker
    outcome: Outcome | screening.Screened


@dataclass
class Message:
    """One published event.

    Attributes:
        number: among the user's events.
        acked: whether it was acknowledged, and not sought back since.
        holder: the worker that it is leased to.
        fates: each time that its fold was done and it was acknowledged.
    """

    user: str
    number: int
    event: dict[str, Any]
    published_us: int
    acked: bool = False
    holder: Worker | None = None
    fates: list[Fate] = field(default_factory=list)

    @property
    def id_hash(self) -> int:
        """The hash of the event's id."""
        return int(xxhash.xxh64_intdigest(self.event["event_id"].encode()))

    def __str__(self) -> str:
        return f"{self.user}{self.number}"


class Run:
    """One start of the command, with a spec: its workers share it."""

    def __init__(self, spec: Compiled, epoch: int) -> None:
        self.spec = spec
        self.epoch = epoch
        self.superseded = False


class Worker:
    """A process that pulls, folds and acknowledges; it stops at each call of Redis."""

    def __init__(self, world: World, run: Run, number: int) -> None:
        self.run, self.number = run, number
        self.world = world
        self.fault: str | None = None
        self.alive = True
        self.idle = False
        self.pulled_at = -1
        self.wrote_at = -1
        """The step at which it last wrote something."""
        client = ModelClient(world.server, self._others_go_on, self._take_fault, world.later.append)
        self.store = RedisStateStore(world.url, NAME, durability=world.durability, client=client)
        self.folder = Folder(
            run.spec.plan,
            self.store,
            epoch=run.epoch,
            contention=Contention(lambda _: None, lambda: world.now_us / 1e6, lambda: 0.5),
            now_us=lambda: world.now_us,
        )
        self._greenlet = greenlet.greenlet(self._live)

    def go_on(self) -> None:
        """Let it work until its next call."""
        self._greenlet.switch()

    def crash(self) -> None:
        """End it where it is."""
        self.alive = False
        self._greenlet.throw()

    def _others_go_on(self) -> None:
        self.world.hub.switch()

    def _take_fault(self) -> str | None:
        fault, self.fault = self.fault, None
        return fault

    def _live(self) -> None:
        try:
            while True:
                batch = self.world.pull(self)
                self.idle = not batch
                if batch:
                    self._fold(batch)
                self._others_go_on()
        except SpecSuperseded as exc:
            self.run.superseded = True
            self.world.said(self, f"stops: {exc}")
        except StoreError as exc:
            self.world.violations.append(f"failed: worker {self.number}: {exc}")
        self.alive = False

    def _fold(self, batch: list[Message]) -> None:
        plan, decoder = self.run.spec.plan, self.run.spec.decoder
        rows = [decoder.row(one.event, one.published_us) for one in batch]
        screened = screening.screen(plan, Events.from_rows(plan, rows), self.world.now_us).tolist()
        self.world.end_at_the_door(self, batch, screened)
        passed = [at for at, verdict in enumerate(screened) if verdict == screening.Screened.PASSED]
        if passed:
            report = self.folder.fold([rows[at] for at in passed], lambda problem: None)
            if report.writes:
                self.wrote_at = self.world.step
            self.world.settle(self, [batch[at] for at in passed], report)
