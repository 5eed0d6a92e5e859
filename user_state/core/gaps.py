"""Longest gaps as the numpy families carry them along: as bytes, since compiled code alone folds and reads them.

What they are and what they hold: native/families/gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

from user_state.core.events import I64, Bool, Events
from user_state.core.plan import Plan

REFUSED = "expected the compiled code to fold and read longest gaps: nothing else can"


@dataclass(frozen=True)
class PackedGaps:
    """The sections of n users; those that hold nothing are empty."""

    sections: tuple[bytes, ...]


def lift_gaps(plan: Plan, events: Events, _matched: list[Bool]) -> PackedGaps:
    """Return nothing, of a plan without gaps."""
    if plan.gaps:
        raise NotImplementedError(REFUSED)
    return PackedGaps((b"",) * len(events.users))


def join_gaps(plan: Plan, a: PackedGaps, _b: PackedGaps, _clock_us: I64) -> PackedGaps:
    """Return nothing, of a plan without gaps."""
    if plan.gaps:
        raise NotImplementedError(REFUSED)
    return a
