"""Records of some events merged with those of the others are, byte for byte, the record of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packed import Records, from_events, merge
from tests.random_worlds import (
    ACTIONS,
    BEGINNINGS,
    EIGHTHS,
    MOMENTS,
    QUICK,
    SEQUENCES,
    WINDOWED,
    event_times,
    plain_features,
)
from tests.trying import H, M, S, batch, event, plan_of
from user_state.plan.plan import Plan

INEXACT = (*MOMENTS, "geometric_mean", "approx_distinct", "approx_quantiles")
EXACT = tuple(name for name in WINDOWED if name not in INEXACT)
"""What comes to the same to the last bit in any order, if sums of values are exact."""


Arrived = tuple[dict[str, Any], int]
"""An event, and when it was published."""


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrived]:
    """Up to thirty events of one user, late, early and tied, with nulls."""
    fields = {
        "action": st.sampled_from(ACTIONS),
        "item_id": st.sampled_from([None, "a", "b", "c\u0000", "\u6f22"]),
        "value": EIGHTHS,
        "amount": st.one_of(st.none(), st.integers(0, 3)),
    }
    arrived = st.builds(
        lambda time_us, delay_us, held: (event(time_us, **held), time_us + delay_us),
        event_times(draw(st.sampled_from(BEGINNINGS))),
        st.sampled_from([0, 0, 0, S, M, -S, H, 50 * H]),
        st.fixed_dictionaries(fields),
    )
    return draw(st.lists(arrived, min_size=1, max_size=30))


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


def fold(plan: Plan, arrived: Sequence[Arrived]) -> Records:
    """Return one user's record of these events, folded in one batch; there is none of none."""
    if not arrived:
        return Records.empty(plan, 1)
    return from_events(plan, batch(plan, [made for made, _ in arrived], [published_us for _, published_us in arrived]))


@pytest.mark.slow
@given(plans(), arrivals(), st.data())
@settings(QUICK, max_examples=60)
def test_any_split_into_three_merged_in_any_order(plan: Plan, arrived: list[Arrived], data: st.DataObject) -> None:
    clock_us = max(published_us for _, published_us in arrived)
    in_time = clock_us - plan.allowed_lateness_us
    events = [(made, at) for made, at in arrived if made["event_time"] >= in_time]
    part_of = data.draw(st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events)))
    a, b, c = (fold(plan, [one for one, of in zip(events, part_of, strict=True) if of == part]) for part in range(3))
    whole = fold(plan, events).blobs
    assert merge(plan, merge(plan, a, b), c).blobs == whole
    assert merge(plan, c, merge(plan, b, a)).blobs == whole
