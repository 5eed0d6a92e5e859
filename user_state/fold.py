"""Folding a batch of events where the records live: read, judge and fold, compare-and-set, and again on conflict.

The core judges and folds all users of a batch in one call (`native/record/bundle_folder.hpp`).

Exactly once on at-least-once plumbing: a record and the ids of the events in it change in one atomic step, so an
event that comes again finds its id. Every verdict rests on what the store holds now: a user who needs no write is
compared with the store all the same, since Redis may have lost what was remembered, or read a moment before.
A conflict (a zombie, a second pipeline, a stale cache, lost data) costs another round.
The versions that are written are unique, so a batch whose answer was lost with the connection recognises its own
write when it reads again, and its events count as applied, not as duplicates.

No Beam here: a pipeline calls `fold_events` and acknowledges when it returns.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from user_state.errors import StoreUnavailable
from user_state.fold_memory import Attempt, FoldMemory
from user_state.fold_report import FoldReport
from user_state.plan.plan import Plan
from user_state.state.envelope import version_of
from user_state.state.event_batch import EventBatch
from user_state.state.events import I64, Bool, EventRow, Events
from user_state.state.histories import HistoryReader
from user_state.state.log_rows import Histories
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords
from user_state.store.contention import MOST_TRIES, Contention
from user_state.store.registry import Writer
from user_state.store.store import Answer, Refused, Replacement, StateStore, Stored

_APPLIED = int(Outcome.APPLIED)
CHANCE_BYTES = 4
"""Of a new version, whose other half counts."""

BeforeWrite = Callable[[Histories, Events], None]
"""Gets the histories of users as they are, of the logs that the plan learns from, and the events that are about to be
folded, of these users in their order."""


class Folder:
    """Folds batches of one plan into one store.

    Args:
        plan: what the records hold.
        store: where they are.
        epoch: of the spec, microseconds UTC; the greater one is the newer (`user_state.store.registry`). None is
            now.
        definition: of the spec, where the plan is of a part of it; None is the plan's.
        cache_bytes: how much of what was last read or written is kept.
        before_write: done before each attempt to write; an attempt that fails is made again, and so is this. What it
            raises, the fold takes as if the store had raised it.
        counts_events: the first half of a new version is the number of events in the record, not of its writes
            (`user_state.store.view`); the second half is chance, so that nobody else makes the same.
        contention: what is done after races lost.
        now_us: the time, microseconds UTC.
    """

    def __init__(
        self,
        plan: Plan,
        store: StateStore,
        *,
        epoch: int | None = None,
        definition: bytes | None = None,
        cache_bytes: int = 64 << 20,
        before_write: BeforeWrite | None = None,
        counts_events: bool = False,
        contention: Contention | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._plan = plan
        self._before_write = before_write
        self._counts_events = counts_events
        self._store = store
        definition = plan.definition if definition is None else definition
        self._writer = Writer(plan.layout, definition, now_us() if epoch is None else epoch)
        self._claimed = False
        self._contention = contention or Contention()
        self._now_us = now_us
        self._memory = FoldMemory(cache_bytes, plan.retention_us)
        self._records = PackedRecords(plan, store)
        logs = [learned.log for learned in plan.learned]
        self._histories = HistoryReader(plan, self._records, logs)

    def start(self) -> None:
        """Claim the records for the plan's spec, unless that was done.

        Raises:
            SpecSuperseded: a newer spec writes them.
            StoreUnavailable, StoreError: as the store.
        """
        if not self._claimed:
            self._store.claim(self._writer)
            self._claimed = True

    def fold(
        self, rows: Sequence[EventRow], on_unavailable: Callable[[StoreUnavailable], None] | None = None
    ) -> FoldReport:
        """Fold rows in; return when every one is either stored or known to need no storing.

        While the store is unavailable `on_unavailable` is called, to wait or to give up by raising; then the fold
        goes on where it was. Without it the error is raised. Rows of users whom others write all the time may be left
        with the outcome CONTENDED: nothing became of them yet.

        Raises:
            SpecSuperseded: a newer spec writes the records; some rows may have been stored before.
            StoreUnavailable: the store is unavailable and there is nobody to wait; some rows may have been stored.
            StoreError: the store refuses, for good.
        """
        return self.fold_events(Events.from_rows(self._plan, rows), on_unavailable)

    def fold_events(
        self, events: Events | EventBatch, on_unavailable: Callable[[StoreUnavailable], None] | None = None
    ) -> FoldReport:
        """Fold events in that are columns already; as `fold`."""
        bundle = _Bundle(events, events.users, events.user)
        report = FoldReport(np.full(len(events), -1, np.int8))
        self._memory.begin()
        todo = np.flatnonzero(np.bincount(bundle.user_of, minlength=len(bundle.users)))
        lost = 0
        while len(todo):
            self._contention.begin()
            try:
                self.start()
                todo, busy = self._round(bundle, todo, report, self._contention.turn_ms(lost))
            except StoreUnavailable as exc:
                self._memory.unanswered()
                if on_unavailable is None:
                    raise
                on_unavailable(exc)
                continue
            lost += 1
            if len(todo) and lost == MOST_TRIES:
                report.outcome[np.isin(bundle.user_of, todo)] = Outcome.CONTENDED
                break
            if len(todo):
                self._contention.pause(lost, busy=busy)
        return report

    def _round(self, bundle: _Bundle, todo: I64, report: FoldReport, turn_ms: int) -> tuple[I64, bool]:
        """Try to fold the events of the users `todo`; return those to try again, and whether it is another's turn."""
        names = [bundle.users[user] for user in todo.tolist()]
        stored = self._read(names, report)
        settled = self._memory.settled(names, stored)
        task = _Task(bundle, todo, names, stored, np.full(len(bundle.user_of), -1, np.int8))
        folded = self._folded(task)
        self._set_aside_refused(task, folded, report)
        if self._before_write is not None:
            self._prepare(self._before_write, task, folded, report)
        replacements = self._replacements(task, folded, turn_ms)
        again, busy = self._replace(task, replacements, report)
        # What is stored counts; users who are tried again are judged again.
        for place, one in enumerate(stored):
            if one.lost and place not in again:
                report.lost += one.record is None
                report.ids_lost += one.record is not None
        report.shortened += len(folded.shortened - again)
        judged = task.outcome >= 0
        report.outcome[judged] = task.outcome[judged]
        for place, attempt in settled.items():
            # Found written by an attempt whose answer was lost: what that attempt meant is what happened.
            report.outcome[task.events_of(place)] = attempt.meant()
            self._memory.done(names[place])
        return todo[sorted(again)], busy

    def _read(self, users: Sequence[str], report: FoldReport) -> list[Stored]:
        held = [self._memory.get(user) for user in users]
        missing = [index for index, stored in enumerate(held) if stored is None]
        if missing:
            now_us = self._now_us()
            for index, stored in zip(missing, self._store.read([users[i] for i in missing]), strict=True):
                held[index] = stored
                report.lost += self._memory.is_lost(users[index], stored, now_us)
        return [stored for stored in held if stored is not None]

    def _folded(self, task: _Task) -> _Folded:
        """Judge and fold: one call of the core, and one more for records whose layout it did not know.

        Raises:
            StoreUnavailable, StoreError: as the store, which is asked for layouts.
        """
        stored, ids_lost = task.stored, _without_ids(task.stored)
        # Written even if no event is new.
        due = [place for place, one in enumerate(stored) if one.record and (one.elsewhere or one.lost)]

        def call(places: Sequence[int], ids_lost: Sequence[int], due: Sequence[int]) -> Any:
            return self._records.native.fold_bundle(
                task.bundle.events,
                task.users[places],
                [stored[place].record for place in places],
                [stored[place].seen for place in places],
                ids_lost,
                due,
                secrets.token_bytes(CHANCE_BYTES * len(places)),
                self._counts_events,
                task.outcome,
            )

        records, seen, last_event_us, shortened, found = call(range(len(stored)), ids_lost, due)
        folded = _Folded(records, seen, last_event_us, set(shortened), {})
        places: Sequence[int] = range(len(stored))
        while found:
            refused = self._records.learn({text for _, _, text in found if isinstance(text, bytes)})
            again = []
            for at, _, text in found:
                if isinstance(text, bytes) and text not in refused:
                    again.append(places[at])
                else:
                    folded.wrong[places[at]] = refused[text] if isinstance(text, bytes) else text
            if not again:
                break
            places = again
            of_these = [[at for at, place in enumerate(places) if place in some] for some in (ids_lost, due)]
            records, seen, last_event_us, shortened, found = call(places, *of_these)
            for at, place in enumerate(places):
                folded.records[place], folded.seen[place] = records[at], seen[at]
                folded.last_event_us[place] = last_event_us[at]
            folded.shortened.update(places[at] for at in shortened)
        return folded

    def _set_aside_refused(self, task: _Task, folded: _Folded, report: FoldReport) -> None:
        """Say of whom nothing can be folded, and write nothing of whoever the store refuses."""
        report.set_aside |= {task.names[place]: reason for place, reason in folded.wrong.items()}
        for place, one in enumerate(task.stored):
            if one.refused is not None:
                task.set_aside(place, one.refused, report)
                folded.drop(place)

    def _prepare(self, before_write: BeforeWrite, task: _Task, folded: _Folded, report: FoldReport) -> None:
        """Do what is to be done before the write, with the events that arrive at records which can be read."""
        arriving = task.applied()
        if not len(arriving):
            return
        place_of = {user: place for place, user in enumerate(task.users.tolist())}
        present, part = arriving.of_their_users()
        places = [place_of[user] for user in present.tolist()]
        histories = self._histories.read([task.stored[place].record for place in places])
        if histories.errors:
            for at, reason in histories.errors.items():
                task.set_aside(places[at], reason, report)
                folded.drop(places[at])
            part = part.take(~np.isin(part.user, list(histories.errors)))
        if len(part):
            before_write(histories, part)

    def _replacements(self, task: _Task, folded: _Folded, turn_ms: int) -> dict[int, Replacement]:
        """Return by place what is to be written, and what is only to be compared."""
        expiry_ms = ((folded.last_event_us + self._plan.retention_us) // 1000).tolist()
        replacements: dict[int, Replacement] = {}
        for place, (name, one) in enumerate(zip(task.names, task.stored, strict=True)):
            record, seen = folded.records[place], folded.seen[place]
            if record is not None and seen is not None:
                before = version_of(one.record)
                replacements[place] = Replacement(name, before, record, seen, expiry_ms[place], turn_ms)
                attempt = Attempt(version_of(record), int(task.users[place]), task.bundle.user_of, task.outcome)
                self._memory.attempt(name, attempt)
            elif one.refused is None:
                # Compared, whether remembered or just read: the store may have lost it since, also what was read and
                # not yet durable, or the layout of what cannot be read.
                replacements[place] = Replacement(name, version_of(one.record), None)
        return replacements

    def _replace(self, task: _Task, replacements: dict[int, Replacement], report: FoldReport) -> tuple[set[int], bool]:
        """Write and compare; return the places to try again, and whether it is another worker's turn."""
        if not replacements:
            return set(), False
        answers, went_back = self._store.replace(list(replacements.values()))
        report.went_back += went_back
        again: set[int] = set()
        for (place, replacement), answer in zip(replacements.items(), answers, strict=True):
            if isinstance(answer, Refused):
                task.set_aside(place, answer.reason, report)
                self._memory.done(replacement.user)
            elif answer != Answer.DONE:
                self._memory.refused(replacement.user, answer)
                report.conflicts += replacement.record is not None
                again.add(place)
            elif replacement.record is not None:
                self._memory.written(replacement)
                report.writes += 1
                written = len(replacement.record) + len(replacement.seen)
                report.bytes_written += written
                report.largest_bytes = max(report.largest_bytes, written)
        return again, Answer.BUSY in answers


class _Bundle(NamedTuple):
    """What is folded.

    Attributes:
        events: m events, as the core takes them.
        users: ids of the users.
        user_of: (m,) index of each event's user.
    """

    events: Events | EventBatch
    users: list[str]
    user_of: I64


class _Task(NamedTuple):
    """What one round does: n users of a bundle, each in a place.

    Attributes:
        users: (n,) their indices in the bundle.
        names: their ids.
        stored: what is stored of them.
        outcome: (m,) what becomes of the bundle's events; -1 for those of other users.
    """

    bundle: _Bundle
    users: I64
    names: list[str]
    stored: list[Stored]
    outcome: npt.NDArray[np.int8]

    def events_of(self, place: int) -> Bool:
        """Return (m,) which events are a user's."""
        return np.asarray(self.bundle.user_of == self.users[place], np.bool_)

    def applied(self) -> Events:
        """Return the events that are let in."""
        events = self.bundle.events
        return (events if isinstance(events, Events) else Events.of_batch(events)).take(self.outcome == _APPLIED)

    def set_aside(self, place: int, reason: str, report: FoldReport) -> None:
        """Say of all events of a user that nothing became of them, and why."""
        self.outcome[self.events_of(place)] = Outcome.BAD_RECORD
        report.set_aside[self.names[place]] = reason


class _Folded(NamedTuple):
    """What the core made of n users' records.

    Attributes:
        records, seen: new records and ids to remember, None for users who are not to be written.
        last_event_us: (n,) greatest event time in the new record.
        shortened: places of users whose horizon the cap on remembered ids has moved.
        wrong: by place, why a record stays as it was.
    """

    records: list[bytes | None]
    seen: list[bytes | None]
    last_event_us: I64
    shortened: set[int]
    wrong: dict[int, str]

    def drop(self, place: int) -> None:
        """Write nothing of a user."""
        self.records[place] = self.seen[place] = None


def _without_ids(stored: Sequence[Stored]) -> list[int]:
    """Return the records whose ids are lost: no event that may be in one is let in."""
    return [place for place, one in enumerate(stored) if one.lost and one.record is not None]
