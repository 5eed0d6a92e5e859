"""Which events no output of a plan wants, so that they need not travel any further."""

from __future__ import annotations

from user_state.core import keyed_decays, keyed_tiles
from user_state.core.events import Bool, Events
from user_state.core.plan import Plan
from user_state.core.vectors import wanted_by


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
        taken |= keyed_tiles.wanted_by(plan, track, events, matched)[0]
    for decay in plan.keyed_decays:
        taken |= keyed_decays.wanted_by(plan, decay, events, matched)[0]
    for vectors in plan.vectors:
        taken |= wanted_by(plan, vectors, events, matched)[0]
    return taken
