"""No user's record is larger than the worst case of the plan, and the worst case is not far from what can be had."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judging import judged
from tests.packed import VERSION, Records, from_events, merge
from tests.random_worlds import ACTIONS, QUICK, World, specs, worlds
from tests.trying import T0, D, H, M, S, event, plan_of, spec_of
from user_state._native import place_tiles
from user_state.events.decode import EventDecoder
from user_state.events.limits import MAX_TEXT_BYTES
from user_state.plan.compile import compile_plan
from user_state.plan.compile.learned import item_plan
from user_state.plan.plan import Plan
from user_state.plan.track_axes import TrackAxes
from user_state.spec import load_spec
from user_state.state.envelope import heads_of
from user_state.state.events import Events
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords
from user_state.worst_case import SHARED, worst_case

FEED = load_spec(Path(__file__).parents[1] / "examples" / "feed" / "user_state.yaml")
NOW = T0 + 200 * D + 3 * H + 17 * M + 5 * S


class User:
    """A user's record and remembered ids as bytes, judged and folded batch by batch as a pipeline does."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.record: bytes | None = None
        self.seen: bytes | None = None
        self._packed = PackedRecords(plan)

    def fold(self, events: Events) -> None:
        verdict = judged(self.plan, heads_of([self.record])[0], [self.seen], events)
        applied = events.take(verdict.outcome == Outcome.APPLIED)
        if len(applied):
            (record,), broken = self._packed.fold([self.record], applied, verdict.horizon_us, [VERSION])
            assert not broken
            self.record, (self.seen,) = record, verdict.seen


def within(user: User, longest_text: int) -> None:
    """Assert that the user is no larger than the worst case."""
    worst = worst_case(user.plan, longest_text)
    assert len(user.record or b"") <= worst.record_bytes == sum(worst.by_part.values())
    assert len(user.seen or b"") <= worst.seen_bytes


@pytest.mark.slow
@given(worlds(most=60))
@settings(QUICK, max_examples=100)
def test_no_record_of_any_spec_exceeds_the_worst_case_with_events_at_every_edge(world: World):
    plan = compile_plan(world.spec)
    decoder = EventDecoder(plan, world.spec.schema)
    users: dict[str, User] = {}
    for arrival in world.arrivals:
        row = decoder.row(arrival.event, arrival.published_us)
        user = users.setdefault(row[0], User(plan))
        user.fold(Events.from_rows(plan, [row]))
        within(user, 10)


@pytest.mark.slow
@given(specs(), st.integers(0, 2**32))
@settings(QUICK, max_examples=60)
def test_no_record_of_any_spec_exceeds_the_worst_case_under_hostile_events(loaded, seed: int):
    """Every event has texts and numbers of its own, and times as far apart as lateness and skew allow."""
    plan, rng = compile_plan(loaded), random.Random(seed)
    decoder = EventDecoder(plan, loaded.schema)
    user, longest, clock_us = User(plan), 10 + rng.choice([0, 50, 400]), T0
    for number in range(6):
        clock_us += rng.choice([1, M, H, D, 3 * D])
        events = [hostile(f"{number}.{n}", clock_us, loaded.spec, longest, rng) for n in range(80)]
        rows = [decoder.row(made, clock_us) for made in events]
        user.fold(Events.from_rows(plan, rows))
        within(user, longest)


def hostile(name: str, clock_us: int, spec: Any, longest: int, rng: random.Random) -> dict[str, Any]:
    """Return an event that makes the record as large as it can."""
    spread_us = rng.choice([M, spec.allowed_lateness])
    time_us = max(clock_us - spec.allowed_lateness, clock_us + spec.max_clock_skew - rng.randrange(spread_us))
    return event(
        time_us,
        event_id=name,
        action=rng.choice([*ACTIONS, name.ljust(longest, "x")]),
        item_id=rng.choice(["a", name.ljust(longest, "y"), name.ljust(longest, "z")]),
        value=rng.uniform(-100, 100),
        amount=rng.randrange(-(2**62), 2**62),
        bought=rng.choice([None, True, False]),
    )


def starts_of(axes: TrackAxes, lifetime_s: int) -> list[list[int]]:
    """Return for each track the seconds at which its tiles begin at NOW, the last ones after it."""
    second = NOW // S + 60 - np.arange(lifetime_s)
    found = []
    for track in range(len(axes.axis_of)):
        start_s = place_tiles(axes, np.full_like(second, track), second, NOW)
        kept = start_s >= 0
        # The earliest second of each tile: a start may lie before what its window reaches, 0 before everything.
        earliest = {int(start): int(at) for start, at in zip(start_s[kept], second[kept], strict=True)}
        found.append(sorted(earliest.values()))
    return found


def crowded(plan: Plan, schema: Any, events: Iterable[Mapping[str, Any]], folds: int = 8) -> Records:
    """Return a user's record at NOW made of these events, each counted 2^folds times: as if under as many ids."""
    decoder = EventDecoder(plan, schema)
    records = from_events(plan, Events.from_rows(plan, [decoder.row(made, NOW) for made in events]))
    for _ in range(folds):
        records = merge(plan, records, records)
    return records


def share_of(plan: Plan, records: Records, longest_text: int = MAX_TEXT_BYTES) -> float:
    """Return the part of the worst case that a record reaches, which is read back and none too large."""
    assert merge(plan, records, Records.empty(plan, 1)).size == records.size
    share = records.size / worst_case(plan, longest_text).record_bytes
    assert share <= 1
    return share


def each_start(plan: Plan, axes: TrackAxes, reach_s: int = 4 * 86_400) -> Iterator[dict[str, Any]]:
    for second in sorted({second for of_track in starts_of(axes, reach_s) for second in of_track}):
        yield event(second * S, value=second / 7, amount=second)


WINDOWS = ["10m", "1h", "1d", "3d", "lifetime"]


@pytest.mark.parametrize(
    "features",
    [
        {"n": {"aggregate": "count", "windows": WINDOWS}},
        {"n": {"aggregate": ["count", "sum", "max", "kurtosis"], "of": "value", "windows": WINDOWS}},
        {
            "n": {"aggregate": "count", "windows": ["10m"]},
            "m": {"aggregate": "sum", "of": "value", "windows": ["3d"]},
            "h": {"aggregate": "histogram", "of": "value", "windows": ["1d"], "edges": [0]},
        },
    ],
    ids=["one track", "wide tracks", "tracks of different windows"],
)
def test_tiles_reach_half_of_the_worst_case(features):
    plan = plan_of(features=features)
    assert share_of(plan, crowded(plan, spec_of().schema, each_start(plan, plan.track_axes))) > 0.5


def test_sequences_and_lists_of_long_texts_reach_half_of_the_worst_case():
    listed = {"aggregate": ["last_k", "first_k", "last_distinct_k"], "of": "item_id", "k": 3, "windows": ["1h"]}
    loaded = spec_of(
        features={"items": listed},
        sequences={"recent": {"fields": ["item_id", "value", "action"], "last": 40, "where": {"action": "view"}}},
    )
    plan = compile_plan(loaded)
    events = [
        event(second * S + n, item_id=f"{second}.{n}".ljust(300, "x"), value=0.1)
        for second in starts_of(plan.log_axes, 7200)[[log.keeps for log in plan.logs].index("first")]
        for n in range(3)
    ]
    assert share_of(plan, crowded(plan, loaded.schema, events, folds=0), 300) > 0.5


def test_tables_of_keys_reach_half_of_the_worst_case():
    loaded = spec_of(
        features={
            "items": {"aggregate": ["count_by"], "by": ["item_id", "amount"], "keys": 6, "k": 5, "windows": ["1h"]},
            "sums": {"aggregate": "sum_by", "of": "value", "by": "item_id", "keys": 6, "k": 5, "windows": ["1h"]},
            "fading": {
                **{"aggregate": "decayed_count_by", "by": "item_id", "keys": 500, "half_life": "1d"},
                "where": {"action": "like"},
            },
        }
    )
    plan = compile_plan(loaded)
    # What has an amount and no value is of the one table, what has a value and no amount of the other.
    events = [
        event(second * S, item_id=f"{n}.{second}{field}".ljust(200, "x"), action="view", **{field: second})
        for second in starts_of(plan.keyed_axes, 7200)[0]
        for n in range(6)
        for field in ("amount", "value")
    ]
    events += [event(NOW, item_id=f"{n}".ljust(200, "x"), action="like") for n in range(500)]
    assert share_of(plan, crowded(plan, loaded.schema, events), 200) > 0.5


def test_sessions_reach_half_of_the_worst_case():
    visits = {"aggregate": "session_count", "gap": "10m", "windows": ["1d", "lifetime"]}
    plan = plan_of(features={"visits": visits})
    events = [event(NOW - n * (10 * M + S)) for n in range(-1, 145)]
    events += [event(NOW - 3 * D - n * 10 * M) for n in range(9)]
    assert share_of(plan, crowded(plan, spec_of().schema, events, folds=9)) > 0.5


def test_values_and_days_last_seen_reach_half_of_the_worst_case():
    seen = {
        "items": {"aggregate": "distinct", "of": "item_id", "cap": 500, "windows": ["1d"]},
        "days": {"aggregate": "active_days", "windows": ["30d"]},
    }
    plan = plan_of(features=seen)
    events = [event(NOW - n, item_id=f"{n}") for n in range(500)] + [event(NOW - n * D) for n in range(31)]
    assert share_of(plan, crowded(plan, spec_of().schema, events)) > 0.5


def test_decays_profiles_and_vectors_reach_half_of_the_worst_case():
    plan = plan_of(
        features={
            "fading": {"aggregate": ["decayed_count", "decayed_sum"], "of": "value", "half_life": ["1h", "1d"]},
            "hours": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": "7d"},
        },
        embeddings={"taste": {"kind": "decayed_mean", "of": "item_id", "dimensions": 64, "half_life": ["1h", "7d"]}},
    )
    events = [event(NOW - n * H, item_id="a", value=1.0) for n in range(8 * 24)]
    assert share_of(plan, crowded(plan, spec_of().schema, events)) > 0.5


@pytest.mark.slow
def test_the_reference_spec_reaches_half_of_its_worst_case():
    plan, longest = compile_plan(FEED), 1000
    names = {"user_id": "u", "published_at": None, "value": 0.1, "category": None, "creator": None, "surface": None}
    made: list[dict[str, Any]] = []

    def add(time_us: int, action: str, *fields: str) -> None:
        number = f"{len(made)}"
        texts = {name: f"{number} {name}".ljust(longest, "x") for name in ("item_id", *fields)}
        texts["action"] = action or f"{number} action".ljust(longest, "x")
        made.append({**names, "event_id": number, "event_time": time_us, **texts})

    # Each table for itself, since a tile that had more keys than it keeps would lose them all.
    for track, starts in zip(plan.keyed_tracks, starts_of(plan.keyed_axes, 32 * 86_400), strict=True):
        fields = {plan.fields[field].name for field in track.by} - {"action"}
        action = "like" if "creator" in fields else "" if "surface" in fields else "skip"
        for second in starts:
            for _ in range(track.most_keys):
                add(second * S, action, *fields)
    for n in range(100):
        add(NOW + n, "like" if n < 50 else "view")
    records = crowded(plan, FEED.schema, made)
    assert share_of(plan, records, longest) > 0.5
    assert worst_case(plan).record_bytes > 400 << 20


def test_a_part_is_named_by_what_reads_it():
    counted = {"aggregate": "count", "windows": ["1h"]}
    loaded = spec_of(
        features={"a": counted, "b": counted},
        sequences={"recent": {"fields": ["item_id"], "last": 9}},
    )
    assert list(worst_case(compile_plan(loaded)).by_part) == ["recent", "a + b", SHARED]


def test_texts_that_a_filter_allows_are_counted_as_long_as_they_are():
    one, any_ = (
        worst_case(plan_of(sequences={"s": {"fields": ["action"], "last": 9, **where}})).by_part["s"]
        for where in ({"where": {"action": ["view", "like"]}}, {})
    )
    assert one == 2 * (2 + 4) + 9 * (12 + 1)
    assert any_ == 9 * (2 + MAX_TEXT_BYTES) + 9 * (12 + 1)


def test_a_cap_of_remembered_ids_bounds_their_bytes():
    assert worst_case(plan_of(seen_ids_cap=500)).seen_bytes == 500 * 12 + 32


def test_the_largest_item_of_a_learned_table_fits_the_smallest_limit():
    items = {"together": {"dimensions": 4096, "learned": {"of": "item_id"}}}
    views = {"views": {"aggregate": "count", "windows": ["1h"]}}
    plan = compile_plan(spec_of(features=views, items=items, max_record="64KB"))
    of_item = item_plan(plan, plan.learned[0])
    assert worst_case(of_item).record_bytes < of_item.max_record_bytes == 64 << 10


def test_the_limit_is_no_part_of_the_layout():
    small, large = (plan_of(max_record=size) for size in ("64KB", "256MB"))
    assert (small.max_record_bytes, large.max_record_bytes) == (1 << 16, 1 << 28)
    assert small.layout.fingerprint == large.layout.fingerprint == plan_of().layout.fingerprint
    assert plan_of().max_record_bytes == 1 << 20
