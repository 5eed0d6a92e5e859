"""Which events no output of a plan wants, so that they need not travel any further."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from user_state.plan.plan import Plan
from user_state.state.events import F64, Bool, Events


def wanted(plan: Plan, events: Events) -> Bool:
    """Return (m,) whether any track, log or vectors of the plan takes the event."""
    matched = events.matches(plan)
    needs = {(track.filter, track.of) for track in plan.tracks} | {(log.filter, log.required) for log in plan.logs}
    needs |= {(decay.filter, decay.of) for decay in plan.decays}
    needs |= {(track.filter, track.of) for track in plan.last_seen}
    needs |= {(profile.filter, None) for profile in plan.profiles}
    needs |= {(track.filter, None) for track in plan.sessions} | {(track.filter, None) for track in plan.gaps}
    needs |= {(track.filter, track.of) for track in plan.hlls} | {(track.filter, track.of) for track in plan.klls}
    taken = events.user < 0
    for accepting, field in needs:
        taken |= matched[accepting] if field is None else matched[accepting] & events.has(plan, field)
    for track in plan.keyed_tracks:
        wants = matched[track.filter] & _has_all(plan, track.by, events)
        taken |= wants if track.of is None else wants & events.has(plan, track.of)
    for decay in plan.keyed_decays:
        weighs = event_weights(events, decay.weight_field, decay.weights) > 0
        taken |= matched[decay.filter] & _has_all(plan, decay.by, events) & weighs
    for vectors in plan.vectors:
        wants = matched[vectors.filter] & events.has(plan, vectors.of)
        if vectors.weighed_by is None:
            wants &= event_weights(events, vectors.weight_field, vectors.weights) != 0
        taken |= wants
    return taken


def event_weights(events: Events, field: int | None, weights: Mapping[str, float] | None) -> F64:
    """Return (m,) the events' weights by the value of a string field; 0 for values without, and nulls."""
    if field is None or weights is None:
        return np.ones(len(events))
    # One entry more than the pool, for nulls.
    table = np.array([weights.get(text, 0.0) for text in events.pool.texts] + [0.0])
    weight: F64 = table[events.columns[field]]
    return weight


def _has_all(plan: Plan, fields: tuple[int, ...], events: Events) -> Bool:
    """Return (m,) whether none of an event's fields is null."""
    present = np.ones(len(events), np.bool_)
    for field in fields:
        present &= events.has(plan, field)
    return present
