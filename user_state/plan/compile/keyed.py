"""Aggregations by key: one keyed track for every (filter, key fields, summed field), one keyed decay a half-life."""

from __future__ import annotations

from user_state.durations import parse_duration_us
from user_state.plan.compile.builder import Builder, with_window
from user_state.plan.outputs import DecayedTableOutput, EntropyOutput, TableOutput
from user_state.plan.state_definitions import KeyedDecay, KeyedTrack, Window
from user_state.spec.aggregations import MEASURES
from user_state.spec.model import Feature


def table(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a table of keys, or a list of the heaviest, over each of the feature's windows."""
    measure = (feature.measure or "count") if aggregate == "top_k" else "count"
    of = feature.of if aggregate in ("sum_by", "mean_by") or measure != "count" else None
    for window in (builder.windows[text] for text in feature.windows):
        track = _track(builder, feature, of, window)
        output = f"{name}_{aggregate}_{window.text}"
        builder.lists.append(TableOutput(output, track, feature.listed_keys, MEASURES[aggregate], measure, window))


def entropy(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add the entropy of the keys over each of the feature's windows."""
    empty = 0.0 if feature.default is None else feature.default
    for window in (builder.windows[text] for text in feature.windows):
        track = _track(builder, feature, None, window)
        builder.scalars.append(EntropyOutput(f"{name}_{aggregate}_{window.text}", aggregate, track, window, empty))


def decayed_table(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a table of decayed counts by key for each of the feature's half-lives."""
    where, by = builder.filter(feature.where, feature.of), tuple(builder.field(field) for field in feature.by)
    for text in feature.half_life:
        half_life_us = parse_duration_us(text)
        key = f"keyed decay {builder.filter_text(where)} by {_key_text(builder, by)} by {half_life_us}"
        old = builder.keyed_decays.get(key)
        most_keys = max(feature.kept_keys, old.most_keys if old else 0)
        index = builder.keep(builder.keyed_decays, KeyedDecay(key, where, by, half_life_us, most_keys))
        builder.lists.append(DecayedTableOutput(f"{name}_{aggregate}_{text}", index, feature.listed_keys))


def _track(builder: Builder, feature: Feature, of_name: str | None, window: Window) -> int:
    where = builder.filter(feature.where, feature.of if of_name is None else None)
    by = tuple(builder.field(field) for field in feature.by)
    of = None if of_name is None else builder.number_field(of_name)
    key = f"keyed tiles {builder.filter_text(where)} by {_key_text(builder, by)} of {builder.field_name(of)}"
    old = builder.keyed_tracks.get(key)
    windows = with_window(old.windows if old else (), window)
    # How many keys are kept is no part of the key: a changed number goes on from the tiles there are.
    most_keys = max(feature.kept_keys, old.most_keys if old else 0)
    return builder.keep(builder.keyed_tracks, KeyedTrack(key, where, by, of, most_keys, windows))


def _key_text(builder: Builder, by: tuple[int, ...]) -> str:
    """Return the key's fields with their kinds, since a field of another kind makes other keys."""
    return ", ".join(f"{builder.field_name(field)} ({builder.fields[field].value_kind})" for field in by)
