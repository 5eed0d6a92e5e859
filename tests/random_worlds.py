"""Hypothesis strategies: specs of every shape, and users' events that aim at the edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st

from tests.trying import T0, D, H, M, S, event, spec_of
from user_state.durations import parse_duration_us
from user_state.oracle import Arrival
from user_state.spec import LoadedSpec
from user_state.spec.aggregations import AGGREGATIONS

QUICK = settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
"""Without explaining failures, which traces every line and takes minutes."""
WINDOWS = ("48s", "90s", "10m", "1h", "5h", "1d", "3d", "lifetime")
TILES = {"90s": "30s", "10m": "5s", "1h": "1m", "1d": "1h", "3d": "1d"}
"""Widths a spec may ask for instead of the default ones; all of them divide one another."""
MOMENTS = ("variance", "stddev", "skew", "kurtosis")
LISTS = ("last_k", "first_k", "last_distinct_k")
EDGES = ("last", "first")
SEEN = ("distinct", "active_days", "streak_days")
HALF_LIVED = ("decayed_count", "decayed_sum", "hour_of_day", "day_of_week")
ZONES = (
    "UTC",
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/St_Johns",
)
"""Among them half-hour offsets and changes, a date that did not exist, and clocks set back across midnight."""
BEGINNINGS = (T0, T0, T0, T0 + 77 * D, 17_468 * D, 15_336 * D, 14_918 * D)
"""Midnights at which a world may begin: any, and a day or two before zones change in 2022, 2017, 2011 and 2010."""
SESSIONS = (
    "session_count",
    "session_length_mean",
    "session_events_mean",
    "current_session_length",
    "current_session_events",
)
WINDOWED = (
    *(
        "count",
        "sum",
        "mean",
        "geometric_mean",
        "min",
        "max",
        *MOMENTS,
        "recency",
        "first_seen",
        "gap_mean",
        "longest_gap",
    ),
    *(*LISTS, *EDGES, *SEEN, *SESSIONS, "approx_distinct", "approx_quantiles"),
)
NUMERIC = {
    *("sum", "mean", "geometric_mean", "min", "max", *MOMENTS),
    *("decayed_sum", "approx_quantiles", "sum_by", "mean_by"),
}
KEYED = ("count_by", "sum_by", "mean_by", "share_by", "top_k", "entropy_by")
KEYS = (
    *("item_id", "action", "amount", "bought", "event_time"),
    *(["action", "item_id"], ["item_id", "bought"], ["amount", "action"]),
    *(["bought", "amount", "item_id"], ["action", "bought", "event_time"]),
)
"""Fields whose values are keys: one, two and three of every kind."""
ACTIONS = ("view", "like", "skip", "sh\u00e4re \U0001f389")
ITEMS = (None, "a", "b", "c\u0000", "\u6f22", "")
USERS = ("u", "v", "{w}%")
TAME = st.one_of(st.none(), st.integers(-1000, 1000).map(lambda tenths: tenths / 10))
"""Values whose fourth powers neither overflow nor drown one another."""
EIGHTHS = st.one_of(st.none(), st.integers(-1000, 1000).map(lambda eighths: eighths / 8))
"""Values whose sums are exact in any order, for what is ordered by sums."""
VALUES = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e300, -1e300, 5e-324, 0.1]), st.floats(-1e6, 1e6, width=32)
)
LARGE = (2**53, 2**53 + 1, 2**63 - 1, -(2**63) + 1, -(2**53) - 1)
"""Whole numbers that are neighbours, and that no double tells apart."""
AMOUNTS = st.one_of(st.none(), st.sampled_from([0, 1, -1, *LARGE]), st.integers(-1000, 1000))
STARS = st.sampled_from([None, None, *(float(np.float32(number)) for number in (0.1, 0.5, 4.3, 7.0, 16_777_216.0))])
"""As events have them whose field is an Avro `float`."""
SEEN_AT = st.sampled_from([None, T0 // 1000, T0 // 1000 + 1, T0 // 1000 + 500])
"""Milliseconds, as events have them."""
VALUES_OF = {
    "action": st.sampled_from(ACTIONS),
    "item_id": st.sampled_from(["a", "b", ""]),
    "bought": st.booleans(),
    "amount": st.sampled_from([0, 1, -1, 5.0, *LARGE]),
    "value": st.sampled_from([1.0, 0.0, -2.5, 0.1, 3]),
    "stars": st.sampled_from([0.1, 0.5, 4.3, 7, 16_777_217]),
    "seen_at": st.sampled_from([T0 // 1000, T0 // 1000 + 1]),
}
"""What filters ask of each field; of `stars` in other digits than a `float` has."""
NULLABLE = sorted(set(VALUES_OF) - {"action"})
BOUNDS = {
    "amount": st.one_of(VALUES_OF["amount"], st.sampled_from([0.5, -0.5])),
    **{field: VALUES_OF[field] for field in ("value", "stars", "seen_at")},
}


@st.composite
def _bounds(draw: st.DrawFn, field: str) -> dict[str, Any]:
    """A bound of a number, or two between which there is something."""
    low, high = draw(st.sampled_from([None, ">", ">="])), draw(st.sampled_from([None, "<", "<="]))
    least, most = sorted((draw(BOUNDS[field]), draw(BOUNDS[field])))
    if low is None and high is None:
        return {">=": least}
    if low is not None and high is not None and least == most:
        return {low: least}
    return {how: number for how, number in ((low, least), (high, most)) if how is not None}


@st.composite
def _tests(draw: st.DrawFn, field: str, deep: int = 2) -> Any:
    """What is asked of a field."""
    kinds = ["value", "values", "is"] + ["bounds"] * 2 * (field in BOUNDS) + ["exists"] * (field in NULLABLE)
    kind = draw(st.sampled_from(kinds + ["not"] * (deep > 0)))
    if kind == "not":
        return {"not": draw(_tests(field, deep - 1))}
    if kind == "exists":
        return {"exists": draw(st.booleans())}
    if kind == "bounds":
        return draw(_bounds(field))
    listed = draw(st.lists(VALUES_OF[field], min_size=1, max_size=2))
    return {"value": listed[0], "values": listed, "is": {"is": listed}}[kind]


def _wheres(deep: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """A filter: nothing more often than anything, since each condition leaves fewer events."""
    one = st.sampled_from(sorted(VALUES_OF)).flatmap(lambda field: _tests(field).map(lambda test: {field: test}))
    if deep == 0:
        return one
    parts = st.lists(_wheres(deep - 1), min_size=1, max_size=3)
    whole = st.one_of(
        one,
        parts.map(lambda listed: {"any": listed}),
        parts.map(lambda listed: {"all": listed}),
        _wheres(deep - 1).map(lambda where: {"not": where}),
    )
    return st.tuples(whole, one).map(lambda both: {**both[0], **both[1]}) if deep == 1 else whole


PLAIN_WHERES = st.fixed_dictionaries(
    {},
    optional={
        "action": st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2, unique=True),
        "item_id": st.just("a"),
        "bought": st.booleans(),
        "amount": st.lists(st.sampled_from([0, 1, -1, 2**63 - 1]), min_size=1, max_size=2, unique=True),
        "value": st.sampled_from([[1.0], [0.0, -2.5], 0.1]),
    },
)
WHERES = st.one_of(PLAIN_WHERES, PLAIN_WHERES, _wheres())
"""Filters: values by field, and conditions of every kind."""


def _over_windows(draw: st.DrawFn) -> list[str]:
    return draw(st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=4, unique=True))


@st.composite
def ratios(draw: st.DrawFn) -> dict[str, Any]:
    """A ratio of two aggregations, with or without a prior."""
    made: dict[str, Any] = {"aggregate": "ratio", "windows": _over_windows(draw)}
    for side in ("numerator", "denominator"):
        aggregate = draw(st.sampled_from(["count", "sum", "max"]))
        fields = ["value", "amount", *([None, "item_id"] if aggregate == "count" else [])]
        of = {key: field for key, field in {"of": draw(st.sampled_from(fields))}.items() if field is not None}
        made[side] = {"aggregate": aggregate, "where": draw(WHERES), **of}
    if draw(st.booleans()):
        made["prior"] = {"rate": draw(st.sampled_from([0.05, 0.0, -2.0])), "weight": draw(st.sampled_from([0.5, 20.0]))}
    return made


@st.composite
def histograms(draw: st.DrawFn) -> dict[str, Any]:
    """Counts between edges, some of which are values of events."""
    of, where = draw(st.sampled_from(["value", "amount", "stars"])), draw(WHERES)
    among = [0.0, 1.0, -2.5, 0.1, 100.0, *{"value": [-1e300], "amount": LARGE, "stars": [4.3, 7]}[of]]
    edges = draw(st.sets(st.sampled_from(among), min_size=1, max_size=4))
    return {"aggregate": "histogram", "of": of, "edges": sorted(edges), "windows": _over_windows(draw), "where": where}


@st.composite
def plain_features(draw: st.DrawFn, among: Sequence[str] = (*WINDOWED, *HALF_LIVED)) -> dict[str, Any]:
    """One or several aggregations of one filter and field."""
    aggregates = draw(st.lists(st.sampled_from(among), min_size=1, max_size=5, unique=True))
    made: dict[str, Any] = {"aggregate": aggregates, "where": draw(WHERES)}
    if set(aggregates) & set(WINDOWED):
        made["windows"] = _over_windows(draw)
    if set(aggregates) & set(HALF_LIVED):
        made["half_life"] = draw(st.lists(st.sampled_from(["1m", "1h", "7d"]), min_size=1, max_size=2, unique=True))
    if set(aggregates) & NUMERIC:
        made["of"] = draw(st.sampled_from(["value", "amount"]))
    elif set(aggregates) & set(EDGES):
        made["of"] = draw(st.sampled_from(["value", "amount", "bought"]))
    elif set(aggregates) & {*LISTS, "distinct", "approx_distinct"}:
        made["of"] = draw(st.sampled_from(["value", "amount", "item_id", "bought", "event_time", "seen_at"]))
    elif draw(st.integers(0, 3)) == 0:
        made["of"] = draw(st.sampled_from(["value", "item_id", "stars", "action"]))
    if set(aggregates) & set(LISTS):
        made["k"] = draw(st.integers(1, 5))
        beside = {"action", "item_id", "bought", "value"} - {made["of"]}
        if draw(st.booleans()):
            made["with"] = draw(st.lists(st.sampled_from(sorted(beside)), min_size=1, max_size=2, unique=True))
    if "distinct" in aggregates and draw(st.booleans()):
        made["cap"] = draw(st.sampled_from([1, 2, 3, 65_535]))
    if "approx_quantiles" in aggregates:
        made["quantiles"] = draw(
            st.lists(st.sampled_from([0, 0.1, 0.25, 0.28, 0.5, 0.9, 1]), min_size=1, max_size=4, unique=True)
        )
    if {"approx_distinct", "approx_quantiles"} & set(aggregates) and draw(st.booleans()):
        made["error"] = draw(st.sampled_from([0.1, 0.05]))
    if set(aggregates) & set(SESSIONS):
        made["gap"] = draw(st.sampled_from(["1s", "10m", "1h", "1d"]))
    if any(AGGREGATIONS[aggregate].defaults for aggregate in aggregates) and draw(st.booleans()):
        made["default"] = draw(st.sampled_from([0.0, -1.0]))
    return made


@st.composite
def keyed_features(draw: st.DrawFn, among: Sequence[str] = (*KEYED, "decayed_count_by", "count")) -> dict[str, Any]:
    """One or several aggregations by key, of no more keys than a tile keeps."""
    aggregates = draw(st.lists(st.sampled_from(among), min_size=1, max_size=4, unique=True))
    made: dict[str, Any] = {"aggregate": aggregates, "where": draw(WHERES)}
    if set(aggregates) & {*KEYED, "count"}:
        made["windows"] = _over_windows(draw)
    if "decayed_count_by" in aggregates:
        made["half_life"] = draw(st.lists(st.sampled_from(["1m", "1h", "7d"]), min_size=1, max_size=2, unique=True))
    if "top_k" in aggregates:
        made["measure"] = draw(st.sampled_from(["count", "sum", "mean"]))
    if set(aggregates) & NUMERIC or made.get("measure") in ("sum", "mean"):
        made["of"] = draw(st.sampled_from(["value", "amount"]))
    elif "top_k" not in aggregates and draw(st.integers(0, 3)) == 0:
        made["of"] = draw(st.sampled_from(["value", "bought"]))
    listing = {"count_by", "share_by", "decayed_count_by"} & set(aggregates)
    if "top_k" in aggregates or (listing and draw(st.booleans())):
        made["k"] = draw(st.integers(1, 5))
    if aggregates != ["count"]:
        made["by"] = draw(st.sampled_from(KEYS))
        if draw(st.booleans()):
            made["keys"] = draw(st.sampled_from([50, 10_000]))  # no world has more events than that
    return made


def features() -> st.SearchStrategy[dict[str, Any]]:
    """A feature of any kind."""
    return st.one_of(plain_features(), plain_features(), keyed_features(), keyed_features(), ratios(), histograms())


def features_of(aggregate: str) -> st.SearchStrategy[dict[str, Any]]:
    """A feature of this aggregation alone."""
    if aggregate in ("ratio", "histogram"):
        return ratios() if aggregate == "ratio" else histograms()
    return keyed_features([aggregate]) if AGGREGATIONS[aggregate].keyed else plain_features([aggregate])


SEQUENCES = st.fixed_dictionaries(
    {
        "fields": st.lists(
            st.sampled_from(["item_id", "action", "event_time", "value", "amount", "bought", "stars", "seen_at"]),
            min_size=1,
            max_size=4,
            unique=True,
        ),
        "last": st.integers(1, 6),
        "where": WHERES,
    },
    optional={"within": st.sampled_from(["1s", "90s", "1h", "2d"])},
)
RECENT = st.fixed_dictionaries(
    {
        "kind": st.just("recent_items"),
        "of": st.sampled_from(["item_id", "item_id", "action"]),
        "half_life": st.lists(st.sampled_from(["1m", "10m", "1h", "7d"]), min_size=1, max_size=2, unique=True),
    },
    optional={
        "where": WHERES,
        "k": st.sampled_from([1, 2, 50]),
        "keys": st.sampled_from([50, 10_000]),
        "weights": st.dictionaries(st.sampled_from(ACTIONS), st.sampled_from([1.0, 3.0, 0.5]), min_size=1),
    },
)
VECTORS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["decayed_mean", "decayed_sum"]),
        "of": st.sampled_from(["item_id", "item_id", "action"]),
        "dimensions": st.sampled_from([1, 3, 64, 65]),
        "half_life": st.lists(st.sampled_from(["1s", "10m", "1h", "7d"]), min_size=1, max_size=2, unique=True),
    },
    optional={
        "where": WHERES,
        "storage": st.sampled_from(["float32", "float16"]),
        "normalise": st.sampled_from(["none", "unit"]),
        "weights": st.dictionaries(
            st.sampled_from(ACTIONS), st.sampled_from([1.0, 3.0, -1.0, -0.5, 1e6, 1e-3]), min_size=1
        ),
    },
)
EMBEDDINGS = st.one_of(VECTORS, VECTORS, RECENT)


SHELF = {
    "a": [1.0, 0.5, -2.0],
    "b": [-0.25, 3.0, 0.125],
    "c\u0000": [0.0, 0.0, 0.0],
    "": [9.0, 9.0, 9.0],
    "view": [0.75, -1.0, 1.5],
    "like": [1.0, 0.4, -2.1],
    "never met": [0.3, 0.2, 0.1],
}
"""The table `shelf` of every world; some items and actions have no vector there. (Nobody can load an empty id.)"""
COMPOSED = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["decayed_mean", "decayed_sum", "fold_in", "interests"]),
        "of": st.sampled_from(["item_id", "item_id", "action"]),
        "vectors": st.just("shelf"),
        "half_life": st.lists(st.sampled_from(["1s", "10m", "1h", "7d"]), min_size=1, max_size=2, unique=True),
        "last": st.sampled_from([1, 3, 1000]),
    },
    optional={
        "where": WHERES,
        "weights": st.dictionaries(
            st.sampled_from(ACTIONS), st.sampled_from([1.0, 3.0, -1.0, -0.5, 1e3, 1e-3]), min_size=1
        ),
    },
)


@st.composite
def composed(draw: st.DrawFn) -> dict[str, Any]:
    """An embedding over the table `shelf`."""
    made = draw(COMPOSED)
    if made["kind"].startswith("decayed"):
        made["normalise"] = draw(st.sampled_from(["none", "unit"]))
    if made["kind"] == "interests":
        made["most"] = draw(st.sampled_from([1, 2, 4]))
        made["threshold"] = draw(st.sampled_from([-1.0, 0.0, 0.7]))
    if made["kind"] == "fold_in":
        made["alpha0"] = draw(st.sampled_from([0.0, 0.1, 5.0]))
        made["regularisation"] = draw(st.sampled_from([0.1, 2.0]))
    return made


@st.composite
def specs(draw: st.DrawFn, only: str | None = None) -> LoadedSpec:
    """A spec with up to four features, two sequences and two embeddings, at least one output in all.

    `only` asks for one or two features of this aggregation, and nothing else.
    """
    parts: dict[str, Any] = {}
    wanted = 0 if only else draw(st.integers(1, 7))
    if only:
        parts["features"] = {
            f"f{i}": f for i, f in enumerate(draw(st.lists(features_of(only), min_size=1, max_size=2)))
        }
    if wanted & 1:
        parts["features"] = {f"f{i}": f for i, f in enumerate(draw(st.lists(features(), min_size=1, max_size=4)))}
    if wanted & 2:
        parts["sequences"] = {f"s{i}": s for i, s in enumerate(draw(st.lists(SEQUENCES, min_size=1, max_size=2)))}
    if wanted & 4:
        kinds = st.one_of(EMBEDDINGS, composed())
        parts["embeddings"] = {f"v{i}": e for i, e in enumerate(draw(st.lists(kinds, min_size=1, max_size=3)))}
        parts["items"] = {"shelf": {"dimensions": 3}}
    used = {window for feature in parts.get("features", {}).values() for window in feature.get("windows", ())}
    parts["tiles"] = {w: width for w, width in TILES.items() if w in used and draw(st.booleans())}
    parts["timezone"] = draw(st.sampled_from(ZONES))
    parts["max_clock_skew"] = draw(st.sampled_from(["1s", "1m", "10m"]))
    parts["allowed_lateness"] = draw(st.sampled_from(["10m", "1h", "2d", "9d"]))
    return spec_of(**parts)


@dataclass(frozen=True)
class World:
    """A spec and what arrived, in order."""

    spec: LoadedSpec
    arrivals: list[Arrival]


@st.composite
def event_times(draw: st.DrawFn, beginning: int = T0) -> int:
    """A time in microseconds, most often on, just before or just after the edge of a tile."""
    unit = draw(st.sampled_from([S, 10 * S, M, 10 * M, H, 12 * H, D]))
    edge = beginning + unit * draw(st.integers(0, 8))
    return edge + draw(st.sampled_from([0, 0, -1, 1, S, -S, S - 1, 123_456]))


@st.composite
def worlds(draw: st.DrawFn, *, most: int = 40, duplicates: bool = True, only: str | None = None) -> World:
    """A spec, `only` as for it, and up to `most` messages of three users: late, early, tied, repeated, at limits."""
    loaded = draw(specs(only))
    lateness_us, skew_us = loaded.spec.allowed_lateness, loaded.spec.max_clock_skew
    delays = st.sampled_from(
        [0, 0, 0, 0, S, M, -S, -skew_us, -skew_us - 1, lateness_us, lateness_us + 1, lateness_us // 2]
    )
    with_moments = any(set(MOMENTS) & set(feature.aggregate) for feature in loaded.spec.features.values())
    with_measure = any(feature.measure in ("sum", "mean") for feature in loaded.spec.features.values())
    values = EIGHTHS if with_measure else TAME if with_moments else VALUES
    amounts = st.integers(-1000, 1000) if with_moments or with_measure else AMOUNTS
    beginning = draw(st.sampled_from(BEGINNINGS))
    items = [item for item in ITEMS if item != "" or not loaded.spec.embeddings]  # what names items is never empty
    arrivals: list[Arrival] = []
    for number in range(draw(st.integers(1, most))):
        if duplicates and arrivals and draw(st.integers(0, 6)) == 0:
            copied = draw(st.sampled_from(arrivals))
            arrivals.append(Arrival(copied.event, (copied.published_us or 0) + draw(st.sampled_from([0, S, H]))))
            continue
        time_us = draw(event_times(beginning))
        made = event(
            time_us,
            draw(st.sampled_from(USERS)),
            f"id{number}",
            action=draw(st.sampled_from(ACTIONS)),
            item_id=draw(st.sampled_from(items)),
            value=draw(values),
            amount=draw(amounts),
            bought=draw(st.sampled_from([None, True, False])),
            stars=draw(STARS),
            seen_at=draw(SEEN_AT),
        )
        arrivals.append(Arrival(made, time_us + draw(delays)))
    return World(loaded, arrivals)


@st.composite
def reading_moments(draw: st.DrawFn, world: World) -> int:
    """A wall clock by which some events are expired, or ahead of it: to the microsecond at the edge for one of them."""
    spec = world.spec.spec
    arrival = draw(st.sampled_from(world.arrivals))
    event_us, published_us = (arrival.event or {})["event_time"], arrival.published_us or 0
    expiring_us = event_us + spec.retention
    arriving_us = published_us - max(spec.max_clock_skew, M)
    edge_us = draw(st.sampled_from([expiring_us, arriving_us]))
    return edge_us + draw(st.sampled_from([0, 0, -1, 1, -H, H]))


def reading_times(loaded: LoadedSpec, clock_us: int, last_event_us: int) -> list[int]:
    """Return moments at which everything must be right: from `max_clock_skew` before the clock to long after."""
    earliest = clock_us - loaded.spec.max_clock_skew
    times = {earliest, clock_us, max(earliest, last_event_us), max(earliest, last_event_us + 1), clock_us + 50 * D}
    for feature in loaded.spec.features.values():
        for window in feature.windows:
            if window != "lifetime":
                leaving = last_event_us + parse_duration_us(window)
                times |= {max(earliest, leaving), max(earliest, leaving + 1), max(earliest, leaving - M)}
        if feature.gap is not None:
            times |= {max(earliest, last_event_us + feature.gap), max(earliest, last_event_us + feature.gap + 1)}
    return sorted(times)
