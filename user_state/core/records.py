"""Records: the state of n users side by side, and the two functions that make them.

    apply(records, events)   fold a batch of events in
    merge(records, records)  join the records of disjoint sets of events

Both are one operation: events are lifted into records of their own, and records are joined part by part, each part
by a commutative, associative rule of its own (tiles add, logs keep the last K, decayed sums add once brought to one
time). So the outcome is a function of the set of events: any order, any batching, any split gives the same record, up
to the last bits of floating-point sums.

One record is a batch of one. Judging events (late, duplicate) is `admission`'s business; these functions fold what
they are given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from user_state.core.decays import DecayedNumbers
from user_state.core.events import I64, Events
from user_state.core.families import FAMILIES
from user_state.core.histories import LogRows
from user_state.core.hll_tiles import HllTiles
from user_state.core.keyed_decays import KeyedDecays
from user_state.core.keyed_rows import KeyedRows
from user_state.core.kll_tiles import KllTiles
from user_state.core.last_seen import LastSeenRows
from user_state.core.plan import Plan
from user_state.core.pool import StringPool
from user_state.core.profiles import DecayedBins
from user_state.core.sessions import Sessions
from user_state.core.tiles import MAX_USERS, Tiles
from user_state.core.vectors import DecayedSums


@dataclass(frozen=True)
class Records:
    """The state of n users.

    Attributes:
        clock_us: (n,) greatest publish time among the applied events; 0 for a user without any.
        last_event_us: (n,) greatest event time among the applied events; 0 for a user without any.
        horizon_us: (n,) event times from which on the remembered ids are complete, 0 for a user without any; earlier
            events are refused, whatever lateness the spec allows.
        applied: (n,) how many events the user's record is made of.
        tiles, logs, decays, vectors, last_seen, profiles, sessions, hlls, klls, keyed_tiles, keyed_decays: the families
            of state (user_state/core/families.py), as the plan declares them.
        pool: the strings that codes stand for.
    """

    clock_us: I64
    last_event_us: I64
    horizon_us: I64
    applied: I64
    tiles: Tiles
    logs: tuple[LogRows, ...]
    decays: tuple[DecayedNumbers, ...]
    vectors: tuple[DecayedSums, ...]
    last_seen: LastSeenRows
    profiles: tuple[DecayedBins, ...]
    sessions: Sessions
    hlls: HllTiles
    klls: KllTiles
    keyed_tiles: KeyedRows
    keyed_decays: KeyedDecays
    pool: StringPool

    def __len__(self) -> int:
        return len(self.clock_us)

    @classmethod
    def empty(cls, plan: Plan, users: int) -> Records:
        """Return the records of so many users who did nothing yet.

        Raises:
            ValueError: more users than one batch can hold.
        """
        if users > MAX_USERS:
            raise ValueError(f"expected at most {MAX_USERS} users a batch, got {users}")
        none = np.zeros(users, np.int64)
        return cls(
            clock_us=none,
            last_event_us=none,
            horizon_us=none,
            applied=none,
            pool=StringPool(),
            **{family.name: family.empty(plan, users) for family in FAMILIES},
        )


def apply(plan: Plan, records: Records, events: Events) -> Records:
    """Return the records of the n users of `events` with the events folded in; `records` stay as they were.

    `records` are those of `events.users`, in their order.
    """
    return merge(plan, records, lift(plan, events))


def lift(plan: Plan, events: Events) -> Records:
    """Return the records that hold these events and nothing else."""
    empty = Records.empty(plan, len(events.users))
    if len(events) == 0:
        return empty
    matched = events.matches(plan)
    clock_us, last_event_us = np.zeros_like(empty.clock_us), np.zeros_like(empty.clock_us)
    np.maximum.at(clock_us, events.user, events.published_us)
    np.maximum.at(last_event_us, events.user, events.time_us)
    return Records(
        clock_us=clock_us,
        last_event_us=last_event_us,
        horizon_us=empty.horizon_us,
        applied=np.bincount(events.user, minlength=len(empty)).astype(np.int64),
        pool=events.pool,
        **{family.name: family.lift(plan, events, matched) for family in FAMILIES},
    )


def merge(plan: Plan, a: Records, b: Records) -> Records:
    """Return the joined records of the same n users in the same order, made of disjoint sets of events.

    Nothing is mutated but `a`'s pool, which may grow.

    Raises:
        ValueError: the two hold different numbers of users.
    """
    if len(a) != len(b):
        raise ValueError(f"expected records of the same users, got {len(a)} and {len(b)} users")
    clock_us = np.maximum(a.clock_us, b.clock_us)
    pool, a_becomes = a.pool.made_distinct()
    b_becomes = pool.take_in(b.pool)
    joined = {}
    for family in FAMILIES:
        of_a, of_b = getattr(a, family.name), family.recode(plan, getattr(b, family.name), b_becomes)
        if a_becomes is not None:
            of_a = family.recode(plan, of_a, a_becomes)
        joined[family.name] = family.join(plan, of_a, of_b, clock_us)
    return Records(
        clock_us=clock_us,
        last_event_us=np.maximum(a.last_event_us, b.last_event_us),
        horizon_us=np.maximum(a.horizon_us, b.horizon_us),
        applied=a.applied + b.applied,
        pool=pool,
        **joined,
    )
