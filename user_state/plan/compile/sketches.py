"""Sketches: one track for every (filter, field, size of sketch), whatever the windows."""

from __future__ import annotations

from user_state.plan.compile.builder import NAN, Builder, with_window
from user_state.plan.hll import lg_k_for, standard_error
from user_state.plan.kll import k_for, rank_error
from user_state.plan.outputs import ApproxDistinctOutput, ApproxQuantilesOutput
from user_state.plan.state_definitions import HllTrack, KllTrack
from user_state.spec.model import Feature

DISTINCT_ERROR = 0.03
RANK_ERROR = 0.02


def approximate_count(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a count of distinct values over each of the feature's windows."""
    assert feature.of is not None  # the model demands it  # noqa: S101
    where, of = builder.filter(feature.where), builder.field(feature.of)
    lg_k = lg_k_for(DISTINCT_ERROR if feature.error is None else feature.error)
    key = f"distinct {builder.filter_text(where)} of {builder.field_name(of)} by 2^{lg_k} registers"
    empty = 0.0 if feature.default is None else feature.default
    for window in (builder.windows[text] for text in feature.windows):
        old = builder.hlls.get(key)
        windows = with_window(old.windows if old else (), window)
        track = builder.keep(builder.hlls, HllTrack(key, where, of, lg_k, windows))
        output = f"{name}_{aggregate}_{window.text}"
        builder.scalars.append(ApproxDistinctOutput(output, aggregate, track, window, standard_error(lg_k), empty))


def approximate_quantiles(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add an array of quantiles over each of the feature's windows."""
    assert feature.of is not None  # the model demands it  # noqa: S101
    where, of = builder.filter(feature.where), builder.number_field(feature.of)
    k = k_for(RANK_ERROR if feature.error is None else feature.error)
    key = f"quantiles {builder.filter_text(where)} of {builder.field_name(of)} by k {k}"
    empty = NAN if feature.default is None else feature.default
    quantiles = tuple(float(share) for share in feature.quantiles)
    for window in (builder.windows[text] for text in feature.windows):
        old = builder.klls.get(key)
        windows = with_window(old.windows if old else (), window)
        track = builder.keep(builder.klls, KllTrack(key, where, of, k, windows))
        output = f"{name}_{aggregate}_{window.text}"
        builder.arrays.append(ApproxQuantilesOutput(output, aggregate, track, window, quantiles, rank_error(k), empty))
