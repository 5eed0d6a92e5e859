"""Profiles: which hours of the day, or days of the week, a user is active in, decayed (forward decay, as decays.py).

    S_b = sum over the events of bin b of 2^-((T - t_i)/H), as seen at a reference time T, the newest matching event's

A profile is S_b / sum of all S_b. Reading it later multiplies every S_b by the same factor, so the reading time cancels
and only joins need T. The bin is that of the event's local time, fixed when it is folded. See `vectors.py` for why
late events, batches and merges are exact, and for the source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.local_time import LocalTime
from user_state.core.pieces import Profile
from user_state.core.plan import Plan

BINS = {"hour_of_day": 24, "day_of_week": 7}


@dataclass(frozen=True)
class DecayedBins:
    """The profile of n users.

    Attributes:
        time_us: (n,) reference time T; 0 where there is nothing.
        sums: (n, half-lives, bins) S.
    """

    time_us: I64
    sums: F64

    @classmethod
    def empty(cls, users: int, half_lives: int, bins: int) -> DecayedBins:
        """Return sums of nothing for so many users."""
        return cls(np.zeros(users, np.int64), np.zeros((users, half_lives, bins)))


def _bins_of(local_time: LocalTime, aggregate: str, second: I64) -> I64:
    return local_time.hours(second) if aggregate == "hour_of_day" else local_time.weekdays(second)


def lift_profiles(plan: Plan, events: Events, matched: list[Bool]) -> tuple[DecayedBins, ...]:
    """Return for each of `plan.profiles` the decayed bins of a batch of events alone."""
    return tuple(_lift(plan, profile, events, matched[profile.filter]) for profile in plan.profiles)


def _lift(plan: Plan, profile: Profile, events: Events, wanted: Bool) -> DecayedBins:
    users, bins = len(events.users), profile.bins
    lifted = DecayedBins.empty(users, len(profile.half_lives_us), bins)
    user, time_us = events.user[wanted], events.time_us[wanted]
    np.maximum.at(lifted.time_us, user, time_us)
    age_us = lifted.time_us[user] - time_us
    cell = user * bins + _bins_of(plan.local_time, profile.aggregate, time_us // 1_000_000)
    for position, half_life_us in enumerate(profile.half_lives_us):
        share = np.exp2(-age_us / half_life_us)
        lifted.sums[:, position] = np.bincount(cell, share, users * bins).reshape(users, bins)
    return lifted


def join_profiles(
    plan: Plan, a: tuple[DecayedBins, ...], b: tuple[DecayedBins, ...], _clock_us: I64
) -> tuple[DecayedBins, ...]:
    """Return for each of `plan.profiles` the decayed bins of both, user by user."""
    return tuple(_join(profile, of_a, of_b) for profile, of_a, of_b in zip(plan.profiles, a, b, strict=True))


def _join(profile: Profile, a: DecayedBins, b: DecayedBins) -> DecayedBins:
    time_us = np.maximum(a.time_us, b.time_us)
    half_lives = np.array(profile.half_lives_us, np.float64)
    keep_a, keep_b = (np.exp2(-((time_us - part.time_us)[:, None] / half_lives)) for part in (a, b))
    return DecayedBins(time_us, keep_a[:, :, None] * a.sums + keep_b[:, :, None] * b.sums)


def read_profile(part: DecayedBins, position: int) -> F64:
    """Return (n, bins) one half-life's profile, each summing to 1; zeros for users without any matching event."""
    sums = part.sums[:, position]
    total = sums.sum(axis=1, keepdims=True)
    shares: F64 = np.divide(sums, total, out=np.zeros(sums.shape), where=total > 0)
    return shares
