"""A history as a list of steps, drawn from one seed.

A step that makes no sense when its turn comes does nothing, so any part of a schedule is a schedule: that is how a
failing one is made short.

Each history draws the kinds of steps that it knows, and how often ("swarm testing": Groce and others, ISSTA 2012):
what is rare in the mixture of all kinds is common in some histories.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """One step: what kind, and two numbers that its kind makes something of."""

    kind: str
    a: int = 0
    b: int = 0


ALWAYS = {"work": 30, "publish": 8}
SOMETIMES = {
    "late": 2,  # an event from before what a short lateness allows
    "ancient": 2,  # an event of long ago, with its own publish time, as history has it
    "large": 1,  # an event that makes a record too large
    "tick": 3,
    "leases_end": 2,
    "seek": 1,
    "crash": 2,
    "spawn": 2,
    "upgrade": 1.5,
    "roll_back": 0.7,
    "unreached": 2,
    "unanswered": 3,
    "cut": 2,
    "late_answer": 2,
    "refuse": 1,
    "heal": 2,
    "sync": 1,
    "snapshot": 1.5,
    "restart_empty": 0.6,
    "restart_older": 1,
    "restart_synced": 1,
    "fail_over": 1,
    "flush": 0.6,
    "evict": 1.5,
    "foreign": 0.7,
}
SETTING = 0.25
"""How often a history is on a cluster, or waits for the append-only file."""
FAULTS = frozenset(SOMETIMES) - {"late", "ancient", "tick", "seek", "spawn", "heal", "sync", "snapshot", "leases_end"}
"""The kinds that are counted as faults."""


def drawn(seed: int, length: int) -> list[Step]:
    """Return the schedule of a seed."""
    rng = random.Random(seed)
    known = {kind: weight for kind, weight in SOMETIMES.items() if rng.random() < 0.5}
    weights = ALWAYS | known
    kinds = rng.choices(list(weights), list(weights.values()), k=length)
    settings = [Step(kind) for kind in ("cluster", "fsync") if rng.random() < SETTING]
    beginning = [*settings, Step("spawn"), Step("publish", 0, 3), Step("publish", 1, 2)]
    return beginning + [Step(kind, rng.randrange(1 << 16), rng.randrange(1 << 16)) for kind in kinds]


def shortened(schedule: list[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """Return a part of a failing schedule that fails too, and of which no single step can be left out.

    Delta debugging (Zeller and Hildebrandt, 2002), without complements.
    """
    size = len(schedule) // 2
    while size:
        at, changed = 0, False
        while at < len(schedule):
            fewer = schedule[:at] + schedule[at + size :]
            if fails(fewer):
                schedule, changed = fewer, True
            else:
                at += size
        if not changed or size > 1:
            size //= 2
    return schedule
