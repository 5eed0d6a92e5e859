"""Which events are folded: lateness, the future, duplicates, and the ids that are remembered to tell.

Ids are remembered, with the second of their event, for as long as their event would not be refused as too late; so
an event is folded once whatever is redelivered, and one whose id may have been forgotten is never folded. The record
holds the time from which on its ids are complete, its horizon: the clock less the lateness, or later where the cap
forgot more. So a longer lateness admits nothing that a shorter one forgot. The rules and their order stand in
docs/design/layers.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from user_state.core.events import I64, U64, Bool, Events
from user_state.core.plan import Plan

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that multiplying by it is a bijection: mixes the user into an id's hash."""


class Outcome(IntEnum):
    """What became of an event."""

    APPLIED = 0
    DUPLICATE = 1
    TOO_LATE = 2
    FROM_FUTURE = 3
    BAD_RECORD = 4
    OVERSIZED = 5
    CONTENDED = 6


class Times(Protocol):
    """What n users' records say of time: `Records`, or what else has their fields of these names."""

    @property
    def clock_us(self) -> I64:
        """(n,) greatest publish time among the applied events; 0 for a user without any."""
        ...

    @property
    def horizon_us(self) -> I64:
        """(n,) event times from which on the remembered ids are complete; earlier events are refused."""
        ...


@dataclass(frozen=True)
class Seen:
    """The remembered event ids of n users.

    Attributes:
        user: (m,) index of the user, ascending.
        id_hash: (m,) xxh64 of the event id.
        second: (m,) event time in whole seconds.
    """

    user: I64
    id_hash: U64
    second: I64

    @classmethod
    def empty(cls) -> Seen:
        """Return no ids."""
        none = np.empty(0, np.int64)
        return cls(none, np.empty(0, np.uint64), none)


@dataclass(frozen=True)
class Admission:
    """The verdict on a batch.

    Attributes:
        outcome: (m,) an `Outcome` an event.
        seen: what to remember from now on.
        horizon_us: (n,) the users' `Records.horizon_us` from now on.
        shortened: how many users' horizon the cap on remembered ids has shortened in this batch.
    """

    outcome: npt.NDArray[np.int8]
    seen: Seen
    horizon_us: I64
    shortened: int


def admit(plan: Plan, records: Times, seen: Seen, events: Events) -> Admission:
    """Judge m events, in order of arrival, of the n users whose records and remembered ids these are."""
    outcome = np.full(len(events), Outcome.APPLIED, np.int8)
    outcome[events.time_us < events.published_us - plan.allowed_lateness_us] = Outcome.TOO_LATE
    outcome[events.time_us > events.published_us + plan.max_clock_skew_us] = Outcome.FROM_FUTURE
    candidates = np.flatnonzero(outcome == Outcome.APPLIED)
    # By user, and within a user by arrival.
    candidates = candidates[np.argsort(events.user[candidates], kind="stable")]
    while True:
        user = events.user[candidates]
        fresh = _is_first_of_its_id(seen, events, candidates)
        # An event that is too late by the user's clock was published before that clock, so it cannot move it: the
        # greatest publish time so far can be taken over all fresh events, too late or not.
        moving = fresh & (events.time_us[candidates] >= records.horizon_us[user])
        clock_us = _running_clock(records.clock_us, user, np.where(moving, events.published_us[candidates], 0))
        late = events.time_us[candidates] < np.maximum(clock_us - plan.allowed_lateness_us, records.horizon_us[user])
        verdict = np.where(fresh, Outcome.APPLIED, Outcome.DUPLICATE)
        outcome[candidates] = np.where(late, Outcome.TOO_LATE, verdict)
        # What is refused leaves its id free: should that come again in time, judge once more without the refused.
        refused = fresh & late
        if not _come_again(events, candidates[refused], candidates[~fresh & ~late]):
            break
        candidates = candidates[~refused]

    final_clock_us = records.clock_us.copy()
    np.maximum.at(final_clock_us, user, clock_us)
    horizon_us = np.maximum(final_clock_us - plan.allowed_lateness_us, records.horizon_us)
    applied = np.flatnonzero(outcome == Outcome.APPLIED)
    user = np.concatenate((seen.user, events.user[applied]))  # ids to remember, whoever's
    id_hash = np.concatenate((seen.id_hash, events.id_hash[applied]))
    second = np.concatenate((seen.second, events.time_us[applied] // 1_000_000))
    remembered = second >= (horizon_us // 1_000_000)[user]
    order = np.argsort(user[remembered], kind="stable")
    kept = Seen(user[remembered][order], id_hash[remembered][order], second[remembered][order])
    kept, cap_horizon_us = _within_cap(kept, len(records.clock_us), plan.seen_ids_cap)
    return Admission(
        outcome=outcome,
        seen=kept,
        # Stored, so that a spec with a longer lateness never admits what a shorter one has forgotten.
        horizon_us=np.maximum(np.maximum(horizon_us, cap_horizon_us), 0),
        shortened=int(np.count_nonzero(cap_horizon_us)),
    )


def _is_first_of_its_id(seen: Seen, events: Events, candidates: I64) -> Bool:
    """Return for each candidate whether its id is neither remembered nor that of an earlier candidate."""
    keys = np.concatenate((_mix(seen.user, seen.id_hash), _mix(events.user[candidates], events.id_hash[candidates])))
    # Stable, so that within one id the remembered ones lead and the others keep their order of arrival.
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.empty(len(keys), np.bool_)
    first[order] = np.concatenate(([True], ordered[1:] != ordered[:-1]))[: len(keys)]
    return first[len(seen.user) :]


def _come_again(events: Events, refused: I64, later: I64) -> bool:
    """Return whether an id of `refused` events is also that of one of the `later` ones, of the same user."""
    if len(refused) == 0 or len(later) == 0:
        return False
    a, b = (_mix(events.user[rows], events.id_hash[rows]) for rows in (refused, later))
    # numpy's `isin` may go by a table whose hash is public, and senders choose what ids hash to; sorting is never slow.
    ordered = np.sort(a)
    at = np.searchsorted(ordered, b)
    return bool((ordered[np.minimum(at, len(ordered) - 1)] == b).any())


def _running_clock(clock_us: I64, user: I64, published_us: I64) -> I64:
    """Return (m,) each user's clock after each event, for events grouped by ascending user; `clock_us` (n,) before."""
    times_us, rank = np.unique(np.concatenate((clock_us, published_us)), return_inverse=True)
    before, of_event = rank[: len(clock_us)], rank[len(clock_us) :]
    # Ranks are small enough to put the user above them, so that one running maximum serves all users.
    reached = np.maximum(before[user], of_event) + user * len(times_us)
    return np.asarray(times_us[np.maximum.accumulate(reached) % len(times_us)], np.int64)


def _mix(user: I64, id_hash: U64) -> U64:
    return np.asarray(id_hash ^ ((user.astype(np.uint64) + np.uint64(1)) * _SPREAD), np.uint64)


def _within_cap(seen: Seen, users: int, cap: int) -> tuple[Seen, I64]:
    """Forget the oldest ids of users who have more than `cap`, whole seconds at a time.

    Returns what is left, and (users,) the time in microseconds before which nothing may be folded any more: 0 for
    those who have not reached the cap.
    """
    horizon_us = np.zeros(users, np.int64)
    held = np.bincount(seen.user, minlength=users)
    for user in np.flatnonzero(held > cap):
        second = seen.second[seen.user == user]
        newest_forgotten = np.partition(second, len(second) - cap - 1)[len(second) - cap - 1]
        horizon_us[user] = (newest_forgotten + 1) * 1_000_000
    if not horizon_us.any():
        return seen, horizon_us
    kept = seen.second * 1_000_000 >= horizon_us[seen.user]
    return Seen(seen.user[kept], seen.id_hash[kept], seen.second[kept]), horizon_us
