"""Decayed counts and sums: one piece of state for every (filter, field, half-lives)."""

from __future__ import annotations

from user_state.durations import parse_duration_us
from user_state.plan.compile.builder import Builder
from user_state.plan.outputs import DecayedOutput
from user_state.plan.state_definitions import Decay
from user_state.spec.model import Feature


def decayed_number(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a decayed count or sum for each of the feature's half-lives."""
    summed = feature.of if aggregate == "decayed_sum" else None
    where = builder.filter(feature.where, None if summed else feature.of)
    of = None if summed is None else builder.number_field(summed)
    half_lives_us = tuple(parse_duration_us(text) for text in feature.half_life)
    key = f"decay {builder.filter_text(where)} of {builder.field_name(of)} by {list(half_lives_us)}"
    index = builder.keep(builder.decays, Decay(key, where, of, half_lives_us))
    empty = 0.0 if feature.default is None else feature.default
    for position, text in enumerate(feature.half_life):
        builder.scalars.append(DecayedOutput(f"{name}_{aggregate}_{text}", aggregate, index, position, empty))
