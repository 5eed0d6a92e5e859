"""What each output of a plan needs of the definitions it is read from, to be exact: how far back, how finely, how many.

Held against what a record's layout says was kept (kept.py), it tells what a changed spec can answer at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from user_state.durations import SECOND_US
from user_state.plan.kept import EACH
from user_state.plan.outputs import (
    ApproxDistinctOutput,
    ApproxQuantilesOutput,
    ComposedOutput,
    DecayedOutput,
    DecayedTableOutput,
    EmbeddingOutput,
    EntropyOutput,
    FoldInOutput,
    GapOutput,
    History,
    InterestsOutput,
    InterestWeightsOutput,
    LastSeenOutput,
    ListOutput,
    LoggedOutput,
    ProfileOutput,
    RatioOutput,
    ScalarOutput,
    SequenceOutput,
    SessionOutput,
    StackedOutput,
    TableOutput,
)
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import Window


@dataclass(frozen=True)
class Need:
    """What an output needs of one definition.

    Attributes:
        key: of the definition.
        reach_us, width_us: of the window; None reaches back for ever.
        cap: how many events, values or keys; None for all.
        bounds: whether too small a cap leaves no gap but a wider error bound.
        fields: the columns of a log without which an event has no part in the output.
        component_bytes: how precisely vectors are stored; 0 for what is no vector.
    """

    key: str
    reach_us: int | None = None
    width_us: int = EACH
    cap: int | None = None
    bounds: bool = False
    fields: tuple[str, ...] = ()
    component_bytes: int = 0


def needs_of(plan: Plan) -> dict[str, tuple[Need, ...]]:
    """Return what every output of the plan needs, by the output's name, in the plan's order."""
    outputs = (*plan.scalars, *plan.arrays, *plan.lists, *plan.sequences, *plan.embeddings)
    return {output.name: tuple(_needs(plan, output)) for output in outputs}


def _needs(plan: Plan, output: object) -> Iterator[Need]:
    match output:
        case ScalarOutput(track=track, window=window):
            yield _windowed(plan.tracks[track].key, window)
        case RatioOutput(numerator=numerator, denominator=denominator):
            for part in (numerator, denominator):
                yield from _needs(plan, part)
        case StackedOutput(parts=parts):
            for part in parts:
                yield from _needs(plan, part)
        case ApproxDistinctOutput(track=track, window=window):
            yield _windowed(plan.hlls[track].key, window)
        case ApproxQuantilesOutput(track=track, window=window):
            yield _windowed(plan.klls[track].key, window)
        case EntropyOutput(track=track, window=window) | TableOutput(track=track, window=window):
            keyed = plan.keyed_tracks[track]
            yield _windowed(keyed.key, window, keyed.most_keys, bounds=True)
        case DecayedTableOutput(decay=decay):
            piece = plan.keyed_decays[decay]
            yield Need(piece.key, cap=piece.most_keys, bounds=True)
        case LoggedOutput(log=log, window=window):
            yield _windowed(plan.logs[log].key, window, 1)
        case ListOutput(log=log, window=window, k=k):
            yield _windowed(plan.logs[log].key, window, k)
        case SequenceOutput(log=log, within_us=within_us, last=last):
            yield Need(plan.logs[log].key, within_us, cap=last)
        case LastSeenOutput(track=track, window=window, cap=cap):
            yield _windowed(plan.last_seen[track].key, window, cap)
        case GapOutput(track=track, window=window):
            yield _windowed(plan.gaps[track].key, window)
        case SessionOutput():
            yield _of_sessions(plan, output)
        case ComposedOutput(history=history) | FoldInOutput(history=history) | InterestsOutput(history=history):
            yield _of_history(plan, history)
        case InterestWeightsOutput(of=interests):
            yield _of_history(plan, interests.history)
        case DecayedOutput(decay=decay):
            yield Need(plan.decays[decay].key)
        case ProfileOutput(profile=profile):
            yield Need(plan.profiles[profile].key)
        case EmbeddingOutput(vectors=vectors):
            yield Need(plan.vectors[vectors].key, component_bytes=plan.vectors[vectors].component_bytes)
        case _:
            raise TypeError(f"expected an output of a plan, got {output!r}")


def _windowed(key: str, window: Window, cap: int | None = None, *, bounds: bool = False) -> Need:
    reach_us = None if window.reach_s is None else window.reach_s * SECOND_US
    return Need(key, reach_us, max(window.width_s * SECOND_US, EACH), cap, bounds)


def _of_sessions(plan: Plan, output: SessionOutput) -> Need:
    """Return the need of a session's number; the current session is never older than its gap."""
    track = plan.sessions[output.track]
    need = _windowed(track.key, output.window)
    if output.aggregate.startswith("current") and (need.reach_us is None or track.gap_us <= need.reach_us):
        return Need(track.key, track.gap_us)
    return need


def _of_history(plan: Plan, history: History) -> Need:
    log = plan.logs[history.log]
    read = [history.item, *([] if history.weight is None else [history.weight])]
    return Need(log.key, cap=history.last, fields=tuple(plan.fields[log.fields[column]].name for column in read))
