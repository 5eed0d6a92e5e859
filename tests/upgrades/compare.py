"""Which outputs of one user are not what brute force says of a set of events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from tests.families.test_against_oracle import (
    HALF_A_STEP,
    RELATIVE,
    ROUNDING,
    TABLE,
    TINY,
    allowed,
    allowed_of_embedding,
    assert_is_sketched,
    assert_same_table,
    is_single,
)
from tests.packed import Records, features
from tests.random_worlds import SHELF
from user_state import oracle
from user_state.oracle import AppliedEvent
from user_state.oracle.features import Expected
from user_state.plan.plan import Plan
from user_state.reading.features import Finished
from user_state.spec import LoadedSpec

GRAM = sum(np.outer(vector, vector) for vector in SHELF.values())
SHELF_TABLE = oracle.ItemTable({item: np.array(vector) for item, vector in SHELF.items()}, GRAM)


def brute_force(loaded: LoadedSpec, applied: Sequence[AppliedEvent], at_us: int) -> Expected:
    """Return what the oracle says of these events."""
    return oracle.features(loaded.spec, applied, at_us, {"shelf": SHELF_TABLE})


def read(plan: Plan, records: Records, at_us: int) -> Finished:
    """Return what the records of one user say."""
    return features(plan, records, at_us, {"shelf": TABLE})


def differing(
    loaded: LoadedSpec,
    plan: Plan,
    found: Finished,
    applied: Sequence[AppliedEvent],
    at_us: int,
    unknown: Mapping[str, Set[str]],
) -> dict[str, str]:
    """Return the outputs that differ from brute force over `applied`, with how.

    `unknown` names columns of lists that are not compared, by output.
    """
    expected = brute_force(loaded, applied, at_us)
    checks: dict[str, Callable[[], None]] = {}
    for column, output in enumerate(plan.scalars):
        actual = float(found.values[0, column])
        checks[output.name] = _scalar(loaded, output, actual, expected, applied, at_us)
    for output in plan.arrays:
        checks[output.name] = _array(output, found.arrays[output.name][0], expected)
    magnitude = sum(abs(float(number or 0)) for e in applied for number in (e.event["value"], e.event["amount"]))
    for name, entries in expected.sequences.items():
        actual, left_out = found.sequences[name].of_user(0), unknown.get(name, set())
        if left_out:
            actual, entries = ({n: c for n, c in columns.items() if n not in left_out} for columns in (actual, entries))
        checks[name] = _list(actual, entries, ROUNDING * magnitude, name)
    for name, vector in expected.embeddings.items():
        actual = found.embeddings[name][0].astype(np.float64)
        low, high = expected.bounds.get(name, (vector, vector))
        checks[name] = _vector(loaded, name, actual, vector, low, high, applied, at_us)
    differ = {}
    for name, check in checks.items():
        try:
            check()
        except AssertionError as exc:
            differ[name] = str(exc)
    return differ


def _scalar(
    loaded: LoadedSpec, output: Any, actual: float, expected: Expected, applied: Sequence[AppliedEvent], at_us: int
) -> Callable[[], None]:
    def check() -> None:
        value = expected.scalars[output.name]
        if output.name in expected.bounds:
            assert_is_sketched(output, actual, value, expected.bounds[output.name])
            return
        within = allowed(output.aggregate, loaded.spec.features[output.name.split("_")[0]], applied, value, at_us)
        assert is_single(actual, value, within), (actual, value)

    return check


def _array(output: Any, actual: Any, expected: Expected) -> Callable[[], None]:
    def check() -> None:
        numbers = expected.arrays[output.name]
        if output.name in expected.bounds:
            assert_is_sketched(output, actual, numbers, expected.bounds[output.name])
            return
        np.testing.assert_allclose(actual, numbers, rtol=RELATIVE + HALF_A_STEP, atol=TINY)

    return check


def _list(actual: Any, entries: Any, rounding: float, name: str) -> Callable[[], None]:
    def check() -> None:
        if actual != entries:
            assert isinstance(entries, dict), (actual, entries)
            assert_same_table(actual, entries, rounding, name)

    return check


def _vector(
    loaded: LoadedSpec,
    name: str,
    actual: Any,
    vector: Any,
    low: Any,
    high: Any,
    applied: Sequence[AppliedEvent],
    at_us: int,
) -> Callable[[], None]:
    def check() -> None:
        scale = max(float(np.abs(vector).max()), 1 / math.sqrt(len(vector)))
        difference = np.abs(actual - np.clip(actual, low, high)).max()
        assert difference <= allowed_of_embedding(loaded, name, applied, at_us) * scale, (actual, vector)

    return check
