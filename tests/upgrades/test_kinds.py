"""Every kind of change by name: what is said, what is read until then, and that it is exact from then on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.families.test_every_aggregation import feature_of
from tests.trying import T0, D, H, M, S, event, spec_of
from tests.upgrades.compare import differing, read
from tests.upgrades.history import History
from user_state.oracle import Arrival
from user_state.plan.spec_change import SpecChange, fills, spec_change
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.embedding_kinds import HASH

COUNT = {"aggregate": "count", "windows": ["1h"]}
WINDOWED = [name for name, aggregation in AGGREGATIONS.items() if aggregation.over == "windows"]
OLD_EVENTS = [
    T0 - 20 * H,
    T0 - 20 * H + M,
    T0 - 20 * H + 2 * M,
    T0 - 19 * H,
    T0 - 5 * H,
    T0 - 90 * M,
    T0 - 30 * M,
    T0 - M,
    T0,
]
SHELF = {"items": {"shelf": {"dimensions": 3}}}


def arrivals(times: Iterable[int]) -> list[Arrival]:
    """Return events at these times, each with values of its own."""
    return [
        Arrival(event(time_us, item_id="abc"[number % 3], value=float(number), amount=number, bought=number % 2 == 0))
        for number, time_us in enumerate(times)
    ]


def upgraded(
    old: dict[str, Any], new: dict[str, Any], before: Iterable[int] = OLD_EVENTS, after: Iterable[int] = ()
) -> History:
    """Return what became of events of user `u` folded under the first spec, and of more under the second."""
    history = History()
    for parts, times in ((old, before), (new, after)):
        history.upgrade(spec_of(**{"allowed_lateness": "10m", **parts}))
        history.fold(arrivals(times))
    return history


def told(history: History) -> SpecChange:
    """Return what is said of the last change."""
    plans = [plan for _, plan in history.stages]
    return spec_change(plans[-1], plans[-2].layout, [plan.layout for plan in plans[:-2]])


def wrong(history: History, at_us: int) -> set[str]:
    """Return the outputs of user `u` that are not what brute force says of all that was applied."""
    loaded, plan = history.stages[-1]
    applied = [event for _, event in history.users["u"].applied]
    return set(differing(loaded, plan, read(plan, history.records("u"), at_us), applied, at_us, {}))


@pytest.mark.parametrize("aggregate", WINDOWED)
def test_a_longer_window_is_said_to_fill_for_as_long_as_it_is(aggregate: str) -> None:
    feature = {**feature_of(aggregate), "windows": ["1h"]}
    history = upgraded({"features": {"f": feature}}, {"features": {"f": {**feature, "windows": ["1h", "1d"]}}})
    output = f"f_{aggregate}_1d"
    if aggregate.startswith("current_session"):
        assert (told(history).fills, wrong(history, T0)) == ((), set())  # none is older than its gap
        return
    (line,) = (line for line in told(history).fills if line.startswith(output))
    assert line.startswith(f"{output} (exact from 1d after the change; until then ")
    assert wrong(history, T0) <= {output}
    history.fold(arrivals([T0 + 26 * H, T0 + 27 * H]))
    assert wrong(history, T0 + 27 * H) == set()


@pytest.mark.parametrize("aggregate", WINDOWED)
def test_a_shorter_window_and_fewer_of_them_are_exact_at_once(aggregate: str) -> None:
    feature = feature_of(aggregate)
    old = {"features": {"f": {**feature, "windows": ["1h", "1d", "3d", "lifetime"]}}}
    for kept in (["1d"], ["lifetime"]):
        history = upgraded(old, {"features": {"f": {**feature, "windows": kept}}}, after=[T0 + M])
        assert (told(history).fills, told(history).starts) == ((), ())
        assert wrong(history, T0 + M) == set()


def test_a_longer_window_counts_what_was_kept_until_then() -> None:
    history = upgraded({"features": {"f": COUNT}}, {"features": {"f": {**COUNT, "windows": ["1d"]}}}, after=[T0 + M])
    assert told(history).fills == (
        "f_count_1d (exact from 1d after the change; until then it misses what was no longer kept)",
    )
    found = read(history.stages[-1][1], history.records("u"), T0 + M)
    assert float(found.values[0, 0]) == 4  # of the ten in the window, those of the last hour before the change


@pytest.mark.parametrize(
    ("old", "new", "output"),
    [
        ({"windows": ["1d"]}, {"windows": ["1d", "10m"]}, "f_count_10m"),
        ({"tiles": {"1d": "1h"}}, {"tiles": {"1d": "10m"}}, "f_count_1d"),
        ({"tiles": {"1d": "10m"}}, {"tiles": {"1d": "1h"}}, "f_count_1d"),
    ],
    ids=["a shorter window of finer tiles", "finer tiles", "wider tiles, whose window begins earlier"],
)
def test_tiles_of_another_width_are_said_to_fill(old: dict[str, Any], new: dict[str, Any], output: str) -> None:
    def parts(made: dict[str, Any]) -> dict[str, Any]:
        return {"features": {"f": {**COUNT, "windows": made.get("windows", ["1d"])}}, "tiles": made.get("tiles", {})}

    # A minute to an hour after the tile's edge on which a window of other tiles begins.
    before = [T0 - D - 59 * M, T0 - D - M, T0 - D + M, T0 - D + 55 * M, T0 - 8 * M, T0 + 20 * M, T0 + 50 * M]
    history = upgraded(parts(old), parts(new), before)
    (line,) = told(history).fills
    assert line.startswith(f"{output} (exact from {output.rpartition('_')[2]} after the change")
    assert any(wrong(history, T0 + minute * M) for minute in range(50, 90))
    assert not any(wrong(history, T0 + D + 3 * H + minute * M) for minute in range(90))


@pytest.mark.parametrize("aggregate", [name for name in WINDOWED if not name.startswith("current_session")])
def test_a_lifetime_that_was_not_kept_is_said_never_to_be_complete(aggregate: str) -> None:
    feature = {**feature_of(aggregate), "windows": ["1h"]}
    history = upgraded({"features": {"f": feature}}, {"features": {"f": {**feature, "windows": ["1h", "lifetime"]}}})
    (line,) = (line for line in told(history).fills if line.startswith(f"f_{aggregate}_lifetime"))
    assert "never complete: it counts from " in line
    assert wrong(history, T0) <= {f"f_{aggregate}_lifetime"}


LAST = {"aggregate": "last_k", "of": "item_id", "k": 2, "windows": ["1d"]}
DISTINCT = {"aggregate": "distinct", "of": "amount", "cap": 2, "windows": ["1d"]}
RECENT = {"fields": ["item_id"], "last": 2}
COMPOSED = {"kind": "decayed_sum", "of": "item_id", "vectors": "shelf", "half_life": "1d", "last": 2}


@pytest.mark.parametrize(
    ("section", "entry", "grown", "output", "line"),
    [
        ("features", LAST, {"k": 3}, "f_last_k_1d", "exact from 1d after the change; until then at most 2 were kept"),
        ("features", {**LAST, "aggregate": "first_k"}, {"k": 3}, "f_first_k_1d", "exact from 1d after the change"),
        ("features", {**LAST, "aggregate": "last_distinct_k"}, {"k": 3}, "f_last_distinct_k_1d", "exact from 1d"),
        ("features", DISTINCT, {"cap": 3}, "f_distinct_1d", "exact from 1d after the change; until then at most 2"),
        ("features", {**DISTINCT, "windows": "lifetime"}, {"cap": 3}, "f_distinct_lifetime", "at most 2 were kept"),
        ("sequences", RECENT, {"last": 3}, "f", "at most 2 were kept"),
        ("sequences", {**RECENT, "within": "1d"}, {"last": 3}, "f", "exact from 1d after the change"),
        ("sequences", {**RECENT, "last": 9, "within": "1h"}, {"within": "1d"}, "f", "exact from 1d after the change"),
        ("embeddings", COMPOSED, {"last": 3}, "f_1d", "at most 2 were kept"),
    ],
)
def test_more_than_was_kept_is_said_to_fill_and_less_is_exact(
    section: str, entry: dict[str, Any], grown: dict[str, Any], output: str, line: str
) -> None:
    old, new = ({**SHELF, section: {"f": one}} for one in (entry, {**entry, **grown}))
    history = upgraded(old, new)
    (filling,) = told(history).fills
    assert filling.startswith(f"{output} ({line}")
    assert wrong(history, T0) == {output}
    less = upgraded(new, old, after=[T0 + M])
    assert (told(less).fills, wrong(less, T0 + M)) == ((), set())


def test_more_keys_keep_the_error_bound_of_fewer_and_that_is_said() -> None:
    table = {"aggregate": "count_by", "by": "amount", "keys": 2, "k": 2, "windows": ["1d"]}
    more = {"features": {"f": {**table, "keys": 50}}}
    history = upgraded({"features": {"f": table}}, more, after=[T0 + M])
    (line,) = told(history).fills
    assert line == "f_count_by_1d (exact from 1d after the change; until then counts as if it had `keys: 2`)"
    assert wrong(history, T0 + M) == {"f_count_by_1d"}
    history.fold(arrivals([T0 + 26 * H, T0 + 27 * H]))
    assert wrong(history, T0 + 27 * H) == set()


def test_what_was_stored_in_half_precision_stays_so_and_that_is_said() -> None:
    vectors = {"kind": "decayed_sum", "of": "item_id", "vectors": HASH, "dimensions": 8, "half_life": "1d"}
    old, new = ({"embeddings": {"f": {**vectors, "storage": storage}}} for storage in ("float16", "float32"))
    assert told(upgraded(old, new)).fills == ("f_1d (what is there was stored in half precision)",)
    assert told(upgraded(new, old)).fills == ()


def test_a_ratio_of_which_one_part_is_new_says_so_and_is_exact_when_both_are_of_one_age() -> None:
    def ratio(likes: str) -> dict[str, Any]:
        part = {"aggregate": "count", "where": {"item_id": likes}}
        return {"features": {"f": {"aggregate": "ratio", "numerator": part, "denominator": {"aggregate": "count"}}}}

    old, new = ratio("a"), ratio("b")
    for made in (old, new):
        made["features"]["f"]["windows"] = ["1d"]
    history = upgraded(old, new, after=[T0 + M])
    assert told(history).partly == ("f",)
    assert told(history).fills == ("f_ratio_1d (exact from 1d after the change; until then a part of it starts empty)",)
    assert wrong(history, T0 + M) == {"f_ratio_1d"}
    assert wrong(history, T0 + 26 * H) == set()


def test_weights_by_a_field_that_was_not_kept_are_said_to_leave_out_what_is_there() -> None:
    old = {**SHELF, "embeddings": {"f": {**COMPOSED, "last": 9, "where": {"action": ["view", "like"]}}}}
    weighed = {**old["embeddings"]["f"], "weights": {"view": 1.0, "like": 2.0}}
    history = upgraded(old, {**SHELF, "embeddings": {"f": weighed}})
    assert told(history).fills == ("f_1d (what is there has no action, and so no part in it)",)
    assert wrong(history, T0) == {"f_1d"}


def test_a_greater_clock_skew_says_which_readings_are_incomplete_and_a_lesser_is_exact() -> None:
    def parts(skew: str) -> dict[str, Any]:
        return {"features": {"f": COUNT}, "max_clock_skew": skew}

    before = [T0 - 66 * M, T0 - 50 * M, T0]
    history = upgraded(parts("1m"), parts("10m"), before)
    change = told(history)
    assert change.readings == "readings more than 1m before a user's clock: exact from 9m after the change"
    assert change.readings in change.lines()
    assert (wrong(history, T0 - M), wrong(history, T0 - 10 * M)) == (set(), {"f_count_1h"})
    assert not told(upgraded(parts("10m"), parts("1m"), before)).readings


def test_what_a_spec_dropped_starts_empty_when_it_comes_back_and_what_it_kept_goes_on() -> None:
    likes = {**COUNT, "where": {"item_id": "a"}}
    first, second = {"features": {"f": COUNT, "g": likes}}, {"features": {"f": COUNT}}
    history = upgraded(first, second, after=[T0 + M])
    history.upgrade(spec_of(allowed_lateness="10m", **first))
    assert (told(history).keeps, told(history).starts) == (("f",), ("g",))
    history.fold(arrivals([T0 + 2 * M]))
    found = read(history.stages[-1][1], history.records("u"), T0 + 2 * M)
    assert found.values[0].tolist() == [5, 1]


def test_a_window_read_from_one_that_still_fills_says_so() -> None:
    """Of a chain of three: the second spec's 3d fills when the third asks for a day of it."""
    history = upgraded({"features": {"f": COUNT}}, {"features": {"f": {**COUNT, "windows": ["3d"]}}}, after=[T0 + M])
    history.upgrade(spec_of(allowed_lateness="10m", features={"f": {**COUNT, "windows": ["3d", "1d"]}}))
    first = history.stages[0][1].layout.fingerprint.hex()
    lines = {line.split(" ")[0]: line for line in told(history).fills}
    assert lines.keys() == {"f_count_3d", "f_count_1d"}
    assert lines["f_count_3d"] == (
        "f_count_3d (exact from 3d after the change; until then it misses what was no longer kept,"
        f" of records that once had layout {first})"
    )
    assert wrong(history, T0 + M) == {"f_count_3d", "f_count_1d"}
    assert wrong(history, T0 + 4 * D) == set()


def test_a_renamed_feature_and_another_retention_change_nothing() -> None:
    old = {"features": {"f": {**COUNT, "windows": ["1d"]}}}
    new = {"features": {"other": {**COUNT, "windows": ["1d"]}}, "retention": "30d"}
    history = upgraded(old, new, after=[T0 + M])
    assert (told(history).keeps, told(history).nothing) == (("other",), True)
    assert wrong(history, T0 + M) == set()


def test_a_layout_that_does_not_say_what_was_kept_is_taken_to_have_kept_too_little() -> None:
    plan = upgraded({"features": {"f": COUNT}}, {"features": {"f": COUNT}}).stages[-1][1]
    found = fills(plan, replace(plan.layout, kept=()))
    assert str(found["f_count_1h"]) == "exact from 1h after the change; until then how much was kept is not known"


def test_a_longer_lateness_admits_nothing_that_was_forgotten_and_a_shorter_one_loses_nothing() -> None:
    old_events = [T0 + n * 2 * S for n in range(48)]
    features = {"f": {**COUNT, "windows": ["lifetime"]}}
    for before, later in (("1h", "9d"), ("9d", "1h")):
        history = History()
        history.upgrade(spec_of(features=features, allowed_lateness=before))
        sent = arrivals(old_events)
        assert history.fold(sent) == ["applied"] * 48
        assert history.fold(arrivals([T0 + 3 * H])) == ["applied"]
        history.upgrade(spec_of(features=features, allowed_lateness=later))
        # Of the shorter lateness they are too late by themselves, of the longer one by what was forgotten.
        assert history.fold([Arrival(one.event, T0 + 3 * H) for one in sent]) == ["dead_letter/too_late"] * 48
        assert wrong(history, T0 + 3 * H) == set()
        _, plan = history.stages[-1]
        assert float(read(plan, history.records("u"), T0 + 3 * H).values[0, 0]) == 49
