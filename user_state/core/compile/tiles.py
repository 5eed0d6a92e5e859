"""Aggregations read from tiles: one track for every (filter, field, kind), whatever the windows."""

from __future__ import annotations

from user_state.core.compile.builder import NAN, Builder, longer
from user_state.core.plan import ScalarOutput, Track, Window
from user_state.core.tile_kinds import TRACK_OF
from user_state.spec.model import Feature


def tiled_number(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add an aggregation over each of the feature's windows."""
    kind = TRACK_OF[aggregate]
    where = builder.filter(feature.where)
    # Nothing counts and sums to 0; everything else has no value over nothing.
    empty = 0.0 if aggregate in ("count", "sum") else NAN
    empty = empty if feature.default is None else feature.default
    for window in (builder.windows[text] for text in feature.windows):
        of_name = {"count": None, "times": builder.spec.events.time}.get(kind, feature.of)
        of = None if of_name is None else builder.field(of_name)
        track = _track(builder, kind, where, of, window)
        builder.scalars.append(ScalarOutput(f"{name}_{aggregate}_{window.text}", aggregate, track, window, empty))


def _track(builder: Builder, kind: str, where: int, of: int | None, window: Window) -> int:
    key = f"{kind} tiles {builder.filter_text(where)} of {builder.field_name(of)}"
    old = builder.tracks.get(key)
    horizon = longer(old.horizon if old else None, window)
    lifetime = window.reach_s is None or (old is not None and old.lifetime)
    return builder.keep(builder.tracks, Track(key, kind, where, of, horizon, lifetime))
