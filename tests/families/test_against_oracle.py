"""Any spec, any events, any order, batching and splitting: the core says what brute force says.

Counts, ids and order must be equal, as single precision has them. Floating-point results agree to 1e-6 relative; where
terms of opposite signs cancel, relative to the sum of the terms' magnitudes, since no order of adding floats could do
better.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judging import judged
from tests.packed import VERSION, Records, apply, features, from_events, merge, packed
from tests.random_worlds import QUICK, SEEN, SHELF, World, reading_moments, reading_times, worlds
from tests.trying import T0, S, event, plan_of, record_of, same_record, spec_of
from user_state import oracle
from user_state.durations import parse_duration_us
from user_state.embeddings.table import ItemTable
from user_state.events.decode import EventDecoder
from user_state.events.screening import Screened, clock_tolerance_us, screen
from user_state.oracle import AppliedEvent
from user_state.oracle.embeddings import EmbeddingQuestion
from user_state.oracle.kinds import EMBEDDINGS
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.reading.features import Finished
from user_state.spec import LoadedSpec
from user_state.spec.embedding_kinds import HASH
from user_state.spec.model import Feature
from user_state.state.envelope import heads_of
from user_state.state.events import EventRow, Events
from user_state.state.outcome import Outcome
from user_state.state.relevant import relevant

RELATIVE = 1e-6
TABLE = ItemTable(list(SHELF), np.array(list(SHELF.values()), np.float32))
ROUNDING = 1e-13
HALF_A_STEP = 2.0**-24
"""What rounding to single precision may take, relative."""
TINY = 2.0**-149
"""The least number of single precision."""
BINS = {
    Outcome.APPLIED: "applied",
    Outcome.DUPLICATE: "duplicate",
    Outcome.TOO_LATE: "dead_letter/too_late",
    Outcome.FROM_FUTURE: "dead_letter/from_future",
}


REFUSED = {
    Screened.IGNORED: "ignored",
    Screened.EXPIRED: "expired",
    Screened.FROM_FUTURE: "dead_letter/from_future",
}


class Shelf:
    """Folds batches as a pipeline does, with a dict for a store: bytes in, bytes out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stored: dict[str, tuple[bytes | None, bytes | None]] = {}

    def fold(self, rows: Sequence[EventRow], now_us: int | None = None) -> list[str]:
        """Fold the rows in, read at a moment if one is given, and return each one's bin."""
        read = Events.from_rows(self.plan, list(rows))
        if now_us is None:
            bins = np.full(len(rows), "ignored", object)
            chosen = np.flatnonzero(relevant(self.plan, read))
        else:
            screened = screen(self.plan, read, now_us)
            bins = np.array([REFUSED.get(Screened(found), "") for found in screened.tolist()], object)
            chosen = np.flatnonzero(screened == Screened.PASSED)
        events = Events.from_rows(self.plan, [rows[i] for i in chosen])
        held = [self.stored.get(user, (None, None)) for user in events.users]
        blobs, seen = [blob for blob, _ in held], [ids for _, ids in held]
        verdict = judged(self.plan, heads_of(blobs)[0], seen, events)
        applied = events.take(verdict.outcome == Outcome.APPLIED)
        folded, broken = packed(self.plan).fold(blobs, applied, verdict.horizon_us, [VERSION] * len(blobs))
        assert not broken
        for user, old, new, ids in zip(events.users, blobs, folded, verdict.seen, strict=True):
            if old is not None or new is not None:
                self.stored[user] = (old if new is None else new, ids)
        bins[chosen] = [BINS[Outcome(o)] for o in verdict.outcome.tolist()]
        return bins.tolist()

    def read(self, users: Sequence[str]) -> Records:
        return Records(self.plan, [self.stored.get(user, (None, None))[0] for user in users])


def assert_equals_oracle(
    loaded: LoadedSpec, plan: Plan, records: Records, user: int, applied: Sequence[AppliedEvent], at_us: int
) -> None:
    """Compare every output of one user with brute force."""
    assert_row_equals_oracle(loaded, plan, features(plan, records, at_us, {"shelf": TABLE}), user, applied, at_us)


def assert_row_equals_oracle(
    loaded: LoadedSpec, plan: Plan, found: Finished, user: int, applied: Sequence[AppliedEvent], at_us: int
) -> None:
    """Compare every output of one row with brute force."""
    gram = sum(np.outer(vector, vector) for vector in SHELF.values())
    shelf = oracle.ItemTable({item: np.array(vector) for item, vector in SHELF.items()}, gram)
    expected = oracle.features(loaded.spec, applied, at_us, {"shelf": shelf})
    assert [output.name for output in plan.scalars] == list(expected.scalars)
    for column, (output, value) in enumerate(zip(plan.scalars, expected.scalars.values(), strict=True)):
        actual = float(found.values[user, column])
        if output.name in expected.bounds:
            assert_is_sketched(output, actual, value, expected.bounds[output.name])
            continue
        feature = loaded.spec.features[output.name.split("_")[0]]
        within = allowed(output.aggregate, feature, applied, value, at_us)
        if output.aggregate == "ratio" and math.isinf(within):
            continue  # What cancels in the denominator may also come to nothing, and the ratio to no number.
        assert is_single(actual, value, within), (output.name, at_us, actual, value)
    assert list(found.arrays) == list(expected.arrays)
    for output, (name, numbers) in zip(plan.arrays, expected.arrays.items(), strict=True):
        if name in expected.bounds:
            assert_is_sketched(output, found.arrays[name][user], numbers, expected.bounds[name])
            continue
        np.testing.assert_allclose(
            found.arrays[name][user], numbers, rtol=RELATIVE + HALF_A_STEP, atol=TINY, err_msg=f"{name} at {at_us}"
        )
    magnitude = sum(abs(float(e.event.get(field) or 0)) for e in applied for field in ("value", "amount"))
    assert_same_lists(found, user, expected.sequences, ROUNDING * magnitude)
    for name, vector in expected.embeddings.items():
        # Where negative weights push against positive ones, what is left may be small: compare with a unit vector's.
        scale = max(float(np.abs(vector).max()), 1 / math.sqrt(len(vector)))
        actual = found.embeddings[name][user].astype(np.float64)
        low, high = expected.bounds.get(name, (vector, vector))
        difference = np.abs(actual - np.clip(actual, low, high)).max()
        assert difference <= allowed_of_embedding(loaded, name, applied, at_us) * scale, (name, at_us, actual, vector)


def is_single(actual: float, expected: float, within: float) -> bool:
    """Return whether a number of single precision is one that is so near to what was expected, or that rounded."""
    with np.errstate(over="ignore"):
        rounded = float(np.float32(expected))
    if actual == rounded or (math.isnan(actual) and math.isnan(expected)):
        return True
    if math.isinf(rounded) or math.isinf(actual):
        largest = float(np.finfo(np.float32).max)
        return within > 0 and max(min(abs(actual), abs(expected)), 0) + within >= largest * (1 - RELATIVE)
    return within > 0 and abs(actual - expected) <= within + HALF_A_STEP * abs(expected) + TINY


def allowed(aggregate: str, feature: Feature, applied: Sequence[AppliedEvent], expected: float, at_us: int) -> float:
    """Return how far from `expected` floating point may end up; 0 for what has to be exact."""
    if aggregate in ("count", "min", "max", "last", "first", "session_count", "current_session_events", *SEEN):
        return 0.0
    if aggregate == "ratio":
        return allowed_of_ratio(feature, applied, expected)
    if aggregate in ("skew", "kurtosis", "entropy_by"):
        return RELATIVE * max(1.0, abs(expected))
    if aggregate in ("recency", "first_seen", "gap_mean") or "session" in aggregate:
        return RELATIVE * abs(expected)
    if aggregate == "geometric_mean":
        return RELATIVE * abs(expected) + 5e-324
    of = feature.of if aggregate in ("sum", "mean", "variance", "stddev", "decayed_sum") else None
    amounts = [1.0 if of is None else abs(float(e.event[of] or 0)) for e in applied]
    match aggregate:
        case "sum" | "mean":
            rounding = ROUNDING * sum(amounts)
        case "variance":
            rounding = ROUNDING * sum(amounts) ** 2
        case "stddev":
            rounding = math.sqrt(ROUNDING) * sum(amounts)
        case _:
            shares = [2.0 ** (-(at_us - e.time_us) / parse_duration_us(h)) for e in applied for h in feature.half_life]
            rounding = ROUNDING * sum(
                a * s for a, s in zip([a for a in amounts for _ in feature.half_life], shares, strict=True)
            )
            rounding += 5e-324
    return max(RELATIVE * abs(expected), rounding)


def allowed_of_embedding(loaded: LoadedSpec, name: str, applied: Sequence[AppliedEvent], at_us: int) -> float:
    """Return how far a vector may be off, relative to its largest component; more where opposites cancel."""
    embedding = loaded.spec.embeddings[name.partition("_")[0]]
    if embedding.vectors != HASH:
        # What is summed up is as large as the largest of the table times what the events weigh.
        heaviest = max(map(abs, (embedding.weights or {"": 1.0}).values()))
        return RELATIVE * 9.0 * (2 + len(applied) * heaviest if embedding.kind == "decayed_sum" else 2)
    if embedding.kind == "decayed_sum" and embedding.normalise == "none":
        return RELATIVE * max(1.0, len(applied) * max(map(abs, (embedding.weights or {"": 1.0}).values())))
    if embedding.normalise == "none":
        return RELATIVE
    mean = embedding.model_copy(update={"kind": "decayed_mean", "normalise": "none", "storage": "float32"})
    asked = EmbeddingQuestion(mean, name.partition("_")[2], applied, at_us)
    length = float(np.linalg.norm(EMBEDDINGS["decayed_mean"].answer(asked)))
    # Where opposites cancel to the least length that has a direction, rounding says whether there is one.
    return math.inf if 0.9e-6 < length < 1.1e-6 else 1e-12 / max(length, 1e-6) * 100 + RELATIVE


def allowed_of_ratio(feature: Feature, applied: Sequence[AppliedEvent], expected: float) -> float:
    """Return how far a ratio may be from `expected`: relative to sums of magnitudes, where its sums may cancel."""
    if all(part is None or part.aggregate != "sum" for part in (feature.numerator, feature.denominator)):
        return RELATIVE * abs(expected)
    # What cancels in a denominator may turn into anything: only sums of one sign have a ratio worth comparing.
    signs = {math.copysign(1, float(e.event[of] or 0)) for e in applied for of in ("value", "amount")}
    return RELATIVE * abs(expected) if len(signs) == 1 else math.inf


def assert_is_sketched(output: Any, actual: Any, exact: Any, bounds: tuple[Any, Any]) -> None:
    """Compare with what a sketch may say; so few events are held one by one unless a sketch was asked to be coarse."""
    with np.errstate(over="ignore"):
        exact, low, high = (np.asarray(number, np.float32) for number in (exact, *bounds))
    if output.error < 0.03:
        np.testing.assert_array_equal(actual, exact, output.name)
    within = (np.isnan(actual) & np.isnan(exact)) | ((low <= actual) & (actual <= high))
    assert np.all(within), (output.name, actual, exact, bounds)


def assert_same_lists(found: Finished, user: int, expected: Mapping[str, Any], rounding: float) -> None:
    lists = {name: padded.of_user(user) for name, padded in found.sequences.items()}
    assert sorted(lists) == sorted(expected)
    for name, entries in expected.items():
        if lists[name] != entries:
            assert_same_table(lists[name], entries, rounding, name)


def assert_same_table(actual: Any, expected: Any, rounding: float, name: str) -> None:
    """Assert that numbers agree, and keys are equal but where the numbers beside them are too near to tell apart."""
    recent = list(expected)[-2:] == ["count", "share"]
    fields, number = list(expected)[: -2 if recent else -1], list(expected)[-1]
    assert list(actual) == list(expected), name
    assert number in ("sum", "mean", "share") or "decayed_count_by" in name, (name, actual, expected)
    for column in ("count", "share") if recent else (number,):
        np.testing.assert_allclose(actual[column], expected[column], rtol=RELATIVE, atol=rounding, err_msg=name)
    keys, expected_keys = (list(zip(*(table[field] for field in fields), strict=True)) for table in (actual, expected))
    numbers = expected[number]
    for place, (key, expected_key) in enumerate(zip(keys, expected_keys, strict=True)):
        near = [n for p, n in enumerate(numbers) if p != place and abs(n - numbers[place]) <= RELATIVE * abs(n)]
        tied = (recent or "decayed" in name) and (near or place == len(keys) - 1)
        assert key == expected_key or tied, (name, actual, expected)


def rows_of(world: World, plan: Plan) -> list[EventRow]:
    decoder = EventDecoder(plan, world.spec.schema)
    rows = []
    for arrival in world.arrivals:
        event = decoder.decode(decoder.encode(arrival.event or {}))
        assert event == arrival.event
        rows.append(decoder.row(event, arrival.published_us))
    return rows


def clock_of(applied: Sequence[AppliedEvent]) -> int:
    return max(e.published_us for e in applied)


def applied_rows(plan: Plan, world: World, user: str) -> tuple[list[AppliedEvent], list[EventRow]]:
    """Return one user's applied events and their rows, in order of arrival."""
    applied = oracle.replay(world.spec.spec, world.arrivals).applied.get(user, [])
    if (plan.sessions or plan.gaps) and applied:
        # Sessions hold in any order in which admission would have let the events in: native/families/sessions/fold.cpp.
        horizon_us = clock_of(applied) - world.spec.spec.allowed_lateness
        applied = [e for e in applied if e.time_us >= horizon_us]
    decoder = EventDecoder(plan, world.spec.schema)
    return applied, [decoder.row(e.event, e.published_us) for e in applied]


@pytest.mark.slow
@given(worlds(), st.lists(st.integers(0, 40), max_size=6))
@settings(QUICK, max_examples=200)
def test_any_stream_in_any_batches_is_judged_and_folded_as_brute_force_says(world: World, cuts: list[int]) -> None:
    plan = compile_plan(world.spec)
    rows = rows_of(world, plan)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    shelf = Shelf(plan)
    bins: list[str] = []
    for begin, end in itertools.pairwise(edges):
        bins += shelf.fold(rows[begin:end])

    replay = oracle.replay(world.spec.spec, world.arrivals)
    assert bins == replay.bins
    for user, applied in replay.applied.items():
        records = shelf.read([user])
        assert records.heads.applied.tolist() == [len(applied)]
        assert records.heads.clock_us.tolist() == [clock_of(applied)]
        last_event_us = max(e.time_us for e in applied)
        assert records.heads.last_event_us.tolist() == [last_event_us]
        for at_us in reading_times(world.spec, clock_of(applied), last_event_us):
            assert_equals_oracle(world.spec, plan, records, 0, applied, at_us)


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=200)
def test_any_stream_read_at_any_moment_is_judged_as_brute_force_says(world: World, data: st.DataObject) -> None:
    plan, spec = compile_plan(world.spec), world.spec.spec
    now_us = data.draw(reading_moments(world))
    shelf = Shelf(plan)
    bins = shelf.fold(rows_of(world, plan), now_us)

    replay = oracle.replay(spec, world.arrivals, now_us=now_us)
    assert bins == replay.bins
    assert replay.applied.keys() == {user for user in shelf.stored if shelf.read([user]).heads.applied[0]}
    for user, applied in replay.applied.items():
        records = shelf.read([user])
        assert records.heads.applied.tolist() == [len(applied)]
        # What every user may rely on: the record lives on, and no clock is ahead of the wall's but for the tolerance.
        assert records.heads.last_event_us[0] + plan.retention_us > now_us
        assert records.heads.clock_us[0] <= now_us + clock_tolerance_us(plan)
        last_event_us = max(e.time_us for e in applied)
        assert_equals_oracle(world.spec, plan, records, 0, applied, max(clock_of(applied), last_event_us))


@pytest.mark.slow
@given(worlds(), st.integers(0, 40))
@settings(QUICK, max_examples=100)
def test_the_stream_sent_twice_equals_once(world: World, cut: int) -> None:
    plan = compile_plan(world.spec)
    rows = rows_of(world, plan)
    shelf = Shelf(plan)
    first = shelf.fold(rows[:cut]) + shelf.fold(rows[cut:])
    before = dict(shelf.stored)
    second = shelf.fold(rows)
    assert "applied" not in second
    assert [b for b in second if b == "ignored"] == [b for b in first if b == "ignored"]
    assert shelf.stored == before


@pytest.mark.slow
@given(worlds(duplicates=False), st.randoms(use_true_random=False))
@settings(QUICK, max_examples=100)
def test_no_order_of_the_same_events_changes_the_record(world: World, rng: random.Random) -> None:
    plan = compile_plan(world.spec)
    for user in {str(a.event["user_id"]) for a in world.arrivals if a.event}:
        applied, rows = applied_rows(plan, world, user)
        if not rows:
            continue
        once = record_of_rows(plan, rows)
        rng.shuffle(rows)
        piecewise = Records.empty(plan, 1)
        for single in rows:
            piecewise = apply(plan, piecewise, Events.from_rows(plan, [single]))
        same_record(plan, once, piecewise, values=False)
        for records in (once, piecewise):
            assert_equals_oracle(world.spec, plan, records, 0, applied, clock_of(applied))


@pytest.mark.slow
@given(worlds(duplicates=False), st.lists(st.integers(0, 2), min_size=40, max_size=40))
@settings(QUICK, max_examples=100)
def test_merging_any_three_parts_in_any_order_is_folding_them_together(world: World, part_of: list[int]) -> None:
    plan = compile_plan(world.spec)
    for user in {str(a.event["user_id"]) for a in world.arrivals if a.event}:
        applied, rows = applied_rows(plan, world, user)
        if not rows:
            continue
        a, b, c = (
            record_of_rows(plan, [r for r, p in zip(rows, part_of, strict=False) if p == part]) for part in range(3)
        )
        whole = record_of_rows(plan, rows)
        left = merge(plan, merge(plan, a, b), c)
        right = merge(plan, a, merge(plan, b, c))
        swapped = merge(plan, c, merge(plan, b, a))
        for merged in (left, right, swapped):
            same_record(plan, whole, merged, values=False)
            for at_us in reading_times(world.spec, clock_of(applied), max(e.time_us for e in applied)):
                assert_equals_oracle(world.spec, plan, merged, 0, applied, at_us)


def record_of_rows(plan: Plan, rows: Sequence[EventRow]) -> Records:
    """Return the record of one user's rows; an empty record for none."""
    if not rows:
        return Records.empty(plan, 1)
    return from_events(plan, Events.from_rows(plan, list(rows)))


def test_the_comparison_itself_notices_a_missing_event() -> None:
    loaded, plan = spec_of(), plan_of()
    events = [event(T0 + i * S) for i in range(3)]
    applied = oracle.replay(loaded.spec, [oracle.Arrival(e) for e in events]).applied["u"]
    assert_equals_oracle(loaded, plan, record_of(plan, events), 0, applied, T0 + S)
    with pytest.raises(AssertionError, match="all_count_1h"):
        assert_equals_oracle(loaded, plan, record_of(plan, events[1:]), 0, applied, T0 + S)
