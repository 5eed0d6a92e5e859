"""Judging events by remembered ids as they are stored: compiled where it can be, in numpy where it cannot.

Both ways come to the same outcomes and bytes; `user_state.core.admission` has the rules, and docs/design/native.md says
what is compiled and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.codec.seen import decode_seen, encode_seen
from user_state.core import compiled as native
from user_state.core.admission import Times, admit
from user_state.core.events import I64, Events
from user_state.core.plan import Plan


@dataclass(frozen=True)
class Admitted:
    """The verdict on a batch, as `user_state.core.admission.Admission`, but for the ids.

    Attributes:
        outcome: (m,) an `Outcome` an event.
        seen: n users' ids to remember, as bytes.
        horizon_us: (n,) the users' horizon from now on.
        shortened: how many users' horizon the cap on remembered ids has shortened in this batch.
    """

    outcome: npt.NDArray[np.int8]
    seen: list[bytes]
    horizon_us: I64
    shortened: int


class PackedAdmission:
    """Judges events of one plan.

    Args:
        plan: what the events are folded into.
        compiled: whether to use the compiled code where there is any.
    """

    def __init__(self, plan: Plan, *, compiled: bool = True) -> None:
        self._plan = plan
        self._compiled = None
        if compiled and native.used:
            self._compiled = native.Admission(plan.allowed_lateness_us, plan.max_clock_skew_us, plan.seen_ids_cap)

    def admit(self, times: Times, seen: Sequence[bytes | None], events: Events) -> Admitted:
        """Judge m events, in order of arrival, of n users.

        Args:
            times: what the users' records say of time.
            seen: n users' remembered ids, None being a user without any.
            events: of those users, in their order.

        Raises:
            CodecError: bytes that are no remembered ids.
        """
        if self._compiled is not None:
            judged = self._compiled.admit(times.clock_us, times.horizon_us, seen, events)
            if judged is not None:
                return Admitted(*judged)
        verdict = admit(self._plan, times, decode_seen(seen), events)
        return Admitted(verdict.outcome, encode_seen(verdict.seen, len(seen)), verdict.horizon_us, verdict.shortened)
