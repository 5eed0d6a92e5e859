"""Steps of the world: workers start, work, meet faults of the network and crash; specs begin to write.

Each takes the world and two numbers, and returns False if it makes no sense now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.specs import SPECS, compiled
from tests.simulation.worker import NAME, URL, Run, Worker
from user_state.errors import StoreError, StoreUnavailable
from user_state.store.registry import Registry, Writer

if TYPE_CHECKING:
    from tests.simulation.world import World

MOST_WORKERS = 4


def work(world: World, a: int, b: int) -> bool | None:
    if not world.workers:
        return False
    worker = world.workers[a % len(world.workers)]
    worker.go_on()
    world.workers = [one for one in world.workers if one.alive]
    return None


def crash(world: World, a: int, b: int) -> bool | None:
    if not world.workers:
        return False
    worker = world.workers.pop(a % len(world.workers))
    worker.crash()
    for one in world.messages:
        if one.holder is worker and b % 2:
            one.holder = None
    return None


def spawn(world: World, a: int, b: int) -> bool | None:
    """Start a worker of a run: the newest, or with some luck any, as a scheduler that knows of no other would."""
    if not world.runs:
        _start(world, "base")
    if len(world.workers) >= MOST_WORKERS or not world.runs:
        return False
    run = world.runs[-1] if a % 4 else world.runs[b % len(world.runs)]
    worker = Worker(world, run, len(world.everybody))
    world.workers.append(worker)
    world.everybody.append(worker)
    return None


def upgrade(world: World, a: int, b: int) -> bool | None:
    return _start(world, list(SPECS)[a % len(SPECS)])


def roll_back(world: World, a: int, b: int) -> bool | None:
    if not world.runs:
        return False
    spec = world.runs[a % len(world.runs)].spec
    registry = Registry(world.calm_client(), URL, NAME)
    try:
        forced = registry.force(Writer(spec.plan.layout, spec.plan.definition, world.now_us))
    except StoreUnavailable:
        return False
    world.runs.append(Run(spec, forced.epoch))
    return None


def _start(world: World, name: str) -> bool | None:
    """Start a run, as the command does: refused if its spec is an older one."""
    spec = compiled(name)
    registry = Registry(world.calm_client(), URL, NAME)
    try:
        proposed = registry.propose(Writer(spec.plan.layout, spec.plan.definition, world.now_us))
    except StoreError:  # superseded, or the server refuses: the command says so and ends
        return False
    world.runs.append(Run(spec, max(world.now_us, proposed.epoch)))
    return None


def unreached(world: World, a: int, b: int) -> bool | None:
    return _fault(world, a, "unreached")


def unanswered(world: World, a: int, b: int) -> bool | None:
    return _fault(world, a, "unanswered")


def cut(world: World, a: int, b: int) -> bool | None:
    return _fault(world, a, "cut")


def late_answer(world: World, a: int, b: int) -> bool | None:
    """Have a call done later; or do what is to be done later, now."""
    if world.later:
        return world.later.pop(0)()
    return _fault(world, a, "late")


def _fault(world: World, a: int, kind: str) -> bool | None:
    if not world.workers:
        return False
    world.workers[a % len(world.workers)].fault = kind
    return None


STEPS = {
    step.__name__: step for step in (work, crash, spawn, upgrade, roll_back, unreached, unanswered, cut, late_answer)
}
