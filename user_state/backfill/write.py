"""Records of a backfill -> Redis, each written once, into a generation that nobody else writes.

A record is written where there is none. Where there is one, it is either the same, from an attempt that was killed or
whose answer was lost, as its version says; or somebody else writes the generation, which ends the backfill: records of
two writers who do not read each other's are right for neither.

Records that have expired by the wall clock are not written, and counted with their users.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from user_state.backfill.fold import Made
from user_state.errors import InputError, StoreUnavailable
from user_state.plan.plan import Plan
from user_state.printable import printable
from user_state.state.envelope import heads_of, version_of
from user_state.store.registry import Writer
from user_state.store.store import Answer, Refused, Replacement, StateStore

RECORDS_AT_ONCE = 1000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
GIVE_UP_S = 600.0
"""How long Redis may be unavailable."""
TRIES = 5

T = TypeVar("T")


class GenerationWriter:
    """Writes records of one plan into one store; for one thread.

    Args:
        plan: what the records hold.
        store: of the generation.
        epoch: of the spec, microseconds UTC.
        name: of the generation, for messages.
        now_us: the wall clock.
        waits: told why, once each time that Redis has to be waited for.
    """

    def __init__(
        self,
        plan: Plan,
        store: StateStore,
        epoch: int,
        name: str,
        *,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        waits: Callable[[str], object] = bool,
    ) -> None:
        self._plan = plan
        self._store = store
        self._writer = Writer(plan.layout, plan.definition, epoch)
        self._name = name
        self._now_us = now_us
        self._waits = waits
        self._claimed = False

    def write(self, made: Made) -> Counter[str]:
        """Write records; return what became of their events, and beside them

            users, users_expired          who has a record, and who would have had one
            there_already                 records that an earlier attempt has written
            bytes_written, redis_went_back, horizon_shortened

        Raises:
            InputError: somebody else writes the generation.
            SpecSuperseded: a newer spec does.
            StoreUnavailable: the store was away for too long.
            StoreError: it refuses, for good.
        """
        counts = Counter(made.counts)
        counts["horizon_shortened"] += made.shortened
        expiry_ms = (made.last_event_us + self._plan.retention_us) // 1000
        kept = np.flatnonzero(made.last_event_us + self._plan.retention_us > self._now_us())
        if len(kept) < len(made.users):
            gone = np.setdiff1d(np.arange(len(made.users)), kept)
            events = int(heads_of([made.records[at] for at in gone.tolist()])[0].applied.sum())
            counts["users_expired"] += len(gone)
            counts["applied"] -= events
            counts["expired"] += events
        replacements = [
            Replacement(made.users[at], b"", made.records[at], made.seen[at], int(expiry_ms[at]))
            for at in kept.tolist()
        ]
        for begin in range(0, len(replacements), RECORDS_AT_ONCE):
            self._put(replacements[begin : begin + RECORDS_AT_ONCE], counts)
        return counts

    def _put(self, todo: list[Replacement], counts: Counter[str]) -> None:
        for _ in range(TRIES):
            conflicts = self._replace(todo, counts)
            if not conflicts:
                return
            # Is what is there our own? It is compared, not read.
            same = [one._replace(expected=version_of(one.record), record=None) for one in conflicts]
            others = self._compared(same)
            counts["users"] += len(conflicts) - len(others)
            counts["there_already"] += len(conflicts) - len(others)
            users = [one.user for one in conflicts if one.user in others]
            held = self.waiting(lambda users=users: self._store.read(users))  # type: ignore[misc]  # bound at once
            foreign = [user for user, stored in zip(users, held, strict=True) if stored.record is not None]
            if foreign:
                raise InputError(
                    f"{len(foreign):,} users, such as {printable(foreign[0])}, have records in {self._name} that this"
                    " backfill did not write: a run writes it already, or another backfill does. Stop it, drop the"
                    f" generation with `user-state generation drop {self._name}`, and begin again"
                )
            # What was there has expired, or Redis has lost it, in between.
            todo = [one for one in conflicts if one.user in others]
            if not todo:
                return
        raise StoreUnavailable(f"{len(todo):,} records of {self._name} come and go while they are written")

    def _replace(self, todo: list[Replacement], counts: Counter[str]) -> list[Replacement]:
        """Write; return those who have a record already."""
        answers, went_back = self.waiting(lambda: self._store.replace(todo))
        counts["redis_went_back"] += went_back
        conflicts = []
        for one, answer in zip(todo, answers, strict=True):
            if isinstance(answer, Refused):
                events = int(heads_of([one.record])[0].applied[0])
                counts["bad_record"] += events
                counts["applied"] -= events
            elif answer == Answer.DONE:
                counts["users"] += 1
                counts["bytes_written"] += len(one.record or b"") + len(one.seen)
            else:
                conflicts.append(one)
        return conflicts

    def _compared(self, same: list[Replacement]) -> set[str]:
        """Return the users whose records have other versions."""
        answers, _ = self.waiting(lambda: self._store.replace(same))
        return {one.user for one, answer in zip(same, answers, strict=True) if answer != Answer.DONE}

    def waiting(self, action: Callable[[], T]) -> T:
        """Return what needs the store to be had, waiting for a while where it is away.

        Raises:
            StoreUnavailable: it stayed away.
        """
        pause_s, began_s = FIRST_PAUSE_S, time.monotonic()
        said = False
        while True:
            try:
                if not self._claimed:
                    self._store.claim(self._writer)
                    self._claimed = True
                return action()
            except StoreUnavailable as exc:
                if time.monotonic() - began_s >= GIVE_UP_S:
                    raise
                if not said:
                    self._waits(f"waiting, nothing is lost: {printable(str(exc))}")
                    said = True
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
