"""What a worker does after lost races, by a clock, chances and sleeps of the test's own."""

from itertools import pairwise

import pytest

from user_state.store.contention import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    LONGEST_TURN_MS,
    SHORTEST_TURN_MS,
    TURN_AFTER,
    Contention,
)


class World:
    def __init__(self, chance=1.0):
        self.now_s, self.slept, self.chance = 100.0, [], chance
        self.contention = Contention(sleep=self.slept.append, clock=lambda: self.now_s, chance=lambda: self.chance)

    def turn_ms(self, lost, took_s=0.0):
        """Return the turn that is asked for by a try that has taken so long until it writes."""
        self.contention.begin()
        self.now_s += took_s
        return self.contention.turn_ms(lost)


def test_pauses_double_up_to_the_longest_while_it_is_anothers_turn():
    world = World()
    for lost in range(1, 12):
        world.contention.pause(lost, busy=True)
    assert world.slept[0] == FIRST_PAUSE_S
    assert all(later == min(2 * before, LONGEST_PAUSE_S) for before, later in pairwise(world.slept))
    assert world.slept[-1] == LONGEST_PAUSE_S


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_a_pause_is_anything_from_nothing_to_its_bound(chance):
    world = World(chance)
    world.contention.pause(4, busy=True)
    assert world.slept == [chance * FIRST_PAUSE_S * 8]


def test_who_may_have_the_turn_does_not_wait_and_others_do():
    world = World()
    world.contention.pause(TURN_AFTER, busy=False)
    assert len(world.slept) == 1
    world.contention.pause(TURN_AFTER + 1, busy=False)
    assert len(world.slept) == 1
    world.contention.pause(TURN_AFTER + 1, busy=True)
    assert len(world.slept) == 2


@pytest.mark.parametrize(("lost", "asks"), [(0, False), (TURN_AFTER - 1, False), (TURN_AFTER, True), (39, True)])
def test_a_turn_is_asked_for_after_races_lost_and_not_before(lost, asks):
    assert (World().turn_ms(lost) > 0) == asks


@pytest.mark.parametrize("took_s", [0.0, 0.01, 0.1, 0.5])
def test_a_turn_is_long_enough_for_another_try_that_takes_twice_as_long_and_the_pauses(took_s):
    turn_ms = World().turn_ms(TURN_AFTER, took_s)
    assert turn_ms == pytest.approx(1000 * (2 * took_s + 2 * LONGEST_PAUSE_S), abs=1)
    assert SHORTEST_TURN_MS <= turn_ms <= LONGEST_TURN_MS


def test_a_turn_is_never_longer_than_others_can_be_made_to_wait():
    assert World().turn_ms(TURN_AFTER, took_s=60.0) == LONGEST_TURN_MS


def test_the_time_a_try_has_taken_begins_with_it():
    world = World()
    world.turn_ms(TURN_AFTER, took_s=60.0)
    assert world.turn_ms(TURN_AFTER, took_s=0.0) == round(2000 * LONGEST_PAUSE_S)
