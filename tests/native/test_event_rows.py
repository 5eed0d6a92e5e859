"""Columns of event rows: compiled and in Python the same; what the compiled code does not know, Python judges."""

import random
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.trying import plan_of
from user_state.core import compiled
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan

COUNT = {"aggregate": "count", "windows": ["1h"]}
VALUES: dict[str, list[Any]] = {
    "string": [None, "", "a", "b", "c\u0000", "\u6f22", "\U0001f389"],
    "float": [None, 0.0, -0.0, -1.5, 1e300],
    "int": [None, 0, -1, 2**63 - 1, -(2**63) + 1],
    "bool": [None, True, False],
}


def plan_of_kinds() -> Plan:
    """A plan that wants fields of every kind."""
    where = {"item_id": "a", "value": 0.0, "amount": 0, "bought": True, "action": "x"}
    plan = plan_of(features={"f": {**COUNT, "where": where}})
    assert {field.kind for field in plan.fields} == set(VALUES)
    return plan


def some_rows(plan: Plan, size: int) -> list[EventRow]:
    rng = random.Random(size)
    return [
        (
            f"u{rng.randrange(size)}",
            rng.getrandbits(64),
            rng.randrange(2**62),
            rng.randrange(2**62),
            *(rng.choice(VALUES[field.kind]) for field in plan.fields),
        )
        for _ in range(size)
    ]


def same(plan: Plan, found: Events, expected: Events) -> None:
    assert found.users == expected.users
    assert sorted(found.pool.texts) == sorted(expected.pool.texts)
    columns = ("user", "id_hash", "time_us", "published_us")
    pairs = [(getattr(found, name), getattr(expected, name)) for name in columns]
    for kind, mine, pythons in zip(plan.kinds, found.columns, expected.columns, strict=True):
        # Strings are numbered row by row in one, column by column in the other.
        pairs.append((found.pool.objects[mine], expected.pool.objects[pythons]) if kind == "s" else (mine, pythons))
        assert mine.dtype == pythons.dtype
    for mine, pythons in pairs:
        assert mine.dtype == pythons.dtype
        assert_array_equal(mine, pythons)


@pytest.mark.parametrize("size", [0, 1, 2, 150])
def test_the_same_columns(size: int) -> None:
    plan = plan_of_kinds()
    rows = some_rows(plan, size)
    assert compiled.columns_of_rows(plan.kinds, rows) is not None
    same(plan, Events.from_rows(plan, rows), Events._in_python(plan, rows))
    same(plan, Events.from_rows(plan, tuple(rows)), Events._in_python(plan, rows))


def test_a_pool_takes_in_more_strings() -> None:
    plan = plan_of_kinds()
    pool = Events.from_rows(plan, some_rows(plan, 50)).pool
    known = len(pool)
    assert pool.codes(["new", "a", None]) == [known, pool.find("a"), -1]


def test_numbers_of_other_types_are_pythons_to_judge() -> None:
    plan = plan_of_kinds()
    [row] = some_rows(plan, 1)
    at = 4 + [field.kind for field in plan.fields].index("float")
    odd = (*row[:at], 3, *row[at + 1 :])
    assert compiled.columns_of_rows(plan.kinds, [row, odd]) is None
    same(plan, Events.from_rows(plan, [row, odd]), Events._in_python(plan, [row, odd]))
    assert compiled.columns_of_rows(plan.kinds, [(row[0], np.uint64(7), *row[2:])]) is None


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_numbers_out_of_range(at: int, number: int) -> None:
    plan = plan_of_kinds()
    [row] = some_rows(plan, 1)
    bad = (*row[:at], number, *row[at + 1 :])
    assert compiled.columns_of_rows(plan.kinds, [bad]) is None
    with pytest.raises(OverflowError):
        Events.from_rows(plan, [bad])


def test_rows_of_another_width() -> None:
    plan = plan_of_kinds()
    [row] = some_rows(plan, 1)
    for bad in (row[:-1], (*row, 1), ()):
        with pytest.raises(ValueError, match=r"expected|zip|index|argument"):
            Events.from_rows(plan, [row, bad])
