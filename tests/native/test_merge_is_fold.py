"""Records of some events merged with those of the others are, byte for byte, the record of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.batches import Arrived, batches, rows_of
from tests.random_worlds import EIGHTHS, MOMENTS, QUICK, SEQUENCES, WINDOWED, plain_features
from tests.trying import VERSION, plan_of
from user_state._native import Folding
from user_state.core.events import Events
from user_state.core.plan import Plan

EXACT = tuple(name for name in WINDOWED if name not in MOMENTS and not name.startswith("approx"))
"""What comes to the same to the last bit in any order, if sums of values are exact."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    features = draw(st.lists(plain_features(EXACT), min_size=1, max_size=4))
    sequences = draw(st.lists(SEQUENCES, max_size=2))
    return plan_of(
        features={f"f{at}": made for at, made in enumerate(features)},
        sequences={f"s{at}": made for at, made in enumerate(sequences)},
        timezone=draw(st.sampled_from(["UTC", "America/St_Johns"])),
        max_clock_skew=draw(st.sampled_from(["1s", "1m", "10m"])),
        allowed_lateness=draw(st.sampled_from(["10m", "1h", "2d", "9d"])),
    )


def fold(plan: Plan, folding: Folding, arrived: Sequence[Arrived]) -> bytes | None:
    """Return one user's record of these events, folded in one batch; None of none."""
    if not arrived:
        return None
    events = Events.from_rows(plan, rows_of(plan, [({**made, "user_id": "u"}, at) for made, at in arrived]))
    [blob], wrong = folding.fold([None], events, np.zeros(1, np.int64), [VERSION])
    assert wrong == []
    return bytes(blob)


def merge(folding: Folding, a: bytes | None, b: bytes | None) -> bytes | None:
    [blob], wrong = folding.merge([a], [b], [VERSION])
    assert wrong == []
    return None if blob is None else bytes(blob)


@pytest.mark.slow
@given(plans(), batches(EIGHTHS), st.data())
@settings(QUICK, max_examples=100)
def test_any_split_into_three_merged_in_any_order(plan: Plan, arrived: list[list[Arrived]], data: st.DataObject) -> None:
    clock_us = max(published_us for batch in arrived for _, published_us in batch)
    in_time = clock_us - plan.allowed_lateness_us
    events = [(made, at) for batch in arrived for made, at in batch if made["event_time"] >= in_time]
    part_of = data.draw(st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events)))
    folding = Folding(plan)
    a, b, c = (fold(plan, folding, [e for e, of in zip(events, part_of, strict=True) if of == part]) for part in range(3))
    whole = fold(plan, folding, events)
    assert merge(folding, merge(folding, a, b), c) == whole
    assert merge(folding, c, merge(folding, b, a)) == whole
