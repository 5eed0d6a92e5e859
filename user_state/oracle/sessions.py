"""Sessions by brute force: walk the events in order of time, and begin a session wherever the pause is too long."""

from __future__ import annotations

import math
from collections.abc import Callable

from user_state.oracle.events import AppliedEvent
from user_state.oracle.question import Aggregate, Question, of_events

Session = list[AppliedEvent]


def _sessions(asked: Question) -> list[Session]:
    """Return the sessions whose last event lies in the window, whole, oldest first."""
    assert asked.feature.gap is not None  # noqa: S101  # the model demands it
    found: list[Session] = []
    for event in asked.matching:
        if found and event.time_us <= found[-1][-1].time_us + asked.feature.gap:
            found[-1].append(event)
        else:
            found.append([event])
    start_us = asked.start_us
    return [session for session in found if start_us is None or session[-1].time_us >= start_us]


def _seconds(session: Session) -> float:
    return (session[-1].time_us - session[0].time_us) / 1e6


def _events(session: Session) -> float:
    return float(len(session))


def _count(asked: Question) -> float:
    return float(len(_sessions(asked))) or asked.or_default(0.0)


def _mean(measure: Callable[[Session], float]) -> Aggregate:
    def answer(asked: Question) -> float:
        measured = [measure(session) for session in _sessions(asked)]
        return math.fsum(measured) / len(measured) if measured else asked.or_default(math.nan)

    return Aggregate(answer, of_events)


def _current(measure: Callable[[Session], float]) -> Aggregate:
    def answer(asked: Question) -> float:
        assert asked.feature.gap is not None  # noqa: S101
        for session in reversed(_sessions(asked)):
            if asked.at_us - session[-1].time_us <= asked.feature.gap:
                return measure(session)
        return asked.or_default(0.0)

    return Aggregate(answer, of_events)


SESSIONS = {
    "session_count": Aggregate(_count, of_events),
    "session_length_mean": _mean(_seconds),
    "session_events_mean": _mean(_events),
    "current_session_length": _current(_seconds),
    "current_session_events": _current(_events),
}
