"""Aggregations read from tiles: one track for every (filter, field, kind), whatever the windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from user_state.plan.compile.builder import NAN, Builder, with_window
from user_state.plan.outputs import RatioOutput, ScalarOutput, StackedOutput
from user_state.plan.state_definitions import Track, Window
from user_state.plan.tile_kinds import TRACK_OF
from user_state.spec.model import Feature, Part
from user_state.spec.values import Scalar


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
        labels = tuple(f"[{least:g}, {end:g})" for least, end in pairwise(cuts))
        builder.arrays.append(StackedOutput(f"{name}_{aggregate}_{window.text}", aggregate, tuple(bins), labels))


def both(where: Mapping[str, list[Scalar]], part: Mapping[str, list[Scalar]]) -> dict[str, list[Scalar]]:
    """Return the filter that accepts what both accept.

    >>> both({"action": ["view", "like"]}, {"action": ["like"], "surface": ["home"]})
    {'action': ['like'], 'surface': ['home']}
    """
    shared = {field: [value for value in where[field] if value in part[field]] for field in where if field in part}
    return {**where, **part, **shared}


def _number(
    builder: Builder,
    output: str,
    aggregate: str,
    where: Mapping[str, list[Scalar]],
    of_name: str | None,
    window: Window,
    *,
    default: float | None = None,
    between: tuple[float, float] | None = None,
) -> ScalarOutput:
    kind = TRACK_OF[aggregate]
    if between is None:
        of_name = {"count": None, "times": builder.spec.events.time}.get(kind, of_name)
    of = None if of_name is None else builder.number_field(of_name)
    # Nothing counts and sums to 0; everything else has no value over nothing.
    empty = 0.0 if aggregate in ("count", "sum") else NAN
    track = _track(builder, kind, builder.filter(where), of, window, between)
    return ScalarOutput(output, aggregate, track, window, empty if default is None else default)


def _track(
    builder: Builder, kind: str, where: int, of: int | None, window: Window, between: tuple[float, float] | None
) -> int:
    key = f"{kind} tiles {builder.filter_text(where)} of {builder.field_name(of)}"
    if between is not None:
        key += " from {!r} to {!r}".format(*between)
    old = builder.tracks.get(key)
    windows = with_window(old.windows if old else (), window)
    return builder.keep(builder.tracks, Track(key, kind, where, of, windows, between))


__all__ = ["Part", "both", "histogram", "ratio", "tiled_number"]
