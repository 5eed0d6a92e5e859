"""Ids and values made to meet in one place of a table that does not hide its hash cost no more than any others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.judging import judged
from tests.trying import T0, plan_of, spec_of
from tests.trying import event as made
from user_state.events.decode import EventDecoder
from user_state.plan.plan import Plan
from user_state.state.events import I64, U64, Events
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords
from user_state.state.string_dictionary import StringPool

SIZE = 20_000
MOST_TIMES = 10
"""What was crafted may take so many times as long as what was not. Where the hash is known it takes hundreds."""
GOLDEN = 0x9E3779B97F4A7C15
"""2^64 by the golden ratio, which Fibonacci hashing multiplies by: public, and so is its inverse."""


def least_s(timed: Callable[[], object], rounds: int = 5) -> float:
    """The least processor time of several rounds, in seconds."""
    taken = []
    for _ in range(rounds):
        began_s = time.process_time()
        timed()
        taken.append(time.process_time() - began_s)
    return min(taken)


def judged_s(plan: Plan, id_hash: U64) -> tuple[float, list[int]]:
    """How long judging events of these ids takes, in seconds, and their outcomes."""
    zeros = np.zeros(len(id_hash), np.int64)
    events = Events(["u"], zeros, id_hash, zeros + T0, zeros + T0, (), StringPool())

    class Times:
        clock_us: I64 = np.zeros(1, np.int64)
        horizon_us: I64 = np.zeros(1, np.int64)

    taken_s = least_s(lambda: judged(plan, Times, [None], events))
    return taken_s, judged(plan, Times, [None], events).outcome.tolist()


def test_ids_whose_hashes_end_alike_are_judged_as_fast_as_any_others() -> None:
    plan = replace(plan_of(), seen_ids_cap=SIZE)
    numbers = np.arange(SIZE, dtype=np.uint64)
    usual_s, outcome = judged_s(plan, np.random.default_rng(1).permutation(numbers * np.uint64(GOLDEN)))
    assert outcome == [Outcome.APPLIED] * SIZE
    for crafted in (numbers << np.uint64(32), (numbers << np.uint64(20)) | np.uint64(77), numbers << np.uint64(44)):
        crafted_s, outcome = judged_s(plan, crafted)
        assert outcome == [Outcome.APPLIED] * SIZE
        assert crafted_s < MOST_TIMES * usual_s, f"{crafted_s / usual_s:.0f} times"


def folded_s(plan: Plan, amounts: list[int]) -> float:
    decoder = EventDecoder(plan, spec_of().schema)
    rows = [decoder.row(made(T0 + n, amount=amount), None) for n, amount in enumerate(amounts)]
    events = Events.from_rows(plan, rows)
    records = PackedRecords(plan)
    return least_s(lambda: records.fold([None], events, np.zeros(1, np.int64), [bytes(8)]))


def test_values_that_fibonacci_hashing_puts_in_one_place_are_told_apart_as_fast_as_any_others() -> None:
    listed = {"aggregate": "last_distinct_k", "of": "amount", "k": 10_000, "windows": "lifetime"}
    plan = plan_of(features={"f": listed}, max_clock_skew="1h")
    inverse = pow(GOLDEN, -1, 1 << 64)
    crafted = [(number * inverse) % (1 << 64) for number in range(1, 10_001)]
    signed = [number - (1 << 64) if number >> 63 else number for number in crafted]
    usual = np.random.default_rng(1).integers(-(2**62), 2**62, len(signed)).tolist()
    crafted_s, usual_s = folded_s(plan, signed), folded_s(plan, usual)
    assert crafted_s < MOST_TIMES * usual_s, f"{crafted_s / usual_s:.0f} times"
