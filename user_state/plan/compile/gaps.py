"""Longest gaps: one track for every filter, whatever the windows."""

from __future__ import annotations

from user_state.plan.compile.builder import NAN, Builder, with_window
from user_state.plan.outputs import GapOutput
from user_state.plan.state_definitions import GapTrack
from user_state.spec.model import Feature


def longest_gap(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add the longest gap over each of the feature's windows."""
    where = builder.filter(feature.where, feature.of)
    key = f"gaps {builder.filter_text(where)}"
    empty = NAN if feature.default is None else feature.default
    for window in (builder.windows[text] for text in feature.windows):
        old = builder.gaps.get(key)
        windows = with_window(old.windows if old else (), window)
        track = builder.keep(builder.gaps, GapTrack(key, where, windows))
        builder.scalars.append(GapOutput(f"{name}_{aggregate}_{window.text}", aggregate, track, window, empty))
