"""Sessions: one track for every (filter, gap), whatever the windows."""

from __future__ import annotations

from user_state.plan.compile.builder import NAN, Builder, longer
from user_state.plan.outputs import SessionOutput
from user_state.plan.state_definitions import SessionTrack
from user_state.spec.model import Feature

SESSION_AGGREGATES = {
    "session_count": 0.0,
    "session_length_mean": NAN,
    "session_events_mean": NAN,
    "current_session_length": 0.0,
    "current_session_events": 0.0,
}
"""Each with its value over nothing."""


def session_number(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add an aggregation of sessions over each of the feature's windows."""
    assert feature.gap is not None  # the model demands it  # noqa: S101
    where = builder.filter(feature.where, feature.of)
    key = f"sessions {builder.filter_text(where)} gap {feature.gap}"
    empty = SESSION_AGGREGATES[aggregate] if feature.default is None else feature.default
    for window in (builder.windows[text] for text in feature.windows):
        old = builder.sessions.get(key)
        horizon = longer(old.horizon if old else None, window)
        lifetime = window.reach_s is None or (old is not None and old.lifetime)
        track = builder.keep(builder.sessions, SessionTrack(key, where, feature.gap, horizon, lifetime))
        builder.scalars.append(SessionOutput(f"{name}_{aggregate}_{window.text}", aggregate, track, window, empty))
