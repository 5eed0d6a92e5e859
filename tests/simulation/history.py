"""One history: the steps of a schedule, then a time in which nothing breaks, then what must hold."""

from __future__ import annotations

from tests.simulation.checks import check_at_the_end
from tests.simulation.schedule import Step
from tests.simulation.steps_of_traffic import USERS
from tests.simulation.steps_of_workers import MOST_WORKERS
from tests.simulation.worker import NAME
from tests.simulation.world import World

MOST_TURNS = 4_000
"""Calls within which all messages must be acknowledged once nothing breaks any more."""


def happened(schedule: list[Step]) -> World:
    """Return the world after a schedule and its peaceful end; `violations` says what must not be."""
    world = World()
    for step in schedule:
        world.do(step)
        if world.violations:
            break
    else:
        _end(world)
    for worker in world.workers:
        worker.crash()
    return world


def _end(world: World) -> None:
    world.note("nothing breaks any more")
    _heal(world)
    world.do(Step("publish", 0))
    _until_all_is_acknowledged(world)
    check_at_the_end(world)
    # The documented recovery: whatever was lost, seeking back over it brings it back.
    world.do(Step("seek"))
    _until_all_is_acknowledged(world)
    check_at_the_end(world)


def _heal(world: World) -> None:
    world.server.refuses = None
    while world.later:
        world.later.pop(0)()
    for user in USERS:
        if any(isinstance(world.server.get(key), list) for key in _keys(user)):
            world.do(Step("foreign", USERS.index(user)))  # somebody deletes it
    for worker in world.workers:
        worker.fault = None


def _keys(user: str) -> list[str]:
    return [f"{NAME}:{{{user}}}:{kind}" for kind in ("state", "seen")]


def _until_all_is_acknowledged(world: World) -> None:
    for turn in range(MOST_TURNS):
        for message in world.messages:
            if message.holder is not None and not message.holder.alive:
                message.holder = None
        if all(message.acked for message in world.messages):
            return
        newest = world.runs[-1] if world.runs else None
        if not any(worker.run is newest for worker in world.workers):
            if newest is not None and newest.superseded:
                # As the message says: whoever wants this spec has to say so once more.
                world.do(Step("roll_back", len(world.runs) - 1))
            if len(world.workers) == MOST_WORKERS:
                world.do(Step("crash", 0, 1))
            world.do(Step("spawn", 1))
        world.do(Step("work", turn))
        if world.violations:
            return
    left = [str(message) for message in world.messages if not message.acked]
    world.violations.append(f"no progress: not acknowledged after {MOST_TURNS} calls: {' '.join(left)}")
