"""Steps of the world: what is published, and what the subscription does.

Each takes the world and two numbers, and returns False if it makes no sense now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.specs import LONG_TEXT, MOST_EVENTS
from tests.simulation.worker import Message
from tests.trying import D, H, M, S, event

if TYPE_CHECKING:
    from tests.simulation.world import World

USERS = ("u", "v", "w")
HISTORY = "h"
"""Whose events are of long ago."""
RETENTION_US = 400 * D
TICKS_US = (S, M, 10 * M, 40 * M, 2 * H)


def publish(world: World, a: int, b: int, *, ago_us: int = 0, text: str = "i") -> bool | None:
    user = USERS[a % len(USERS)]
    for _ in range(1 + b % 3):
        number = sum(one.user == user for one in world.messages)
        if number >= MOST_EVENTS:
            return False
        world.now_us += 1
        made = event(world.now_us - ago_us, user, f"{user}{number}", value=4.0**number, item_id=f"{text}{number}")
        world.messages.append(Message(user, number, made, world.now_us - ago_us // 2))
    return None


def late(world: World, a: int, b: int) -> bool | None:
    return publish(world, a, 0, ago_us=(10 * M, 25 * M, 50 * M)[b % 3])


def ancient(world: World, a: int, b: int) -> bool | None:
    """History, with its own publish time: half of it is older than the retention."""
    world.history += 1
    if world.history > MOST_EVENTS:
        return False
    number = world.history - 1
    time_us = world.now_us - RETENTION_US + (1 if b % 2 else -1) * D
    user = f"{HISTORY}{b % 2}"
    made = event(time_us, user, f"{user}-{number}", value=4.0**number, item_id=f"i{number}")
    world.messages.append(Message(user, number, made, time_us))
    return None


def large(world: World, a: int, b: int) -> bool | None:
    world.large.add(USERS[a % len(USERS)])
    return publish(world, a, 0, text="x" * LONG_TEXT)


def tick(world: World, a: int, b: int) -> None:
    world.now_us += TICKS_US[a % len(TICKS_US)]


def leases_end(world: World, a: int, b: int) -> None:
    for one in world.messages:
        one.holder = None


def seek(world: World, a: int, b: int) -> None:
    for one in world.messages:
        one.acked = False


STEPS = {step.__name__: step for step in (publish, late, ancient, large, tick, leases_end, seek)}
