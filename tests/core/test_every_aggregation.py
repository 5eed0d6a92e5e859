"""Every aggregation there is, in every case that matters and in worlds of its own, held against brute force."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_against_oracle import Shelf, applied_rows, assert_equals_oracle, clock_of, record_of_rows, rows_of
from tests.packed import merge
from tests.random_worlds import QUICK, World, reading_times, worlds
from tests.trying import T0, H, M, S, event, spec_of
from user_state import oracle
from user_state.core.compile import compile_plan
from user_state.errors import EventError
from user_state.events.decode import EventDecoder
from user_state.spec.aggregations import AGGREGATIONS

PARTS: dict[str, Any] = {
    "of": "value",
    "k": 2,
    "edges": [0, 1.5],
    "gap": "30s",
    "quantiles": [0, 0.5, 1],
    "by": ["item_id", "action"],
    "numerator": {"aggregate": "sum", "of": "value"},
    "denominator": {"aggregate": "count"},
    "prior": {"rate": 0.25, "weight": 2.0},
}
"""What an aggregation is given of the keys that it needs or takes; a tile of its window of an hour is a minute."""


def one(offset_us: int, **fields: Any) -> dict[str, Any]:
    return {"time_us": T0 + offset_us, "value": 1.5, "amount": 3, "item_id": "i", "bought": True, **fields}


CASES: dict[str, list[dict[str, Any]]] = {
    "nothing that matches": [one(0, action="skip")],
    "nothing in the field": [one(0, value=None, item_id=None)],
    "one": [one(0)],
    "the edges of a tile": [one(at) for at in (-1, 0, 1, M - 1, M, M + 1)],
    "the edges of a window": [
        one(at, value=float(n)) for n, at in enumerate((0, 1, H - M, H - 1, H, H + M, H + M + 1))
    ],
    "ties": [one(at, value=float(n), item_id=f"i{n % 2}") for n, at in enumerate((0, 0, 0, S, S))],
    "late": [one(at, item_id=f"i{at % 3}") for at in (40 * M, 10 * M, 10 * M + 30 * S, 40 * M - 1, 0)],
    "duplicates": [one(at, event_id=f"e{at % 2}", value=2.0) for at in (0, 1, 0, 1, 0)],
    "zero": [one(at, value=value, item_id="") for at, value in enumerate((0.0, -0.0, 0.0))],
    "negative": [one(at * M, value=-at / 4, item_id="i") for at in range(5)],
    "huge": [one(at * S, value=value) for at, value in enumerate((1e70, -1e70, 1e69, 1e70))],
    "tiny": [one(at * S, value=value) for at, value in enumerate((5e-324, -5e-324, 1e-300))],
}
"""Events by case, in their order of arrival, each in a batch of its own."""


def feature_of(aggregate: str) -> dict[str, Any]:
    known = AGGREGATIONS[aggregate]
    made = {"aggregate": aggregate, "where": {"action": "view"}, known.over: ["1h", "7d"]}
    if known.over == "windows":
        made["windows"] = ["10m", "1h", "7d", "lifetime"]
    asked = {*known.needed, *({"prior"} if aggregate == "ratio" else set())}
    return {**made, **{key: value for key, value in PARTS.items() if key in asked}}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_in_every_case_brute_force_says_the_same(aggregate: str, case: str) -> None:
    loaded = spec_of(features={"f": feature_of(aggregate), "all": {"aggregate": "count", "windows": "1h"}})
    plan = compile_plan(loaded)
    made = [event(at["time_us"], **{k: v for k, v in at.items() if k != "time_us"}) for at in CASES[case]]
    decoder, shelf = EventDecoder(plan, loaded.schema), Shelf(plan)
    for single in made:
        shelf.fold([decoder.row(single, None)])
    applied = oracle.replay(loaded.spec, [oracle.Arrival(single) for single in made]).applied["u"]
    records = shelf.read(["u"])
    assert records.heads.applied.tolist() == [len(applied)]
    clock_us = clock_of(applied)
    leaving = {single["event_time"] + reach + after for single in made for reach in (H, H + M) for after in (-1, 0, 1)}
    times = {*reading_times(loaded, clock_us, clock_us), *(time for time in leaving if time >= clock_us)}
    for at_us in sorted(times):
        assert_equals_oracle(loaded, plan, records, 0, applied, at_us)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused_at_the_door(value: float) -> None:
    loaded = spec_of(features={"f": feature_of("sum")})
    decoder = EventDecoder(compile_plan(loaded), loaded.schema)
    with pytest.raises(EventError, match="expected value to be a finite number"):
        decoder.row(decoder.decode(decoder.encode(event(T0, value=value))), None)


@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_any_stream_in_any_batches_and_parts_comes_to_what_brute_force_says(aggregate: str) -> None:
    """Every aggregation is drawn as often as any other, folded in batches, and merged from parts."""

    @given(worlds(most=15, only=aggregate), st.lists(st.integers(0, 15), max_size=3), st.integers(1, 2**15 - 1))
    @settings(QUICK, max_examples=6)
    def holds(world: World, cuts: list[int], parts: int) -> None:
        plan = compile_plan(world.spec)
        rows, shelf = rows_of(world, plan), Shelf(plan)
        for begin, end in itertools.pairwise([0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]):
            shelf.fold(rows[begin:end])
        for user, applied in oracle.replay(world.spec.spec, world.arrivals).applied.items():
            records = shelf.read([user])
            kept, kept_rows = applied_rows(plan, world, user)
            a, b = (
                record_of_rows(plan, [r for n, r in enumerate(kept_rows) if (parts >> n & 1) == side])
                for side in (0, 1)
            )
            newest_us = max(e.time_us for e in applied)
            for at_us in reading_times(world.spec, clock_of(applied), newest_us)[:4]:
                assert_equals_oracle(world.spec, plan, records, 0, applied, at_us)
                assert_equals_oracle(world.spec, plan, merge(plan, a, b), 0, kept, at_us)

    holds()
