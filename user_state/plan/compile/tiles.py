"""Aggregations read from tiles: one track for every (filter, field, kind), whatever the windows."""

from __future__ import annotations

import math
from itertools import pairwise

from user_state.plan.compile.builder import NAN, Builder, with_window
from user_state.plan.outputs import RatioOutput, ScalarOutput, StackedOutput
from user_state.plan.state_definitions import Track, Window
from user_state.plan.tile_kinds import TRACK_OF
from user_state.spec.filters import AllOf, both
from user_state.spec.model import Feature, Part

Edge = int | float
Between = tuple[Edge, Edge]


def tiled_number(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add an aggregation over each of the feature's windows."""
    for window in (builder.windows[text] for text in feature.windows):
        output = f"{name}_{aggregate}_{window.text}"
        builder.scalars.append(
            _number(builder, output, aggregate, feature.where, feature.of, window, default=feature.default)
        )


def ratio(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add the ratio of two aggregations over each of the feature's windows."""
    assert feature.numerator is not None  # the model demands both  # noqa: S101
    assert feature.denominator is not None  # noqa: S101
    rate, weight = (0.0, 0.0) if feature.prior is None else (feature.prior.rate, feature.prior.weight)
    for window in (builder.windows[text] for text in feature.windows):
        output = f"{name}_{aggregate}_{window.text}"
        above, below = (
            _number(builder, output, part.aggregate, both(feature.where, part.where), part.of, window)
            for part in (feature.numerator, feature.denominator)
        )
        empty = NAN if feature.default is None else feature.default
        builder.scalars.append(RatioOutput(output, aggregate, above, below, rate, weight, empty))


def histogram(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add counts by value: below the first edge, from each edge to the next, and from the last on."""
    cuts = [-math.inf, *feature.edges, math.inf]
    for window in (builder.windows[text] for text in feature.windows):
        bins = [
            _number(builder, name, "count", feature.where, feature.of, window, between=between)
            for between in pairwise(cuts)
        ]
        labels = tuple(f"[{_label(least)}, {_label(end)})" for least, end in pairwise(cuts))
        builder.arrays.append(StackedOutput(f"{name}_{aggregate}_{window.text}", aggregate, tuple(bins), labels))


def _number(
    builder: Builder,
    output: str,
    aggregate: str,
    where: AllOf,
    of_name: str | None,
    window: Window,
    *,
    default: float | None = None,
    between: Between | None = None,
) -> ScalarOutput:
    kind = TRACK_OF[aggregate]
    having = None
    if between is None and kind in ("count", "times"):
        having, of_name = of_name, {"count": None, "times": builder.spec.events.time}[kind]
    of = None if of_name is None else builder.number_field(of_name)
    # Nothing counts and sums to 0; everything else has no value over nothing.
    empty = 0.0 if aggregate in ("count", "sum") else NAN
    track = _track(builder, kind, builder.filter(where, having), of, window, between)
    return ScalarOutput(output, aggregate, track, window, empty if default is None else default)


def _track(builder: Builder, kind: str, where: int, of: int | None, window: Window, between: Between | None) -> int:
    # Times of events are in microseconds, whatever the unit of their field.
    name = builder.spec.events.time if kind == "times" else builder.field_name(of)
    key = f"{kind} tiles {builder.filter_text(where)} of {name}"
    if between is not None:
        key += f" from {_edge_text(between[0])} to {_edge_text(between[1])}"
        is_whole = of is not None and builder.fields[of].kind == "int"
        between = _whole(between[0]) if is_whole else between[0], _whole(between[1]) if is_whole else between[1]
    old = builder.tracks.get(key)
    windows = with_window(old.windows if old else (), window)
    return builder.keep(builder.tracks, Track(key, kind, where, of, windows, between))


def _whole(edge: Edge) -> Edge:
    """Return an edge between whole numbers as one of them: the least that is not below it."""
    return edge if math.isinf(edge) else math.ceil(edge)


def _edge_text(edge: Edge) -> str:
    """Return an edge as keys of state have it."""
    return repr(float(edge)) if float(edge) == edge else str(edge)


def _label(edge: Edge) -> str:
    """Return an edge for people, in as few digits as tell it from every other.

    >>> _label(0.5), _label(1764000000500), _label(1e300), _label(math.inf)
    ('0.5', '1764000000500', '1e+300', 'inf')
    """
    short = f"{edge:g}"
    return short if float(short) == edge else repr(edge)


__all__ = ["Part", "histogram", "ratio", "tiled_number"]
