"""A world in which everything goes wrong: workers, a subscription and a model of Redis, driven one step at a time.

Workers run the real `Folder` over the real `RedisStateStore`. Each is a greenlet that stops at every call of Redis, so
any interleaving of any number of workers can be had, from one thread, without a clock: the schedule says who goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import greenlet
import xxhash

from tests.simulation.checks import check_counts, counted
from tests.simulation.client import ModelClient
from tests.simulation.redis_model import RedisModel
from tests.simulation.schedule import Step
from tests.simulation.specs import LONG_TEXT, MOST_EVENTS, SPECS, Compiled, compiled
from tests.trying import T0, D, H, M, S, event
from user_state.core.admission import Outcome
from user_state.core.events import Events
from user_state.errors import SpecSuperseded, StoreError, StoreUnavailable
from user_state.events import screening
from user_state.fold import Folder
from user_state.store.contention import Contention
from user_state.store.keys import registry_key
from user_state.store.redis_store import Durability, RedisStateStore
from user_state.store.registry import Registry, Writer

NAME = "tried"
URL = "redis://model"
CLUSTER_URL = "redis-cluster://model"
"""The model is one server all the same; the store takes it for a cluster, where no script sees the registry."""
USERS = ("u", "v", "w")
HISTORY = "h"
"""Whose events are of long ago."""
RETENTION_US = 400 * D
MOST_BYTES = 8_000
"""Of a value that the server takes: more than a record may have."""
MOST_WORKERS = 4
MOST_A_PULL = 6
TICKS_US = (S, M, 10 * M, 40 * M, 2 * H)
REFUSALS = (
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
)


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

    def __init__(self, spec: Compiled, generation: int) -> None:
        self.spec = spec
        self.generation = generation
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
            generation=run.generation,
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
        self.generation = 0
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
        if getattr(self, f"_{step.kind}")(step.a, step.b) is not False:
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
        generation = int(held.get(b"generation", b"0")) if isinstance(held, dict) else 0
        if generation > self.generation:
            self.generation, self.claimed_at = generation, self.step
            self.writes_now = bytes.fromhex(held[b"current"].decode()) if isinstance(held, dict) else b""
            self.note(f"a spec begins to write with generation {generation - T0}")
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

    # Steps: each takes two numbers, and returns False if it makes no sense now.

    def _cluster(self, a: int, b: int) -> None:
        self.url = CLUSTER_URL

    def _fsync(self, a: int, b: int) -> bool | None:
        if self.url == CLUSTER_URL:
            return False
        self.durability = "fsync"
        return None

    def _work(self, a: int, b: int) -> bool | None:
        if not self.workers:
            return False
        worker = self.workers[a % len(self.workers)]
        worker.go_on()
        self.workers = [one for one in self.workers if one.alive]
        return None

    def _publish(self, a: int, b: int, *, ago_us: int = 0, text: str = "i") -> bool | None:
        user = USERS[a % len(USERS)]
        for _ in range(1 + b % 3):
            number = sum(one.user == user for one in self.messages)
            if number >= MOST_EVENTS:
                return False
            self.now_us += 1
            made = event(self.now_us - ago_us, user, f"{user}{number}", value=4.0**number, item_id=f"{text}{number}")
            self.messages.append(Message(user, number, made, self.now_us - ago_us // 2))
        return None

    def _late(self, a: int, b: int) -> bool | None:
        return self._publish(a, 0, ago_us=(10 * M, 25 * M, 50 * M)[b % 3])

    def _ancient(self, a: int, b: int) -> bool | None:
        """History, with its own publish time: half of it is older than the retention."""
        self.history += 1
        if self.history > MOST_EVENTS:
            return False
        number = self.history - 1
        time_us = self.now_us - RETENTION_US + (1 if b % 2 else -1) * D
        user = f"{HISTORY}{b % 2}"
        made = event(time_us, user, f"{user}-{number}", value=4.0**number, item_id=f"i{number}")
        self.messages.append(Message(user, number, made, time_us))
        return None

    def _large(self, a: int, b: int) -> bool | None:
        self.large.add(USERS[a % len(USERS)])
        return self._publish(a, 0, text="x" * LONG_TEXT)

    def _tick(self, a: int, b: int) -> None:
        self.now_us += TICKS_US[a % len(TICKS_US)]

    def _leases_end(self, a: int, b: int) -> None:
        for one in self.messages:
            one.holder = None

    def _seek(self, a: int, b: int) -> None:
        for one in self.messages:
            one.acked = False

    def _crash(self, a: int, b: int) -> bool | None:
        if not self.workers:
            return False
        worker = self.workers.pop(a % len(self.workers))
        worker.crash()
        for one in self.messages:
            if one.holder is worker and b % 2:
                one.holder = None
        return None

    def _spawn(self, a: int, b: int) -> bool | None:
        """Start a worker of a run: the newest, or with some luck any, as a scheduler that knows of no other would."""
        if not self.runs:
            self._start("base")
        if len(self.workers) >= MOST_WORKERS or not self.runs:
            return False
        run = self.runs[-1] if a % 4 else self.runs[b % len(self.runs)]
        worker = Worker(self, run, len(self.everybody))
        self.workers.append(worker)
        self.everybody.append(worker)
        return None

    def _upgrade(self, a: int, b: int) -> bool | None:
        return self._start(list(SPECS)[a % len(SPECS)])

    def _start(self, name: str) -> bool | None:
        """Start a run, as the command does: refused if its spec is an older one."""
        spec = compiled(name)
        registry = Registry(self.calm_client(), URL, NAME)
        try:
            proposed = registry.propose(Writer(spec.plan.layout, spec.plan.definition, self.now_us))
        except StoreError:  # superseded, or the server refuses: the command says so and ends
            return False
        self.runs.append(Run(spec, max(self.now_us, proposed.generation)))
        return None

    def _roll_back(self, a: int, b: int) -> bool | None:
        if not self.runs:
            return False
        spec = self.runs[a % len(self.runs)].spec
        registry = Registry(self.calm_client(), URL, NAME)
        try:
            forced = registry.force(Writer(spec.plan.layout, spec.plan.definition, self.now_us))
        except StoreUnavailable:
            return False
        self.runs.append(Run(spec, forced.generation))
        return None

    def calm_client(self) -> ModelClient:
        return ModelClient(self.server, lambda: None, lambda: None, lambda _: None)

    def _fault(self, a: int, kind: str) -> bool | None:
        if not self.workers:
            return False
        self.workers[a % len(self.workers)].fault = kind
        return None

    def _unreached(self, a: int, b: int) -> bool | None:
        return self._fault(a, "unreached")

    def _unanswered(self, a: int, b: int) -> bool | None:
        return self._fault(a, "unanswered")

    def _cut(self, a: int, b: int) -> bool | None:
        return self._fault(a, "cut")

    def _late_answer(self, a: int, b: int) -> bool | None:
        """Have a call done later; or do what is to be done later, now."""
        if self.later:
            return self.later.pop(0)()
        return self._fault(a, "late")

    def _refuse(self, a: int, b: int) -> None:
        self.server.refuses = REFUSALS[a % len(REFUSALS)]

    def _heal(self, a: int, b: int) -> bool | None:
        if self.server.refuses is None:
            return False
        self.server.refuses = None
        return None

    def _sync(self, a: int, b: int) -> None:
        self.server.call("WAITAOF", 1, 0, 0)

    def _snapshot(self, a: int, b: int) -> None:
        self.snapshots.append(self.server.copy())

    def _loses(self, what: str = "all") -> None:
        check_counts(self)
        self.losses.append((self.step, what))

    def _restart_empty(self, a: int, b: int) -> None:
        self._loses()
        self.later.clear()  # connections end with the server
        self.server.restart({})

    def _restart_synced(self, a: int, b: int) -> None:
        """A power failure: what was not synced to the append-only file is gone, and nothing that was acknowledged."""
        if self.durability == "fsync":
            check_counts(self)
        else:
            self._loses()
        self.later.clear()
        self.server.restart(None)

    def _restart_older(self, a: int, b: int) -> None:
        self._loses()
        self.later.clear()  # connections end with the server
        self.server.restart(self.snapshots[a % len(self.snapshots)])

    def _fail_over(self, a: int, b: int) -> None:
        """To a replica that lags: it has what the newest snapshot has."""
        self._loses()
        self.later.clear()  # connections end with the server
        self.server.restart(self.snapshots[-1])

    def _flush(self, a: int, b: int) -> None:
        self._loses()
        self.server.flush()

    def _evict(self, a: int, b: int) -> bool | None:
        keys = sorted(self.server.all_keys())
        if not keys:
            return False
        key = keys[a % len(keys)]
        self.server.evict(key)
        if key.endswith(b":registry"):
            self.registry_lost_at = self.step
        elif b"{" in key:
            user = key.split(b"{")[1].split(b"}")[0].decode()
            self._loses(user)
            if key.endswith(b":seen"):
                self.ids_lost.add(user)
        return None

    def _foreign(self, a: int, b: int) -> None:
        """Somebody else writes to a user's key; some time later it is deleted, with both of the user's keys."""
        user = USERS[a % len(USERS)]
        keys = [f"{NAME}:{{{user}}}:{kind}" for kind in ("state", "seen")]
        if any(isinstance(self.server.get(key), list) for key in keys):
            for key in keys:
                self.server.evict(key.encode())
            self._loses(user)
            return
        self.foreign.add(user)
        self.server.put(keys[b % 2], [b"x"])
        self._loses(user)
