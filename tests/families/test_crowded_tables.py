"""Tables with more keys than are kept: within their stated bound in any batches and merges, and nothing else passes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packed import Records, features, merge
from tests.random_worlds import QUICK
from tests.trying import T0, H, M, S, event, plan_of, record_of, spec_of
from user_state import oracle
from user_state.oracle.crowded import Crowd, of_the_keys_values
from user_state.plan.compile import compile_plan

TABLES = ("count_by", "share_by", "sum_by", "mean_by", "top_k", "entropy_by", "decayed_count_by")


@st.composite
def crowds(draw: st.DrawFn) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    """A spec with few keys kept, and batches of events of one user with many."""
    kept = draw(st.integers(1, 4))
    measure = draw(st.sampled_from(["count", "sum", "mean"]))
    feature = {
        "aggregate": list(TABLES),
        "by": draw(st.sampled_from(["item_id", ["item_id", "action"], "amount"])),
        "of": "value",
        "measure": measure,
        "keys": kept,
        "k": draw(st.integers(1, kept)),
        "windows": ["10m", "1h", "lifetime"],
        "half_life": ["10m", "7d"],
    }
    events = st.builds(
        lambda at, key, value, action: event(
            T0 + at * 20 * S, item_id=f"i{key}", amount=key, value=value / 8, action=action
        ),
        st.integers(0, 300),
        st.one_of(st.integers(0, 2), st.integers(0, 12)),
        st.integers(-50, 50),
        st.sampled_from(["view", "like"]),
    )
    batches = draw(st.lists(st.lists(events, min_size=1, max_size=25), min_size=1, max_size=4))
    return feature, batches


@pytest.mark.slow
@given(crowds())
@settings(QUICK, max_examples=80)
def test_any_batches_and_merges_stay_within_the_bound(crowd: tuple[dict[str, Any], list[list[dict[str, Any]]]]) -> None:
    feature, batches = crowd
    loaded = spec_of(features={"f": feature}, allowed_lateness="9d")
    plan = compile_plan(loaded)
    records = Records.empty(plan, 1)
    for events in batches:
        records = merge(plan, records, record_of(plan, events))
    applied = oracle.replay(loaded.spec, [oracle.Arrival(e) for events in batches for e in events]).applied["u"]
    newest_us = max(e.time_us for e in applied)
    for at_us in (newest_us, newest_us + 10 * M, newest_us + H):
        found, expected = features(plan, records, at_us), oracle.features(loaded.spec, applied, at_us)
        for name, entries in expected.sequences.items():
            actual = found.sequences[name].of_user(0)
            assert actual == entries or expected.accepts[name](actual) or _close(actual, entries), (
                name,
                actual,
                entries,
            )
        for column, (name, entropy) in enumerate(expected.scalars.items()):
            low, high = expected.bounds.get(name, (entropy, entropy))
            assert low - 1e-9 <= found.values[0, column] <= high + 1e-9, name


def _close(actual: Any, expected: Any) -> bool:
    """Return whether tables are equal but for rounding."""
    *keys, number = expected
    return all(actual[key] == expected[key] for key in keys) and actual[number] == pytest.approx(expected[number], 1e-6)


CROWD = Crowd({("a",): 50.0, ("b",): 30.0, ("c",): 10.0, ("d",): 10.0}, kept=3, listed=2)
"""Of 100 events; 25 may be missing of each."""


@pytest.mark.parametrize(
    ("keys", "shown"),
    [("ab", [50, 30]), ("ab", [25, 5]), ("ab", None), ("ba", [30, 25]), ("ac", [25, 5]), ("ac", None)],
)
def test_what_the_bound_allows_is_accepted(keys: str, shown: list[float] | None) -> None:
    assert CROWD.may_list([(key,) for key in keys], shown)


@pytest.mark.parametrize(
    ("keys", "shown", "why"),
    [
        ("ab", [51, 30], "more than there were"),
        ("ab", [24, 5], "less than the bound allows"),
        ("ab", [28, 29], "lighter first"),
        ("cd", [10, 10], "a key is missing that must be there"),
        ("", [], "as if there were none"),
        ("b", [30], "the heaviest is missing"),
        ("a", [25], "there is room for one that must be there"),
        ("abc", [50, 30, 10], "too many"),
        ("aa", [50, 50], "one twice"),
        ("ax", [50, 30], "one that never was"),
    ],
)
def test_what_it_does_not_allow_is_refused(keys: str, shown: list[float], why: str) -> None:
    assert not CROWD.may_list([(key,) for key in keys], shown), why


def test_where_all_keys_are_kept_one_answer_is_right() -> None:
    few = Crowd(CROWD.weights, kept=4, listed=2)
    assert not few.crowded
    assert not few.may_list([("a",), ("b",)], [50, 30])
    assert not few.may_name([("a",)])


def test_sums_and_means_are_made_of_the_keys_own_values() -> None:
    values = {("a",): [1.0, -2.0, 4.0]}
    summed, mean = of_the_keys_values(values, summed=True), of_the_keys_values(values, summed=False)
    assert [summed(("a",), n) for n in (-2.0, 5.0, 0.0, -2.1, 5.1)] == [True, True, True, False, False]
    assert [mean(("a",), n) for n in (-2.0, 4.0, 1.0, -2.1, 4.1, math.nan)] == [True, True, True, False, False, False]


def test_a_table_that_is_exact_has_no_other_answer() -> None:
    parts = {"f": {"aggregate": ["count_by", "entropy_by"], "by": "item_id", "windows": "1h"}}
    applied = oracle.replay(spec_of(features=parts).spec, [oracle.Arrival(event(item_id=i)) for i in "aab"]).applied[
        "u"
    ]
    expected = oracle.features(spec_of(features=parts).spec, applied, T0)
    assert expected.sequences["f_count_by_1h"] == {"item_id": ["a", "b"], "count": [2, 1]}
    assert not expected.accepts["f_count_by_1h"]({"item_id": ["a", "b"], "count": [2, 1]})
    assert expected.bounds == {}
    assert plan_of(features=parts).keyed_tracks[0].most_keys == 64
