"""Geometric means: what zeros and negative values make of them, and how precise they are over many events."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.folded import folded_of
from tests.trying import T0, H, M, S, event, plan_of

HOUR = "f_geometric_mean_1h"


def mean_of(values: Sequence[float | None], batches: int = 1, **keys: Any) -> float:
    """Return the geometric mean over an hour of these values, a second apart, folded in so many batches."""
    plan = plan_of(
        features={"f": {"aggregate": "geometric_mean", "of": "value", "windows": ["1h", "lifetime"], **keys}}
    )
    made = [event(T0 + n * S, value=value) for n, value in enumerate(values)]
    size = -(-len(made) // batches)
    return folded_of(plan, [made[at : at + size] for at in range(0, len(made), size)]).value(HOUR, T0 + len(made) * S)


@pytest.mark.parametrize("values", [[2.0], [2.0, 8.0], [1.0, 10.0, 100.0], [0.5, 0.25, 3e-7], [7.0] * 5])
def test_is_what_the_standard_library_says(values: list[float]) -> None:
    assert mean_of(values) == pytest.approx(statistics.geometric_mean(values), rel=1e-6)


def test_nulls_are_left_out() -> None:
    assert mean_of([2.0, None, 8.0, None]) == pytest.approx(4.0, rel=1e-6)


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("batches", [1, 3])
def test_a_zero_makes_it_zero(zero: float, batches: int) -> None:
    assert mean_of([3.0, zero, 5.0], batches) == 0.0


@pytest.mark.parametrize(
    "values", [[-2.0], [3.0, -1e-300, 5.0], [-2.0, -8.0], [0.0, -1.0], [-1.0, 0.0], [1e300, -5e-324]]
)
@pytest.mark.parametrize("batches", [1, 3])
def test_a_negative_value_leaves_it_without_one(values: list[float], batches: int) -> None:
    """Two negative values have a positive product, and no geometric mean either."""
    assert math.isnan(mean_of(values, batches))
    assert mean_of(values, batches, default=-1) == -1


def test_over_nothing_it_is_the_default() -> None:
    assert math.isnan(mean_of([None]))
    assert mean_of([None], default=0.5) == 0.5


def test_a_zero_and_a_negative_value_are_forgotten_as_they_leave_the_window() -> None:
    plan = plan_of(features={"f": {"aggregate": "geometric_mean", "of": "value", "windows": ["1h", "lifetime"]}})
    made = [event(T0, value=-1.0), event(T0 + M, value=0.0), event(T0 + 30 * M, value=4.0), event(T0 + H, value=9.0)]
    record = folded_of(plan, [[one] for one in made])
    assert [record.value(HOUR, at) for at in (T0 + H + M, T0 + H + 2 * M)] == [0.0, 6.0]
    assert math.isnan(record.value(HOUR, T0 + H + M - 1))
    assert math.isnan(record.value("f_geometric_mean_lifetime", T0 + 5 * H))


def test_whole_numbers_and_ratios() -> None:
    """Of an int field, as part of a ratio, with a filter and a prior."""
    amounts = {"aggregate": "geometric_mean", "of": "amount", "where": {"action": "view"}}
    ratio = {"aggregate": "ratio", "numerator": amounts, "denominator": {"aggregate": "count"}, "windows": ["1h"]}
    plan = plan_of(features={"f": {**ratio, "prior": {"rate": 0.5, "weight": 2}}})
    made = [event(T0, amount=4), event(T0 + S, amount=9), event(T0 + S, amount=-1, action="skip")]
    assert folded_of(plan, [made]).value("f_ratio_1h", T0 + M) == pytest.approx((6 + 0.5 * 2) / (3 + 2), rel=1e-6)


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
@pytest.mark.parametrize("batches", [1, 7])
def test_many_events_from_tiny_to_huge_agree_with_exact_sums(spread: float, batches: int) -> None:
    """Half of the numbers are as large as the other half is small, so that their logarithms cancel."""
    rng = random.Random(7)
    values = [10 ** (sign * rng.uniform(0, spread)) for _ in range(1500) for sign in (1, -1)]
    rng.shuffle(values)
    expected = math.exp(math.fsum(math.log(value) for value in values) / len(values))
    assert mean_of(values, batches) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [5e-324, 2.3e-308, 1e-38, 3e38, 1.7e308])
def test_the_least_and_the_greatest_of_doubles_survive(value: float) -> None:
    """Served in single precision: what is beyond it is 0 or infinity, as of any other output."""
    with np.errstate(over="ignore"):
        assert mean_of([value] * 1000) == pytest.approx(float(np.float32(value)), rel=1e-6)
    assert mean_of([value, 1 / value] * 500) == pytest.approx(1.0, rel=1e-6) if value > 1e-300 else True
