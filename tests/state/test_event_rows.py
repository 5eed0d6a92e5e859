"""Columns of event rows: what rows say, column by column; rows of other kinds are refused."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.trying import plan_of
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


NULLS = {"string": None, "float": float("nan"), "int": -(2**63), "bool": -(2**63)}


def say(plan: Plan, found: Events, rows: Sequence[EventRow]) -> None:
    """Assert that columns say what rows do."""
    assert found.users == list(dict.fromkeys(row[0] for row in rows))
    assert [found.users[user] for user in found.user.tolist()] == [row[0] for row in rows]
    for at, name in enumerate(("id_hash", "time_us", "published_us"), 1):
        assert getattr(found, name).tolist() == [row[at] for row in rows]
    assert found.id_hash.dtype == np.uint64
    for at, (field, column) in enumerate(zip(plan.fields, found.columns, strict=True), 4):
        assert column.dtype == (np.float64 if field.kind == "float" else np.int64)
        values = found.pool.objects[column] if field.kind == "string" else column
        expected = [NULLS[field.kind] if row[at] is None else row[at] for row in rows]
        assert_array_equal(values, np.array(expected, values.dtype))


@pytest.mark.parametrize("size", [0, 1, 2, 150])
def test_columns_say_what_rows_do(size: int) -> None:
    plan = plan_of_kinds()
    rows = some_rows(plan, size)
    say(plan, Events.from_rows(plan, rows), rows)
    say(plan, Events.from_rows(plan, tuple(rows)), rows)


def test_a_pool_takes_in_more_strings() -> None:
    plan = plan_of_kinds()
    pool = Events.from_rows(plan, some_rows(plan, 50)).pool
    known = len(pool)
    assert pool.codes(["new", "a", None]) == [known, pool.find("a"), -1]


def test_values_of_another_kind_are_refused() -> None:
    plan = plan_of_kinds()
    [row] = some_rows(plan, 1)
    at = 4 + [field.kind for field in plan.fields].index("float")
    for bad in ((*row[:at], "3", *row[at + 1 :]), (row[0], "7", *row[2:]), (7, *row[1:])):
        with pytest.raises(ValueError, match="rows of the plan's fields"):
            Events.from_rows(plan, [row, bad])


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_numbers_out_of_range(at: int, number: int) -> None:
    plan = plan_of_kinds()
    [row] = some_rows(plan, 1)
    bad = (*row[:at], number, *row[at + 1 :])
    with pytest.raises(ValueError, match="rows of the plan's fields"):
        Events.from_rows(plan, [bad])


def test_rows_of_another_width() -> None:
    plan = plan_of_kinds()
    [row] = some_rows(plan, 1)
    for bad in (row[:-1], (*row, 1), ()):
        with pytest.raises(ValueError, match="rows of the plan's fields"):
            Events.from_rows(plan, [row, bad])
