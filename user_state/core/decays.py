"""Decayed counts and sums at several half-lives (forward decay): `vectors.py` with numbers for vectors.

    S = sum over events of x_i 2^-((T - t_i)/H), as seen at a reference time T, the newest matching event's

x_i is 1 for a count and the field's value for a sum. Read at `at` it is S 2^-((at - T)/H). See `vectors.py` for why
late events, batches and merges are exact, and for the source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.pieces import Decay
from user_state.core.plan import Plan


@dataclass(frozen=True)
class DecayedNumbers:
    """The decayed numbers of n users.

    Attributes:
        time_us: (n,) reference time T; 0 where there is nothing.
        sums: (n, half-lives) S.
    """

    time_us: I64
    sums: F64

    @classmethod
    def empty(cls, users: int, half_lives: int) -> DecayedNumbers:
        """Return sums of nothing for so many users."""
        return cls(np.zeros(users, np.int64), np.zeros((users, half_lives)))


def lift_decays(plan: Plan, events: Events, matched: list[Bool]) -> tuple[DecayedNumbers, ...]:
    """Return for each of `plan.decays` the decayed numbers of a batch of events alone."""
    return tuple(_lift(plan, decay, events, matched) for decay in plan.decays)


def _lift(plan: Plan, decay: Decay, events: Events, matched: list[Bool]) -> DecayedNumbers:
    lifted = DecayedNumbers.empty(len(events.users), len(decay.half_lives_us))
    wanted = matched[decay.filter]
    if decay.of is not None:
        wanted = wanted & events.has(plan, decay.of)
    rows = np.flatnonzero(wanted)
    user, time_us = events.user[rows], events.time_us[rows]
    value = np.ones(len(rows)) if decay.of is None else events.columns[decay.of][rows].astype(np.float64)
    np.maximum.at(lifted.time_us, user, time_us)
    age_us = lifted.time_us[user] - time_us
    for position, half_life_us in enumerate(decay.half_lives_us):
        share = value * np.exp2(-age_us / half_life_us)
        lifted.sums[:, position] = np.bincount(user, share, len(events.users))
    return lifted


def join_decays(
    plan: Plan, a: tuple[DecayedNumbers, ...], b: tuple[DecayedNumbers, ...], _clock_us: I64
) -> tuple[DecayedNumbers, ...]:
    """Return for each of `plan.decays` the decayed numbers of both, user by user."""
    return tuple(_join(decay, of_a, of_b) for decay, of_a, of_b in zip(plan.decays, a, b, strict=True))


def _join(decay: Decay, a: DecayedNumbers, b: DecayedNumbers) -> DecayedNumbers:
    time_us = np.maximum(a.time_us, b.time_us)
    # Overflow to infinity is what IEEE 754 says of sums this large, and no reason to warn.
    with np.errstate(over="ignore", invalid="ignore"):
        sums = _seen_at(decay, a, time_us) + _seen_at(decay, b, time_us)
    return DecayedNumbers(time_us, sums)


def read_decay(decay: Decay, part: DecayedNumbers, position: int, at_us: int, empty: float) -> F64:
    """Return (n,) the numbers of one half-life at `at_us`; `empty` for users without any matching event."""
    age_us = at_us - part.time_us
    with np.errstate(over="ignore", invalid="ignore"):
        value = part.sums[:, position] * np.exp2(-age_us / decay.half_lives_us[position])
    return np.where(part.time_us > 0, value, empty)


def _seen_at(decay: Decay, part: DecayedNumbers, time_us: I64) -> F64:
    half_lives = np.array(decay.half_lives_us, np.float64)
    seen: F64 = part.sums * np.exp2(-((time_us - part.time_us)[:, None] / half_lives))
    return seen
