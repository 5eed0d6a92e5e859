"""Histories in which everything goes wrong; and the faults that were mended are found if put back."""

import re

import pytest

from tests.simulation.bugs import BUGS, with_bug
from tests.simulation.history import happened
from tests.simulation.schedule import Step, drawn, shortened
from tests.simulation.specs import digits

HISTORIES = 300
"""Ten seconds' worth; `make simulate` has more."""
LENGTH = 120
WITHIN = 600
"""Histories among which each fault has to show: a minute's worth."""


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("first", [1_000_000, 2_000_000])
def test_no_history_ends_in_wrong_values_or_in_silence(first):
    faults = 0
    for seed in range(first, first + HISTORIES):
        world = happened(drawn(seed, LENGTH))
        assert not world.violations, (
            f"python -m tests.simulation --seed {seed} --length {LENGTH}: {world.violations[0]}"
        )
        faults += sum(world.done[kind] for kind in ("unanswered", "restart_empty", "upgrade", "evict"))
    assert faults > 500


@pytest.mark.slow
@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_fault_that_was_mended_is_found_if_it_is_put_back(bug):
    with with_bug(bug):
        assert any(happened(drawn(seed, LENGTH)).violations for seed in range(WITHIN))


def test_a_history_is_the_same_each_time():
    first, again = (happened(drawn(17, LENGTH)) for _ in range(2))
    assert first.log == again.log
    assert first.done == again.done
    assert sum(first.done.values()) > LENGTH // 2


def test_a_failing_schedule_is_shortened_to_the_steps_that_it_needs():
    schedule = [Step("tick", n) for n in range(50)] + [Step("flush"), Step("seek"), Step("tick")]

    def fails(part):
        return [step.kind for step in part if step.kind != "tick"] == ["flush", "seek"]

    assert shortened(schedule, fails) == [Step("flush"), Step("seek")]


def test_a_sum_tells_which_events_are_counted_and_how_often():
    assert digits(4.0**0 + 3 * 4.0**2 + 4.0**23) == [1, 0, 3, *[0] * 20, 1]
    assert digits(0.0) == []


def test_the_documented_kinds_of_steps_are_those_that_are_drawn():
    kinds = {step.kind for seed in range(60) for step in drawn(seed, LENGTH)}
    assert len(kinds) > 24
    assert all(re.fullmatch("[a-z_]+", kind) for kind in kinds)
