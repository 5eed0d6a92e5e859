"""What a feature is worth, by the oracle: against tables worked out by hand."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pytest
import xxhash

from tests.oracle.by_hand import T0, D, H, M, S, applied, event, one_feature, spec_of
from user_state.oracle import Arrival, features, item_vector, replay

# Windows


@pytest.mark.parametrize(
    ("window", "width_us"), [("48s", S), ("10m", 10 * S), ("1h", M), ("1d", 30 * M), ("7d", 3 * H), ("30d", 12 * H)]
)
def test_a_window_starts_at_its_old_edge_rounded_down_to_a_tile(window: str, width_us: int) -> None:
    window_us = int(window[:-1]) * {"s": S, "m": M, "h": H, "d": D}[window[-1]]
    name = f"f_count_{window}"
    edge = T0 - window_us  # at T0 every width has an edge
    before, first = event("a", edge - 1), event("b", edge)
    assert one_feature(T0, [before, first], aggregate="count", windows=window) == {name: 1}
    # the tile stays whole until the reading has moved on by all of it
    assert one_feature(T0 + width_us - 1, [before, first], aggregate="count", windows=window) == {name: 1}
    assert one_feature(T0 + width_us, [before, first], aggregate="count", windows=window) == {name: 0}
    # one microsecond before the edge, the tile before is still read
    assert one_feature(T0 - 1, [before, first], aggregate="count", windows=window) == {name: 2}


def test_a_tile_width_of_the_spec_overrules_the_default() -> None:
    events = [event("a", T0 - H)]
    assert one_feature(T0 + 5 * M, events, aggregate="count", windows="1h", tiles={"1h": "10m"}) == {"f_count_1h": 1}
    assert one_feature(T0 + 10 * M, events, aggregate="count", windows="1h", tiles={"1h": "10m"}) == {"f_count_1h": 0}


def test_a_window_has_no_upper_edge_and_lifetime_no_lower_one() -> None:
    events = [event("a", T0 - 10_000 * D), event("b", T0 + M)]
    assert one_feature(T0, events, aggregate="count", windows=["10m", "lifetime"]) == {
        "f_count_10m": 1,
        "f_count_lifetime": 2,
    }


def test_whatever_is_of_a_field_leaves_out_nulls_and_count_is_of_all_events_without_one() -> None:
    events = [event("a", T0, value=1.5), event("b", T0, value=None), event("c", T0, value=-0.5)]
    assert one_feature(T0, events, aggregate=["count", "sum", "mean"], of="value", windows="1h") == {
        "f_count_1h": 2,
        "f_sum_1h": 1.0,
        "f_mean_1h": 0.5,
    }
    assert one_feature(T0, events, aggregate="count", windows="1h") == {"f_count_1h": 3}


@pytest.mark.parametrize(
    ("default", "values"), [(None, (0.0, 0.0, math.nan)), (-1.0, (-1.0, -1.0, -1.0)), (0.0, (0.0, 0.0, 0.0))]
)
def test_over_nothing_the_default_is_given(default: float | None, values: tuple[float, ...]) -> None:
    wanted = {"aggregate": ["count", "sum", "mean"], "of": "value", "windows": "1h", "default": default}
    empty = one_feature(T0, [event("a", T0 - D, value=5.0)], **wanted)
    assert list(empty.values()) == pytest.approx(values, nan_ok=True)
    # an event without a value has no part in it
    assert list(one_feature(T0, [event("a", T0)], **wanted).values()) == pytest.approx(values, nan_ok=True)
    # and a sum of zero is not nothing
    assert list(one_feature(T0, [event("a", T0, value=0.0)], **wanted).values()) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({}, 4),
        ({"action": "view"}, 2),
        ({"action": ["view", "like"]}, 3),
        ({"action": "view", "category": "a"}, 1),
        ({"category": ["a", "b"]}, 2),
        ({"value": 1.0}, 1),
        ({"value": True}, 0),
    ],
)
def test_where_needs_every_field_to_have_one_of_its_values_and_null_never_matches(
    where: dict[str, Any], count: int
) -> None:
    events = [
        event("a", T0, category="a", value=1.0),
        event("b", T0, category=None),
        event("c", T0, action="like", category="b"),
        event("d", T0, action=None),
    ]
    assert one_feature(T0, events, aggregate="count", where=where, windows="1h") == {"f_count_1h": count}


# Sessions

SESSIONS = [
    "session_count",
    "session_length_mean",
    "session_events_mean",
    "current_session_length",
    "current_session_events",
]


@pytest.mark.parametrize(
    ("times_us", "at_us", "expected"),
    [
        ([], T0, [0, math.nan, math.nan, 0, 0]),
        ([T0], T0 + 30 * M, [1, 0, 1, 0, 1]),
        ([T0], T0 + 30 * M + 1, [1, 0, 1, 0, 0]),
        ([T0, T0 + 30 * M], T0 + 31 * M, [1, 1800, 2, 1800, 2]),
        ([T0, T0 + 30 * M + 1], T0 + 31 * M, [2, 0, 1, 0, 1]),
        # begun before the window's old edge at T0, and counted whole; the other ended before it
        ([T0 - 2 * H, T0 - 20 * M, T0 + M], T0 + H, [1, 1260, 2, 0, 0]),
    ],
)
def test_sessions_part_where_a_pause_is_longer_than_the_gap(
    times_us: list[int], at_us: int, expected: list[float]
) -> None:
    events = [event(str(n), time_us) for n, time_us in enumerate(times_us)]
    found = one_feature(at_us, events, aggregate=SESSIONS, gap="30m", windows="1h")
    assert list(found) == [f"f_{name}_1h" for name in SESSIONS]
    assert list(found.values()) == pytest.approx(expected, nan_ok=True)


# Lists


def test_last_k_is_newest_first_without_nulls_within_its_window() -> None:
    events = [
        event("a", T0 - 2 * H, item_id="old"),
        event("c", T0 - 2, item_id="second"),
        event("d", T0 - 1, item_id=None),
        event("e", T0, item_id="newest"),
        event("b", T0 - 3, item_id="third"),
    ]
    wanted = {"aggregate": "last_k", "of": "item_id", "windows": ["1h", "lifetime"]}
    assert one_feature(T0, events, k=2, **wanted) == {
        "f_last_k_1h": ["newest", "second"],
        "f_last_k_lifetime": ["newest", "second"],
    }
    assert one_feature(T0, events, k=9, **wanted) == {
        "f_last_k_1h": ["newest", "second", "third"],
        "f_last_k_lifetime": ["newest", "second", "third", "old"],
    }


def test_equal_times_are_ordered_by_the_hash_of_the_id() -> None:
    events = [event(name, T0, item_id=name) for name in ("e2", "e3", "e1")]
    # Their xxh64 begin with 05, 4f and ae.
    assert one_feature(T0, events, aggregate="last_k", k=3, of="item_id", windows="1h") == {
        "f_last_k_1h": ["e3", "e2", "e1"]
    }


def test_a_sequence_has_its_fields_side_by_side_with_nulls() -> None:
    recent = {"fields": ["item_id", "value", "event_time"], "last": 2, "where": {"action": ["view", "like"]}}
    events = [
        event("a", T0 - 3, item_id="a", value=1.0),
        event("b", T0 - 2, item_id="b", value=2.5),
        event("c", T0 - 1, item_id="c", value=None, action="like"),
        event("d", T0, item_id="d", value=1.0, action="skip"),
    ]
    expected = features(spec_of(sequences={"recent": recent}), applied(*events), T0)
    assert expected.sequences == {
        "recent": {"item_id": ["c", "b"], "value": [None, 2.5], "event_time": [T0 - 1, T0 - 2]}
    }


def test_a_sequence_within_a_duration_ends_exactly_there() -> None:
    recent = {"fields": ["item_id"], "last": 5, "within": "10m"}
    events = [event("a", T0 - 10 * M - 1, item_id="a"), event("b", T0 - 10 * M, item_id="b")]
    assert features(spec_of(sequences={"s": recent}), applied(*events), T0).sequences == {"s": {"item_id": ["b"]}}
    assert features(spec_of(sequences={"s": recent}), applied(*events), T0 + 1).sequences == {"s": {"item_id": []}}


def test_datetimes_and_integers_mean_the_same() -> None:
    spec = spec_of(sequences={"recent": {"fields": ["event_time"], "last": 1}})
    when = datetime.datetime(2022, 1, 8, 0, 0, 0, 123_457, tzinfo=datetime.UTC)
    result = replay(spec, [Arrival(event("a", when))])
    assert [e.time_us for e in result.applied["u"]] == [T0 + 123_457]
    assert features(spec, result.applied["u"], T0).sequences == {"recent": {"event_time": [T0 + 123_457]}}


# Embeddings


def embedding_of(events: list[dict[str, Any]], at_us: int = T0, **settings: Any) -> np.ndarray:
    taste = {"kind": "decayed_mean", "of": "item_id", "dimensions": 4, "half_life": "1h", **settings}
    return features(spec_of(embeddings={"taste": taste}), applied(*events), at_us).embeddings["taste_1h"]


def test_an_items_vector_has_unit_length_and_the_bits_of_its_hash() -> None:
    vector = item_vector("item", 100)
    low, high = (xxhash.xxh64_intdigest(b"item", seed=seed) for seed in (0, 1))
    bits = [*f"{low:064b}"[::-1], *f"{high:064b}"[::-1][:36]]
    assert ["1" if x > 0 else "0" for x in vector] == bits
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert np.all(np.abs(vector) == 0.1)


def test_a_half_life_halves() -> None:
    v, w = item_vector("v", 4), item_vector("w", 4)
    events = [event("a", T0 - H, item_id="v"), event("b", T0, item_id="w")]
    assert embedding_of(events) == pytest.approx((0.5 * v + w) / 1.5)


def test_an_embedding_does_not_change_while_nothing_happens_not_even_in_decades() -> None:
    events = [event("a", T0 - H, item_id="v"), event("b", T0, item_id="w")]
    assert embedding_of(events, T0 + 20_000 * D) == pytest.approx(embedding_of(events))
    assert np.abs(embedding_of(events)).max() > 0


def test_negative_weights_push_away_but_still_count_as_weight() -> None:
    v, w = item_vector("v", 4), item_vector("w", 4)
    events = [
        event("a", T0, item_id="v", action="like"),
        event("b", T0, item_id="w", action="skip"),
        event("c", T0, item_id="x", action="view"),
        event("d", T0, item_id=None, action="like"),
    ]
    assert embedding_of(events, weights={"like": 3.0, "skip": -1.0}) == pytest.approx((3 * v - w) / 4)


def test_an_embedding_of_nothing_is_zeros() -> None:
    assert embedding_of([event("a", T0, item_id=None)]).tolist() == [0.0] * 4
    assert embedding_of([]).tolist() == [0.0] * 4


def test_features_do_not_depend_on_the_order_of_events() -> None:
    spec = spec_of(
        features={"f": {"aggregate": ["sum", "last_k"], "k": 3, "of": "value", "windows": ["10m", "1d"]}},
        sequences={"s": {"fields": ["value"], "last": 4}},
    )
    events = applied(*(event(f"e{i}", T0 - i * M, value=0.1 * i) for i in range(20)))
    assert features(spec, events, T0) == features(spec, events[::-1], T0)


def test_a_ratio_may_count_events_with_a_text():
    part = {"aggregate": "count", "of": "item_id"}
    ratio = {"aggregate": "ratio", "numerator": part, "denominator": {"aggregate": "count"}, "windows": ["1h"]}
    assert replay(spec_of(features={"f": ratio}), [Arrival(event("e", T0, item_id="a"), T0)]).bins == ["applied"]
