"""Judging events, and nothing else of a fold: for tests of the rules by which events are let in.

The events go through a real fold, into records that hold nothing but the times they are judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tests.fuzz.envelope import blank_record
from user_state.plan.plan import Plan
from user_state.state.envelope import MARKER, heads_of
from user_state.state.events import I64, Events
from user_state.state.records import PackedRecords
from user_state.state.remembered_ids import NO_IDS


class Times(Protocol):
    """What n users' records say of time."""

    @property
    def clock_us(self) -> I64:
        """(n,) greatest publish time among the applied events; 0 for a user without any."""
        ...

    @property
    def horizon_us(self) -> I64:
        """(n,) event times from which on the remembered ids are complete."""
        ...


@dataclass(frozen=True)
class Judged:
    """The verdict on a batch.

    Attributes:
        outcome: (m,) an `Outcome` an event.
        seen: n users' ids to remember; as they were for users without a new event.
        horizon_us: (n,) the users' horizon from now on, likewise.
        shortened: how many users' horizon the cap on remembered ids has shortened.
        refused: what is wrong with ids, by user.
    """

    outcome: npt.NDArray[np.int8]
    seen: list[bytes]
    horizon_us: I64
    shortened: int
    refused: dict[int, str]


def judged(plan: Plan, times: Times, seen: Sequence[bytes | None], events: Events) -> Judged:
    """Judge m events, in order of arrival, of the n users that `events` has."""
    users = len(seen)
    pairs = zip(times.clock_us.tolist(), times.horizon_us.tolist(), strict=True)
    records = [blank_record(MARKER, plan.layout.fingerprint, *pair) for pair in pairs]
    outcome = np.full(len(events), -1, np.int8)
    core = PackedRecords(plan).native
    made, ids, _, shortened, wrong = core.fold_bundle(
        events, np.arange(users), records, seen, [], [], bytes(4 * users), False, outcome
    )
    heads, _ = heads_of([old if new is None else new for old, new in zip(records, made, strict=True)])
    kept = [(old or NO_IDS) if new is None else new for old, new in zip(seen, ids, strict=True)]
    return Judged(outcome, kept, heads.horizon_us, len(shortened), {user: str(text) for user, _, text in wrong})
