"""Which events no output of a plan wants, so that they need not travel any further."""

from __future__ import annotations

from user_state.core.events import Bool, Events
from user_state.core.plan import Plan
from user_state.core.weights import event_weights


def wanted(plan: Plan, events: Events) -> Bool:
    """Return (m,) whether any piece of the plan takes the event: its filter, fields that are not null, its weight."""
    matched = events.matches(plan)
    needs: set[tuple[int, tuple[int, ...]]] = {(log.filter, _one(log.required)) for log in plan.logs}
    of_one = [(track.filter, track.of) for track in plan.tracks] + [(decay.filter, decay.of) for decay in plan.decays]
    of_one += [(track.filter, track.of) for track in plan.last_seen]
    of_one += [(track.filter, track.of) for track in plan.hlls] + [(track.filter, track.of) for track in plan.klls]
    needs |= {(accepting, _one(of)) for accepting, of in of_one}
    needs |= {(profile.filter, ()) for profile in plan.profiles} | {(track.filter, ()) for track in plan.sessions}
    needs |= {(track.filter, (*track.by, *_one(track.of))) for track in plan.keyed_tracks}
    needs |= {(vectors.filter, (vectors.of,)) for vectors in plan.vectors if vectors.weighed_by is not None}
    taken = events.user < 0
    for accepting, fields in needs:
        taken |= _has_all(plan, events, matched[accepting], fields)
    for decay in plan.keyed_decays:
        weighs = event_weights(events, decay.weight_field, decay.weights) > 0
        taken |= _has_all(plan, events, matched[decay.filter] & weighs, decay.by)
    for vectors in plan.vectors:
        if vectors.weighed_by is None:
            weighs = event_weights(events, vectors.weight_field, vectors.weights) != 0
            taken |= _has_all(plan, events, matched[vectors.filter] & weighs, (vectors.of,))
    return taken


def _one(field: int | None) -> tuple[int, ...]:
    return () if field is None else (field,)


def _has_all(plan: Plan, events: Events, chosen: Bool, fields: tuple[int, ...]) -> Bool:
    for field in fields:
        chosen = chosen & events.has(plan, field)
    return chosen
