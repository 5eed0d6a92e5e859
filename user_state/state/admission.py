"""Judging events by remembered ids as they are stored: which are folded, and which are late, early or duplicates.

`user_state.state.outcome` says what the rules are, `user_state.state.remembered_ids` what the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from user_state import native
from user_state.plan.plan import Plan
from user_state.state.events import I64, Events
from user_state.state.outcome import Times


@dataclass(frozen=True)
class Admitted:
    """The verdict on a batch.

    Attributes:
        outcome: (m,) an `Outcome` an event.
        seen: n users' ids to remember, as bytes.
        horizon_us: (n,) the users' horizon from now on.
        shortened: how many users' horizon the cap on remembered ids has shortened in this batch.
        refused: what is wrong with ids that make no sense, by user. They are taken for none.
    """

    outcome: npt.NDArray[np.int8]
    seen: list[bytes]
    horizon_us: I64
    shortened: int
    refused: dict[int, str] = field(default_factory=dict)


class PackedAdmission:
    """Judges events of one plan. Threads may share it.

    Args:
        plan: what the events are folded into.
    """

    def __init__(self, plan: Plan) -> None:
        self._native = native.Admission(plan.allowed_lateness_us, plan.max_clock_skew_us, plan.seen_ids_cap)

    def admit(self, times: Times, seen: Sequence[bytes | None], events: Events) -> Admitted:
        """Judge m events, in order of arrival, of n users.

        Args:
            times: what the users' records say of time.
            seen: n users' remembered ids, None being a user without any.
            events: of those users, in their order.
        """
        outcome, kept, horizon_us, shortened, wrong = self._native.admit(times.clock_us, times.horizon_us, seen, events)
        refused = {}
        for user, what in wrong:
            ids = seen[user] or b""
            refused[user] = f"invalid remembered ids: {what} ({len(ids)} bytes beginning {ids[:1].hex()!r})"
        return Admitted(outcome, kept, horizon_us, shortened, refused)
