"""Pairs of a user's events -> derived events of items: who acts on i and j within minutes says they belong together.

Events e and f of one user, of items i != j, at times t_e <= t_f, at most `reach` places apart in the user's order
(event time, tie) when the second of them arrives, are a pair. It gives two derived events, one for each item:

    item i: partner j, weight w     item j: partner i, weight w     w = 2^-((t_f - t_e) / H)
    time    t_f, for both
    id      a hash of (user, t_e, tie_e, t_f, tie_f, which of the two)
    part    of the item's records, by the hash of the user (user_state/embeddings/spread.py)

A pair whose w is below 2^-20 counts for nothing, and is none. Weight, time, id and part depend on the two events alone,
so a pair that is derived again, after a crash or a redelivery, is the same derived event in the same record, and is
folded once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

from user_state.embeddings.spread import part_name, parts_of_users
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import LearnedItems
from user_state.state.events import F64, I64, U64, Bool, Events
from user_state.state.log_rows import TIE_SHIFT, Histories
from user_state.state.relevant import matches
from user_state.state.string_dictionary import StringPool

LEAST_HALVINGS = 20
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


@dataclass(frozen=True)
class _Line:
    """Events of users, old and new, sorted by (user, time, tie): m rows.

    Attributes:
        user: (m,) index.
        time_us, tie: (m,) what they are ordered by.
        item: (m,) code into the pool.
        new: (m,) whether it arrives now.
    """

    user: I64
    time_us: I64
    tie: I64
    item: I64
    new: Bool


def derive_pairs(plan: Plan, learned: LearnedItems, histories: Histories, events: Events) -> Events:
    """Return the derived events of the pairs that arise as `events` arrive.

    Args:
        plan: of the users' records.
        learned: what is learned.
        histories: of `events.users`, of its log at least, before the events are folded in.
        events: that will be folded.

    Returns:
        Events of the plan `item_plan`: their users are parts of items, their fields the partner and the weight.
    """
    pool = StringPool()
    line = _line(plan, learned, histories, events, pool)
    user_hash = np.array([xxhash.xxh64_intdigest(user.encode()) for user in events.users], np.uint64)[line.user]
    part = parts_of_users(user_hash, learned.spread)
    hashes = _event_hashes(user_hash, line)
    found: list[tuple[I64, I64, I64, I64, F64, U64]] = []
    for places in range(1, min(learned.reach, len(line.user) - 1) + 1):
        left, right = slice(None, -places), slice(places, None)
        apart_us = line.time_us[right] - line.time_us[left]
        paired = (line.user[left] == line.user[right]) & (line.new[left] | line.new[right])
        paired &= (line.item[left] != line.item[right]) & (apart_us <= LEAST_HALVINGS * learned.half_life_us)
        at = np.flatnonzero(paired)
        if len(at) == 0:
            continue
        a, b = at, at + places
        weight = np.exp2(-apart_us[at] / learned.half_life_us)
        for item, partner, own, other in ((a, b, hashes[a], hashes[b]), (b, a, hashes[b], hashes[a])):
            columns = line.item[item], part[item], line.item[partner], line.time_us[b], weight, _pair_hash(own, other)
            found.append(columns)
    return _events(found, learned.spread, pool)


def _line(plan: Plan, learned: LearnedItems, histories: Histories, events: Events, pool: StringPool) -> _Line:
    """Return the log's rows and the new events that belong there, in order."""
    log = plan.logs[learned.log]
    rows = histories.logs[learned.log]
    wanted = np.flatnonzero(matches(plan, events, log.filter) & events.has(plan, learned.of))
    old_codes, new_codes = pool.take_in(histories.pool), pool.take_in(events.pool)
    user = np.concatenate((rows.user, events.user[wanted]))
    time_us = np.concatenate((rows.time_us, events.time_us[wanted]))
    tie = np.concatenate((rows.tie, (events.id_hash[wanted] >> TIE_SHIFT).astype(np.int64)))
    item = np.concatenate((old_codes[rows.columns[learned.column]], new_codes[events.columns[learned.of][wanted]]))
    new = np.concatenate((np.zeros(len(rows.user), np.bool_), np.ones(len(wanted), np.bool_)))
    # An item's text breaks no ties: two events of one user, microsecond and tie are as good as never there.
    order = np.lexsort((tie, time_us, user))
    return _Line(user[order], time_us[order], tie[order], item[order], new[order])


def _event_hashes(user_hash: U64, line: _Line) -> U64:
    """Return (m,) a hash of each event's user, time and tie."""
    return _mix(_mix(user_hash ^ line.time_us.astype(np.uint64) * _ODD[0]) ^ line.tie.astype(np.uint64) * _ODD[1])


def _pair_hash(own: U64, other: U64) -> U64:
    """Return ids of derived events: different for the two items of a pair, the same whenever it is derived."""
    return _mix(_mix(own) + other * _ODD[2])


def _mix(words: U64) -> U64:
    """Return the words mixed by the finalizer of splitmix64, a bijection."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: U64 = words ^ (words >> np.uint64(31))
    return mixed


def _events(found: list[tuple[I64, I64, I64, I64, F64, U64]], spread: int, pool: StringPool) -> Events:
    if found:
        item, part, partner, time_us, weight, id_hash = (np.concatenate(column) for column in zip(*found, strict=True))
    else:
        none = np.zeros(0, np.int64)
        item, part, partner, time_us, weight, id_hash = none, none, none, none, np.zeros(0), np.zeros(0, np.uint64)
    present, user = np.unique(item * spread + part, return_inverse=True)
    columns: tuple[npt.NDArray[np.int64] | npt.NDArray[np.float64], ...] = (partner, weight)
    return Events(
        users=[part_name(pool[code // spread], code % spread) for code in present.tolist()],
        user=user.astype(np.int64),
        id_hash=id_hash,
        time_us=time_us,
        published_us=time_us,
        columns=columns,
        pool=pool,
    )
