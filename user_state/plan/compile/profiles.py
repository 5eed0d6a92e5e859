"""`hour_of_day` and `day_of_week`: one piece of state for every (filter, kind, half-lives, time zone)."""

from __future__ import annotations

from user_state.durations import parse_duration_us
from user_state.plan.compile.builder import Builder
from user_state.plan.outputs import ProfileOutput
from user_state.plan.state_definitions import Profile
from user_state.spec.model import Feature

BINS = {"hour_of_day": 24, "day_of_week": 7}


def profile(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a profile for each of the feature's half-lives."""
    where, zone = builder.filter(feature.where, feature.of), builder.local_time().zone
    half_lives_us = tuple(parse_duration_us(text) for text in feature.half_life)
    key = f"{aggregate} {builder.filter_text(where)} by {list(half_lives_us)} in {zone}"
    index = builder.keep(builder.profiles, Profile(key, aggregate, where, BINS[aggregate], half_lives_us))
    for position, text in enumerate(feature.half_life):
        builder.arrays.append(ProfileOutput(f"{name}_{aggregate}_{text}", aggregate, index, position))
