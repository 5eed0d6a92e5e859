"""Filters as the core evaluates them: each condition against values worked out by hand, null by null."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.packed import features
from tests.trying import T0, H, batch, event, plan_of, record_of, value_of
from user_state.state.relevant import matches

F32 = {number: float(np.float32(number)) for number in (0.1, 4.3)}
EVENTS = [
    event(T0, action="view"),
    event(T0, action="like", item_id="a", value=1.0, amount=2**53, stars=F32[0.1], bought=True),
    event(T0, action="like", item_id="b", value=2.0, amount=2**53 + 1, stars=F32[4.3], bought=False),
    event(T0, action="skip", item_id="", value=-0.5, amount=-3, stars=0.5, seen_at=T0 // 1000),
]
"""Of all that may be null, the first has nothing."""
CASES: list[tuple[dict[str, Any], list[bool]]] = [
    ({"stars": 0.1}, [False, True, False, False]),
    ({"stars": {"<=": 0.1}}, [False, True, False, False]),
    ({"stars": {">": 0.1}}, [False, False, True, True]),
    ({"stars": {">": 0.1, "<": 4.3}}, [False, False, False, True]),
    ({"amount": 2**53 + 1}, [False, False, True, False]),
    ({"amount": {">": 2**53}}, [False, False, True, False]),
    ({"amount": {">=": 2**53}}, [False, True, True, False]),
    ({"amount": {"<": 2**53 + 1}}, [False, True, False, True]),
    ({"amount": {">": -3.5}}, [False, True, True, True]),
    ({"amount": {"<=": -2.5}}, [False, False, False, True]),
    ({"value": {"not": 1.0}}, [True, False, True, True]),
    ({"value": {"not": {">=": 1}}}, [True, False, False, True]),
    ({"value": {"exists": True}}, [False, True, True, True]),
    ({"value": {"exists": False}}, [True, False, False, False]),
    ({"item_id": {"exists": True}}, [False, True, True, True]),
    ({"bought": {"exists": False}}, [True, False, False, True]),
    ({"bought": {"not": True}}, [True, False, True, True]),
    ({"item_id": {"not": ["a", "never seen"]}}, [True, False, True, True]),
    ({"item_id": {"not": "a", "exists": True}}, [False, False, True, True]),
    ({"not": {"action": "like", "value": {">": 1}}}, [True, True, False, True]),
    ({"any": [{"action": "view"}, {"value": {"<": 0}}]}, [True, False, False, True]),
    ({"any": [{"action": "like", "bought": True}, {"all": [{"action": "skip"}]}]}, [False, True, False, True]),
    ({"action": "like", "any": [{"value": 2.0}, {"item_id": "c"}]}, [False, False, True, False]),
    ({"not": {"any": [{"action": ["view", "skip"]}, {"bought": True}]}}, [False, False, True, False]),
    ({"seen_at": T0 // 1000}, [False, False, False, True]),
    ({"seen_at": {">": T0 // 1000}}, [False, False, False, False]),
]


@pytest.mark.parametrize(("where", "expected"), CASES)
def test_a_condition_holds_or_does_not_and_null_meets_none(where: dict[str, Any], expected: list[bool]) -> None:
    plan = plan_of(features={"f": {"aggregate": "count", "where": where, "windows": ["1h"]}})
    assert matches(plan, batch(plan, EVENTS), 0).tolist() == expected
    opposite = plan_of(features={"f": {"aggregate": "count", "where": {"not": where}, "windows": ["1h"]}})
    assert matches(opposite, batch(opposite, EVENTS), 0).tolist() == [not one for one in expected]


@pytest.mark.parametrize(
    ("of", "edges", "counts"),
    [
        ("amount", [-3, 2**53, 2**53 + 1], [0, 1, 1, 1]),
        ("amount", [-2.5, 0.5], [1, 0, 2]),
        ("amount", [-(2**63), 2**63 - 1], [0, 3, 0]),
        ("stars", [0.1, 4.3], [0, 2, 1]),
        ("value", [-0.5, 1, 1.5], [0, 1, 1, 1]),
        ("seen_at", [T0 // 1000, T0 // 1000 + 1], [0, 1, 0]),
    ],
)
def test_an_edge_is_a_number_of_the_field(of: str, edges: list[float], counts: list[int]) -> None:
    plan = plan_of(features={"f": {"aggregate": "histogram", "of": of, "edges": edges, "windows": ["1h"]}})
    assert features(plan, record_of(plan, EVENTS), T0).arrays["f_histogram_1h"].tolist() == [counts]


def test_labels_of_bins_tell_large_edges_apart() -> None:
    edges = [1_764_000_000_500, 1_764_000_001_500]
    plan = plan_of(features={"f": {"aggregate": "histogram", "of": "seen_at", "edges": edges, "windows": ["1h"]}})
    assert [array.labels for array in plan.arrays] == [
        ("[-inf, 1764000000500)", "[1764000000500, 1764000001500)", "[1764000001500, inf)")
    ]


def test_of_leaves_out_nulls_for_every_number_alike() -> None:
    some = {"aggregate": ["count", "sum", "recency", "distinct", "active_days"], "of": "value", "windows": ["1h"]}
    plan = plan_of(
        features={
            "f": some,
            "g": {"aggregate": "decayed_count", "of": "value", "half_life": "1h"},
            "h": {"aggregate": "count", "windows": ["1h"]},
            "r": {
                "aggregate": "ratio",
                "numerator": {"aggregate": "count", "of": "value"},
                "denominator": {"aggregate": "count"},
                "windows": ["1h"],
            },
        }
    )
    events = [event(T0, value=1.0), event(T0 + H // 4), event(T0 + H // 2, value=3.0), event(T0 + H // 2 + 1)]
    records = record_of(plan, events)
    found = {output.name: value_of(plan, records, output.name, T0 + H // 2) for output in plan.scalars}
    assert found == pytest.approx(
        {
            "f_count_1h": 2,
            "f_sum_1h": 4.0,
            "f_recency_1h": 0.0,
            "f_distinct_1h": 2,
            "f_active_days_1h": 1,
            "g_decayed_count_1h": 1 + 2**-0.5,
            "h_count_1h": 4,
            "r_ratio_1h": 0.5,
        }
    )


def test_state_goes_on_where_a_field_may_be_null_from_now_on() -> None:
    count = {"aggregate": "count", "windows": ["1h"]}
    always, perhaps = (plan_of(features={"f": {**count, "of": field}}).tracks for field in ("action", "item_id"))
    assert [track.key.replace("action", "item_id") for track in always] == [track.key for track in perhaps]
