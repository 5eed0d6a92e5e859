"""Events of a shard -> each user's record and remembered ids, made from nothing in order of arrival.

One call of the core judges and folds all events of a user, unless these are more than EVENTS_AT_ONCE: then so many at a
time, as a stream would. A record that would outgrow `max_record` by a step refuses that step alone, down to
LEAST_REFUSED events, and takes what comes later.

A user is forgotten `retention` after the last event, ids and clock included, where a later event arrives after that:
the record begins anew, as in Redis. No clock here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.events.arrow_events import hashes_of_users
from user_state.history.arrival import order_of_arrival, stable_order
from user_state.history.shards import Shards
from user_state.history.time_parts import TimeParts
from user_state.plan.plan import Plan
from user_state.state.events import I64, Events, ListColumn
from user_state.state.outcome import Outcome
from user_state.state.records import OVERFLOWING, PackedRecords

EVENTS_AT_ONCE = 100_000
"""Of one user, folded in one step."""
CALL_EVENTS = 50_000
"""About so many events of all users are handed to the core at once, unless one user has more."""
LEAST_REFUSED = 256
"""So many events of a user are refused together, or fewer, if the record would get too large by them."""
_NAMES = {
    Outcome.APPLIED: "applied",
    Outcome.DUPLICATE: "duplicate",
    Outcome.TOO_LATE: "too_late",
    Outcome.FROM_FUTURE: "from_future",
    Outcome.OVERSIZED: "oversized",
    Outcome.FORGOTTEN: "expired",
}


@dataclass
class Made:
    """Records of n users.

    Attributes:
        users: their ids.
        records, seen: their bytes, and the ids that are remembered beside them.
        last_event_us: (n,) of each, microseconds UTC.
        counts: what became of their events, and of those of users who have no record.
        shortened: how many users' horizon the cap on remembered ids has moved.
    """

    users: list[str]
    records: list[bytes]
    seen: list[bytes]
    last_event_us: I64
    counts: Counter[str] = field(default_factory=Counter)
    shortened: int = 0


@dataclass
class _Held:
    """What has been made of a user so far; nothing yet."""

    record: bytes | None = None
    seen: bytes | None = None
    last_event_us: int = 0
    is_shortened: bool = False


class ShardFold:
    """Folds shards of one plan. Keeps nothing between calls; threads may share it.

    Args:
        plan: what records hold.
        token: of the backfill: the second half of the versions of its records follows from it and the user, so that
            whoever goes on with the backfill recognises them, and nobody else makes the same.
    """

    def __init__(self, plan: Plan, token: int) -> None:
        self._plan = plan
        self._token = np.uint64(token)
        self._native = PackedRecords(plan).native

    @property
    def kinds(self) -> str:
        """The plan's: what events have."""
        return self._plan.kinds

    def fold(self, events: Events) -> Iterator[Made]:
        """Yield the records of all users of some events, in any order, some users at a time."""
        for part in by_users(in_order(events, self._plan.kinds)):
            yield self._of_users(part)

    def fold_parts(self, parts: Iterable[Events]) -> Iterator[Made]:
        """Yield the records of all users of several parts, of which each has arrived whole before the next.

        What was made of a user by one part is held in memory until the last.
        """
        held: dict[str, _Held] = {}
        counts: Counter[str] = Counter()
        for part in parts:
            for some in by_users(in_order(part, self._plan.kinds)):
                self._go_on(some, held, counts)
        for begin in range(0, len(held), 1000):
            yield _made(dict(list(held.items())[begin : begin + 1000]), Counter())
        yield _made({}, counts)

    def _of_users(self, events: Events) -> Made:
        most = int(np.bincount(events.user).max())
        if most <= EVENTS_AT_ONCE:
            outcome = np.full(len(events), -1, np.int8)
            records, seen, last_event_us, shortened, wrong = self._call(events, None, outcome)
            if not wrong and None not in records:
                return Made(events.users, records, seen, last_event_us, _counted(outcome), len(shortened))
        held: dict[str, _Held] = {}
        counts: Counter[str] = Counter()
        self._go_on(events, held, counts)
        return _made(held, counts)

    def _go_on(self, events: Events, held: dict[str, _Held], counts: Counter[str]) -> None:
        """Fold events of users, sorted by user, into what is held of them."""
        ends = np.cumsum(np.bincount(events.user, minlength=len(events.users)))
        if int(np.diff(ends, prepend=0).max(initial=0)) <= EVENTS_AT_ONCE:
            outcome = np.full(len(events), -1, np.int8)
            before = [held.get(user, _Held()) for user in events.users]
            made = self._call(events, before, outcome)
            too_large = self._keep(events.users, made, held)
            is_left = np.isin(events.user, too_large)
            counts.update(_counted(outcome[~is_left]))
        else:
            too_large = list(range(len(events.users)))
        for user in too_large:
            begin, end = int(ends[user - 1]) if user else 0, int(ends[user])
            for at in range(begin, end, EVENTS_AT_ONCE):
                self._one(_slice(events, at, min(at + EVENTS_AT_ONCE, end), user), held, counts)

    def _one(self, events: Events, held: dict[str, _Held], counts: Counter[str]) -> None:
        """Fold events of one user, in halves where they are too many for the record."""
        outcome = np.full(len(events), -1, np.int8)
        made = self._call(events, [held.get(events.users[0], _Held())], outcome)
        if self._keep(events.users, made, held) and len(events) > LEAST_REFUSED:
            middle = len(events) // 2
            self._one(_slice(events, 0, middle, 0), held, counts)
            self._one(_slice(events, middle, len(events), 0), held, counts)
        else:
            counts.update(_counted(outcome))

    def _keep(self, users: list[str], made: tuple[Any, ...], held: dict[str, _Held]) -> list[int]:
        """Note what was made; return the users whose record would be too large."""
        records, seen, last_event_us, shortened, wrong = made
        for at, record in enumerate(records):
            if record is not None:
                one = held.setdefault(users[at], _Held())
                one.record, one.seen, one.last_event_us = record, seen[at], int(last_event_us[at])
        for at in shortened:
            held.setdefault(users[at], _Held()).is_shortened = True
        return [at for at, kind, _ in wrong if kind == OVERFLOWING]

    def _call(self, events: Events, held: list[_Held] | None, outcome: npt.NDArray[np.int8]) -> tuple[Any, ...]:
        number = len(events.users)
        chance = hashes_of_users(events.users) ^ self._token
        records = [None] * number if held is None else [one.record for one in held]
        seen = [None] * number if held is None else [one.seen for one in held]
        return self._native.fold_bundle(
            events,
            np.arange(number, dtype=np.int64),
            records,
            seen,
            [],
            [],
            (chance >> np.uint64(32)).astype(">u4").tobytes(),
            False,  # versions count writes, as the pipeline's do
            outcome,
            self._plan.retention_us,
        )


def folded_shard(fold: ShardFold, shards: Shards, shard: int, folder: Path, part_bytes: int) -> Iterator[Made]:
    """Yield the records of a shard on disk.

    Args:
        fold: folds it.
        shards: has it.
        shard: its number.
        folder: where parts of it lie meanwhile, if it is larger than `part_bytes`.
        part_bytes: of it on disk that is sorted in memory.
    """
    size = shards.event_bytes(shard)
    if size <= part_bytes:
        return fold.fold(shards.events(shard))
    parts = TimeParts(folder, shard, fold.kinds)
    count = -(-size // part_bytes)
    return fold.fold_parts(parts.split(shards.publish_times_us(shard), count, shards.event_batches(shard)))


def in_order(events: Events, kinds: str) -> Events:
    """Return events sorted by user, those of each in order of arrival; `kinds` are the plan's."""
    order = order_of_arrival(events, kinds)
    return events.take(order[stable_order(events.user[order])])


def by_users(events: Events) -> Iterator[Events]:
    """Yield the events of some users at a time, of events sorted by user; users without any are left out."""
    present, events = events.of_their_users()
    ends = np.cumsum(np.bincount(events.user, minlength=len(present)))
    first = begin = 0
    while first < len(present):
        last = max(int(np.searchsorted(ends, begin + CALL_EVENTS, side="right")), first + 1)
        end = int(ends[last - 1])
        some = _rows(events, begin, end)
        yield replace(some, users=events.users[first:last], user=some.user - first)
        first, begin = last, end


def _slice(events: Events, begin: int, end: int, user: int) -> Events:
    """Return rows of events that are all of one user, who is the only one then."""
    return replace(_rows(events, begin, end), users=[events.users[user]], user=np.zeros(end - begin, np.int64))


def _rows(events: Events, begin: int, end: int) -> Events:
    rows = slice(begin, end)
    columns = tuple(
        column.rows(begin, end) if isinstance(column, ListColumn) else column[rows] for column in events.columns
    )
    return replace(
        events,
        user=events.user[rows],
        id_hash=events.id_hash[rows],
        time_us=events.time_us[rows],
        published_us=events.published_us[rows],
        columns=columns,
    )


def _counted(outcome: npt.NDArray[np.int8]) -> Counter[str]:
    number = np.bincount(outcome, minlength=len(Outcome))
    return Counter({name: int(number[which]) for which, name in _NAMES.items() if number[which]})


def _made(held: dict[str, _Held], counts: Counter[str]) -> Made:
    written = {user: one for user, one in held.items() if one.record is not None and one.seen is not None}
    return Made(
        list(written),
        [one.record for one in written.values() if one.record is not None],
        [one.seen for one in written.values() if one.seen is not None],
        np.array([one.last_event_us for one in written.values()], np.int64),
        counts,
        sum(one.is_shortened for one in held.values()),
    )
