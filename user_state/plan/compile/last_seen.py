"""`distinct`, `active_days` and `streak_days`: one track for every (filter, field), or (filter, time zone)."""

from __future__ import annotations

from user_state.plan.compile.builder import Builder
from user_state.plan.layout import DAYS, VALUES
from user_state.plan.outputs import LastSeenOutput
from user_state.plan.state_definitions import LastSeen, Window
from user_state.spec.model import DEFAULT_CAP, Feature

MAX_DAYS = 3_660
"""Ten years of days; a window's own length keeps a shorter one far below it."""


def distinct_values(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a count of distinct values over each of the feature's windows."""
    assert feature.of is not None  # the model demands it  # noqa: S101
    where, of = builder.filter(feature.where), builder.field(feature.of)
    key = f"distinct {builder.filter_text(where)} of {builder.field_name(of)} as {builder.fields[of].kind}"
    cap = DEFAULT_CAP if feature.cap is None else feature.cap
    _add(builder, LastSeen(key, VALUES, where, of, 0, cap), name, aggregate, feature)


def local_days(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a count of active days, or of those in a row, over each of the feature's windows."""
    where, zone = builder.filter(feature.where, feature.of), builder.local_time().zone
    key = f"days {builder.filter_text(where)} in {zone}"
    _add(builder, LastSeen(key, DAYS, where, None, 0, MAX_DAYS), name, aggregate, feature)


def _add(builder: Builder, piece: LastSeen, name: str, aggregate: str, feature: Feature) -> None:
    empty = 0.0 if feature.default is None else feature.default
    for window in (builder.windows[text] for text in feature.windows):
        track = _track(builder, piece, window)
        output = f"{name}_{aggregate}_{window.text}"
        builder.scalars.append(LastSeenOutput(output, aggregate, track, window, piece.cap, empty))


def _track(builder: Builder, piece: LastSeen, window: Window) -> int:
    reach_s = None if window.reach_s is None else window.reach_s + window.width_s
    cap = piece.cap
    old = builder.last_seen.get(piece.key)
    if old is not None:
        reach_s = None if reach_s is None or old.reach_s is None else max(reach_s, old.reach_s)
        cap = max(cap, old.cap)
    return builder.keep(builder.last_seen, LastSeen(piece.key, piece.kind, piece.filter, piece.of, reach_s, cap))
