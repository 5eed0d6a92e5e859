"""Which events a plan takes, and which pass one of its filters: the compiled core's answers.

What no piece of state takes need not travel any further. The families say what they take (`native/families/takes.hpp`).
"""

from __future__ import annotations

from user_state import native
from user_state.plan.plan import Plan
from user_state.state.event_batch import EventBatch
from user_state.state.events import Bool, Events

_PREPARED = "relevance"


def relevant(plan: Plan, events: Events | EventBatch) -> Bool:
    """Return (m,) whether any output of the plan is made of the event."""
    return _of(plan).relevant(events)


def matches(plan: Plan, events: Events, accepting: int) -> Bool:
    """Return (m,) whether the event passes the filter `accepting` of `plan.filters`.

    Raises:
        IndexError: there is no such filter.
    """
    return _of(plan).matches(events, accepting)


def _of(plan: Plan) -> native.Relevance:
    """Return what the core made of the plan, once."""
    made = plan.prepared.get(_PREPARED)
    if made is None:
        made = plan.prepared[_PREPARED] = native.Relevance(plan)
    assert isinstance(made, native.Relevance)  # noqa: S101  # nothing else has this name
    return made
