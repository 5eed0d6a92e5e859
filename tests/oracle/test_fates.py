"""Which bin an event ends in, by the oracle: against tables worked out by hand."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from tests.oracle.by_hand import T0, D, H, M, S, event, spec_of
from user_state.oracle import Arrival, replay
from user_state.spec.model import Spec


def bins_of(spec: Spec, *arrivals: Arrival, now_us: int | None = None) -> list[str]:
    return replay(spec, arrivals, now_us=now_us).bins


@pytest.mark.parametrize(
    ("time_us", "fate"),
    [
        (T0 - H, "applied"),
        (T0 - H - 1, "dead_letter/too_late"),
        (T0 + M, "applied"),
        (T0 + M + 1, "dead_letter/from_future"),
    ],
)
def test_an_event_is_judged_against_its_own_publish_time_to_the_microsecond(time_us: int, fate: str) -> None:
    assert bins_of(spec_of(), Arrival(event("a", time_us), T0)) == [fate]


@pytest.mark.parametrize(
    ("time_us", "fate"),
    [
        (T0 - 90 * D, "expired"),
        (T0 - 90 * D - 1, "expired"),
        (T0 - 90 * D + 1, "applied"),
        (T0 + M, "applied"),
        (T0 + M + 1, "dead_letter/from_future"),
    ],
)
def test_an_event_is_judged_against_the_wall_clock_to_the_microsecond(time_us: int, fate: str) -> None:
    assert bins_of(spec_of(), Arrival(event("a", time_us)), now_us=T0) == [fate]
    assert bins_of(spec_of(), Arrival(event("a", time_us))) == ["applied"]


@pytest.mark.parametrize(("skew", "tolerance_us"), [("1s", M), ("1m", M), ("5m", 5 * M)])
def test_a_publish_time_may_be_ahead_of_the_wall_clock_by_the_skew_and_at_least_a_minute(
    skew: str, tolerance_us: int
) -> None:
    spec = spec_of(max_clock_skew=skew)
    for ahead_us, fate in ((tolerance_us, "applied"), (tolerance_us + 1, "dead_letter/from_future")):
        assert bins_of(spec, Arrival(event("a", T0), T0 + ahead_us), now_us=T0) == [fate]


def test_a_clock_of_another_century_moves_no_users_clock() -> None:
    good = [Arrival(event(name, T0 + at)) for at, name in enumerate("abc")]
    bad = Arrival(event("bad", T0 + 27_000 * D))
    assert bins_of(spec_of(), good[0], bad, *good[1:], now_us=T0 + M) == [
        *("applied", "dead_letter/from_future", "applied", "applied")
    ]
    assert bins_of(spec_of(), good[0], bad, *good[1:])[2:] == ["dead_letter/too_late"] * 2


def test_ignored_comes_before_expired_and_expired_before_ahead_and_ahead_before_too_late() -> None:
    likes = {"aggregate": "count", "where": {"action": "like"}, "windows": "1h"}
    spec = spec_of(features={"f": likes})
    assert bins_of(
        spec,
        Arrival(event("a", T0 - 90 * D), T0 + D),
        Arrival(event("b", T0 - 90 * D, action="like"), T0 + D),
        Arrival(event("c", T0 - D, action="like"), T0 + D),
        Arrival(event("d", T0 - D, action="like"), T0),
        now_us=T0,
    ) == ["ignored", "expired", "dead_letter/from_future", "dead_letter/too_late"]


def test_the_clock_is_the_greatest_publish_time_applied_and_not_the_greatest_event_time() -> None:
    first = Arrival(event("a", T0 + M), T0)
    in_time = Arrival(event("b", T0 - H), T0 - H)
    too_late = Arrival(event("c", T0 - H - 1), T0 - H - 1)
    assert bins_of(spec_of(), first, in_time, too_late) == ["applied", "applied", "dead_letter/too_late"]


def test_what_is_not_applied_moves_no_clock() -> None:
    spec = spec_of(features={"likes": {"aggregate": "count", "where": {"action": "like"}, "windows": "1h"}})
    fates = bins_of(
        spec,
        Arrival(event("a", T0, action="like"), T0),
        Arrival(event("b", T0 + D, action="view"), T0 + D),
        Arrival(event("c", T0 + 3 * D, action="like"), T0 + 2 * D),
        Arrival(event("d", T0, action="like"), T0 + D),
        Arrival(event("e", T0 - H, action="like"), T0 - H),
    )
    assert fates == ["applied", "ignored", "dead_letter/from_future", "dead_letter/too_late", "applied"]


def test_a_clock_is_one_users_own() -> None:
    fates = bins_of(spec_of(), Arrival(event("a", T0), T0), Arrival(event("b", 9_000 * D, user_id="v"), 9_000 * D))
    assert fates == ["applied", "applied"]


def test_without_publish_times_the_published_field_and_then_the_event_time_count() -> None:
    events = {"schema": "x", "user": "user_id", "id": "event_id", "time": "event_time", "published": "published_at"}
    spec = spec_of(events=events)
    noon = datetime.datetime(2022, 1, 8, 12, tzinfo=datetime.UTC)  # T0 is 2022-01-08
    assert bins_of(
        spec,
        Arrival(event("a", T0 + 10 * H, published_at=noon)),
        Arrival(event("b", T0 + 11 * H, published_at=noon)),
        Arrival(event("c", T0 + 10 * H, published_at=noon), T0 + 10 * H),
        Arrival(event("d", T0 + 20 * H, published_at=None)),
        Arrival(event("e", T0 + 18 * H, published_at=None)),
    ) == ["dead_letter/too_late", "applied", "dead_letter/too_late", "applied", "dead_letter/too_late"]


def test_a_repeated_id_is_a_duplicate_for_its_user_until_it_would_be_too_late() -> None:
    a = Arrival(event("a", T0), T0)
    fates = bins_of(
        spec_of(),
        a,
        a,
        Arrival(event("a", T0, user_id="v"), T0),
        Arrival(event("b", T0 + H), T0 + H),
        a,
        Arrival(event("c", T0 + H + 1), T0 + H + 1),
        a,
    )
    assert fates == ["applied", "duplicate", "applied", "applied", "duplicate", "applied", "dead_letter/too_late"]


def test_a_copy_of_a_rejected_event_is_rejected_again_and_not_a_duplicate() -> None:
    late = Arrival(event("a", T0 - D), T0)
    assert bins_of(spec_of(), late, late) == ["dead_letter/too_late"] * 2


def test_counts_add_up_to_what_arrived() -> None:
    a = Arrival(event("a", T0), T0)
    result = replay(spec_of(), [a, a, Arrival(None), Arrival(None, T0, "invalid"), Arrival(event("", T0), T0)])
    assert result.counts == {
        "applied": 1,
        "duplicate": 1,
        "ignored": 0,
        "dead_letter/undecodable": 1,
        "dead_letter/invalid": 2,
    }
    assert list(result.applied) == ["u"]


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": ""},
        {"user_id": None},
        {"user_id": 7.0},
        {"user_id": True},
        {"user_id": "x" * 1025},
        {"user_id": "é" * 513},
        {"event_id": ""},
        {"event_time": 31_536_000 * S - 1},
        {"event_time": 4_102_444_800 * S},
        {"event_time": None},
        {"event_time": True},
        {"value": math.nan},
        {"value": -math.inf},
        {"value": -(2**63)},
        {"published_at": 31_536_000 * S - 1},
        {"item_id": "x" * 65_536},
    ],
)
def test_an_event_out_of_bounds_is_invalid(fields: dict[str, Any]) -> None:
    spec = spec_of(
        events={**spec_of().events.model_dump(by_alias=True), "published": "published_at"},
        features={"watched": {"aggregate": "sum", "of": "value", "windows": "1h"}},
        sequences={"recent": {"fields": ["item_id"], "last": 3}},
    )
    assert bins_of(spec, Arrival({**event("a", T0), **fields}, None)) == ["dead_letter/invalid"]


def test_an_event_at_its_bounds_is_applied_and_unused_fields_may_hold_anything() -> None:
    spec = spec_of(sequences={"recent": {"fields": ["item_id"], "last": 3}})
    arrivals = [
        event("x" * 1024, 31_536_000 * S, item_id="x" * 65_535),
        event("a", 4_102_444_800 * S - 1, user_id="é" * 512, value=math.nan, category="x" * 65_536),
    ]
    assert bins_of(spec, *map(Arrival, arrivals)) == ["applied", "applied"]


def test_invalid_comes_before_ignored_and_ignored_before_late() -> None:
    likes = {"aggregate": "count", "where": {"action": "like", "value": [1.0]}, "windows": "1h"}
    spec = spec_of(features={"f": likes})
    assert bins_of(
        spec,
        Arrival(event("a", T0, value=math.nan), T0),
        Arrival(event("b", T0 - D, value=1.0), T0),
        Arrival(event("c", T0 - D, action="like", value=1.0), T0),
    ) == ["dead_letter/invalid", "ignored", "dead_letter/too_late"]


@pytest.mark.parametrize(
    ("parts", "fields", "fate"),
    [
        ({"features": {"f": {"aggregate": "sum", "of": "value", "windows": "1h"}}}, {"value": None}, "ignored"),
        ({"features": {"f": {"aggregate": "sum", "of": "value", "windows": "1h"}}}, {"value": 0.0}, "applied"),
        ({"features": {"f": {"aggregate": ["count", "sum"], "of": "value", "windows": "1h"}}}, {}, "ignored"),
        ({"features": {"f": {"aggregate": "count", "windows": "1h"}}}, {}, "applied"),
        ({"features": {"f": {"aggregate": "last_k", "k": 2, "of": "value", "windows": "1h"}}}, {}, "ignored"),
        ({"sequences": {"s": {"fields": ["value"], "last": 2}}}, {"value": None}, "applied"),
        ({"sequences": {"s": {"fields": ["value"], "last": 2, "where": {"value": 1.0}}}}, {"value": None}, "ignored"),
        (
            {"embeddings": {"e": {"kind": "decayed_mean", "of": "value", "dimensions": 4, "half_life": "1h"}}},
            {},
            "ignored",
        ),
    ],
)
def test_an_event_is_ignored_when_nothing_wants_it(parts: dict[str, Any], fields: dict[str, Any], fate: str) -> None:
    assert bins_of(spec_of(**parts), Arrival(event("a", T0, **fields))) == [fate]


def test_an_embedding_wants_only_the_actions_it_weighs() -> None:
    taste = {"kind": "decayed_mean", "of": "item_id", "dimensions": 4, "half_life": "1h", "weights": {"skip": -1.0}}
    fates = bins_of(
        spec_of(embeddings={"taste": taste}),
        Arrival(event("a", T0, action="skip")),
        Arrival(event("b", T0, action="view")),
        Arrival(event("c", T0, action=None)),
    )
    assert fates == ["applied", "ignored", "ignored"]
