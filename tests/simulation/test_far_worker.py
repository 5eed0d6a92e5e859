"""A worker far from Redis beside a near one, both on one busy user: it gets its turn."""

import pytest

from tests.simulation.schedule import Step
from tests.simulation.worker import Worker
from tests.simulation.world import World
from user_state.store import contention

NEAR_CALLS = 12
"""Calls of the near worker for each of the far one."""
FAR_CALLS = 40


def calls_until_the_far_one_is_done(world: World) -> int | None:
    """Return after how many of its calls the far worker has folded its batch, None if it has not after FAR_CALLS.

    The near worker always has more of the same user to fold.
    """
    for _ in range(2):
        world.do(Step("spawn", 1))
    near, far = world.workers
    for _ in range(3):
        near.go_on()
    world.do(Step("publish", 0, 0))
    for _ in range(2):
        far.go_on()  # claims, and reads
    (message,) = world.messages
    assert message.holder is far
    for call in range(FAR_CALLS):
        for _ in range(NEAR_CALLS):
            fold_one_more(world, near)
        far.go_on()
        if message.acked:
            return call
    return None


def fold_one_more(world: World, near: Worker) -> None:
    if near.idle and sum(one.user == "u" for one in world.messages) < 20:
        world.do(Step("publish", 0, 0))
    elif near.idle:
        again = [one for one in world.messages if one.acked and one.holder is None][-1]
        again.event = {**again.event, "event_id": f"again{len(world.log)}"}  # as another event
        again.acked = False
    near.go_on()


def test_a_far_worker_gets_its_turn_beside_a_near_one():
    world = World()
    calls = calls_until_the_far_one_is_done(world)
    assert calls is not None
    assert calls <= 3 * contention.TURN_AFTER + 3


def test_without_turns_it_would_not(monkeypatch):
    monkeypatch.setattr(contention.Contention, "turn_ms", lambda self, lost: 0)
    assert calls_until_the_far_one_is_done(World()) is None


@pytest.mark.parametrize("turn_ms", [50, 2000])
def test_a_worker_that_dies_with_its_turn_holds_nobody_up_for_longer_than_the_turn(turn_ms):
    world = World()
    world.do(Step("spawn", 1))
    (worker,) = world.workers
    world.server.put("tried:{u}:turn", b"a dead worker")
    world.server._data[b"tried:{u}:turn"] = (b"a dead worker", world.server.now_ms + turn_ms)
    world.server.call("HSET", "tried:registry", "turns_until", world.server.now_ms + turn_ms)
    world.do(Step("publish", 0, 0))
    message = world.messages[-1]
    while not message.acked:
        assert world.now_us // 1000 < world.server.now_ms + turn_ms + 10_000
        world.do(Step("work", 0))
    assert message.fates
    assert worker.alive
