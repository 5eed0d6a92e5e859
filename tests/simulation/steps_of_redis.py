"""Steps of the world: what the server is set to, refuses and loses.

Each takes the world and two numbers, and returns False if it makes no sense now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.checks import check_counts
from tests.simulation.steps_of_traffic import USERS
from tests.simulation.worker import NAME

if TYPE_CHECKING:
    from tests.simulation.world import World

CLUSTER_URL = "redis-cluster://model"
"""The model is one server all the same; the store takes it for a cluster, where no script sees the registry."""
REFUSALS = (
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
)


def cluster(world: World, a: int, b: int) -> None:
    world.url = CLUSTER_URL


def fsync(world: World, a: int, b: int) -> bool | None:
    if world.url == CLUSTER_URL:
        return False
    world.durability = "fsync"
    return None


def refuse(world: World, a: int, b: int) -> None:
    world.server.refuses = REFUSALS[a % len(REFUSALS)]


def heal(world: World, a: int, b: int) -> bool | None:
    if world.server.refuses is None:
        return False
    world.server.refuses = None
    return None


def sync(world: World, a: int, b: int) -> None:
    world.server.call("WAITAOF", 1, 0, 0)


def snapshot(world: World, a: int, b: int) -> None:
    world.snapshots.append(world.server.copy())


def restart_empty(world: World, a: int, b: int) -> None:
    world.loses()
    world.later.clear()  # connections end with the server
    world.server.restart({})


def restart_synced(world: World, a: int, b: int) -> None:
    """A power failure: what was not synced to the append-only file is gone, and nothing that was acknowledged."""
    if world.durability == "fsync":
        check_counts(world)
    else:
        world.loses()
    world.later.clear()
    world.server.restart(None)


def restart_older(world: World, a: int, b: int) -> None:
    world.loses()
    world.later.clear()  # connections end with the server
    world.server.restart(world.snapshots[a % len(world.snapshots)])


def fail_over(world: World, a: int, b: int) -> None:
    """To a replica that lags: it has what the newest snapshot has."""
    world.loses()
    world.later.clear()  # connections end with the server
    world.server.restart(world.snapshots[-1])


def flush(world: World, a: int, b: int) -> None:
    world.loses()
    world.server.flush()


def evict(world: World, a: int, b: int) -> bool | None:
    keys = sorted(world.server.all_keys())
    if not keys:
        return False
    key = keys[a % len(keys)]
    world.server.evict(key)
    if key.endswith(b":registry"):
        world.registry_lost_at = world.step
    elif b"{" in key:
        user = key.split(b"{")[1].split(b"}")[0].decode()
        world.loses(user)
        if key.endswith(b":seen"):
            world.ids_lost.add(user)
    return None


def foreign(world: World, a: int, b: int) -> None:
    """Somebody else writes to a user's key; some time later it is deleted, with both of the user's keys."""
    user = USERS[a % len(USERS)]
    keys = [f"{NAME}:{{{user}}}:{kind}" for kind in ("state", "seen")]
    if any(isinstance(world.server.get(key), list) for key in keys):
        for key in keys:
            world.server.evict(key.encode())
        world.loses(user)
        return
    world.foreign.add(user)
    world.server.put(keys[b % 2], [b"x"])
    world.loses(user)


STEPS = {
    step.__name__: step
    for step in (
        cluster,
        fsync,
        refuse,
        heal,
        sync,
        snapshot,
        restart_empty,
        restart_synced,
        restart_older,
        fail_over,
        flush,
        evict,
        foreign,
    )
}
