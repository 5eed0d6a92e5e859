"""Every aggregation, sequence and embedding folds to the same record in the compiled code and in numpy."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.both import Both
from tests.random_worlds import COMPILED_ONLY, QUICK, World, worlds
from user_state.core.compile import compile_plan
from user_state.events.decode import EventDecoder
from user_state.spec.aggregations import AGGREGATIONS

CUTS = st.lists(st.integers(0, 40), max_size=4)


def fold_both(world: World, cuts: list[int]) -> None:
    plan = compile_plan(world.spec)
    decoder = EventDecoder(plan, world.spec.schema)
    rows = [decoder.row(arrival.event, arrival.published_us) for arrival in world.arrivals]
    both = Both(plan)
    for begin, end in itertools.pairwise([0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]):
        if begin < end:
            both.fold(rows[begin:end])


@pytest.mark.parametrize("aggregate", [name for name in AGGREGATIONS if name not in COMPILED_ONLY])
def test_every_aggregation(aggregate: str) -> None:
    @given(worlds(only=aggregate), CUTS)
    @settings(QUICK, max_examples=12)
    def holds(world: World, cuts: list[int]) -> None:
        fold_both(world, cuts)

    holds()


@pytest.mark.slow
@given(worlds(), CUTS)
@settings(QUICK, max_examples=150)
def test_any_spec(world: World, cuts: list[int]) -> None:
    fold_both(world, cuts)
