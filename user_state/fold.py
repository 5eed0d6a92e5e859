"""Folding a batch of events where the records live: read, admit, apply, compare-and-set, and again on conflict.

Exactly once on at-least-once plumbing: a record and the ids of the events in it change in one atomic step, so an
event that comes again finds its id. Every verdict rests on what the store holds now: a user who needs no write is
compared with the store all the same, since Redis may have lost what was remembered, or read a moment before.
A conflict (a zombie, a second pipeline, a stale cache, lost data) costs another round.
The versions that are written are unique, so a batch whose answer was lost with the connection recognises its own
write when it reads again, and its events count as applied, not as duplicates.

No Beam here: a pipeline calls `fold` with rows and acknowledges when it returns.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from user_state.errors import StoreUnavailable
from user_state.fold_memory import Attempt, FoldMemory
from user_state.fold_report import FoldReport
from user_state.plan.plan import Plan
from user_state.state.admission import Admitted, PackedAdmission
from user_state.state.envelope import MOST_US, Heads, heads_of, version_of, with_horizon
from user_state.state.events import EventRow, Events
from user_state.state.histories import HistoryReader
from user_state.state.log_rows import Histories
from user_state.state.outcome import Outcome
from user_state.state.records import TOO_LARGE, PackedRecords
from user_state.state.remembered_ids import NO_IDS
from user_state.store.contention import MOST_TRIES, Contention
from user_state.store.registry import Writer
from user_state.store.store import Answer, Refused, Replacement, StateStore, Stored

# Looking a member up in an enum takes longer than comparing with it.
_APPLIED, _DUPLICATE = int(Outcome.APPLIED), int(Outcome.DUPLICATE)


BeforeWrite = Callable[[Histories, Events], None]
"""Gets the histories of a batch's users as they are, of the logs that the plan learns from, and the events that are
about to be folded; users without such events have no rows."""


class Folder:
    """Folds batches of one plan into one store.

    Args:
        plan: what the records hold.
        store: where they are.
        generation: of the spec, microseconds UTC; the greater one is the newer (`user_state.store.registry`). None is
            now.
        definition: of the spec, where the plan is of a part of it; None is the plan's.
        cache_bytes: how much of what was last read or written is kept.
        before_write: done before each attempt to write; an attempt that fails is made again, and so is this. What it
            raises, the fold takes as if the store had raised it.
        next_version: (version that was read, empty for none; events in the new record) -> the new record's version,
            8 bytes that nobody else makes.
        contention: what is done after races lost.
        now_us: the time, microseconds UTC.
    """

    def __init__(
        self,
        plan: Plan,
        store: StateStore,
        *,
        generation: int | None = None,
        definition: bytes | None = None,
        cache_bytes: int = 64 << 20,
        before_write: BeforeWrite | None = None,
        next_version: Callable[[bytes, int], bytes] | None = None,
        contention: Contention | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._plan = plan
        self._before_write = before_write
        self._next_version = next_version or _next_version
        self._store = store
        definition = plan.definition if definition is None else definition
        self._writer = Writer(plan.layout, definition, now_us() if generation is None else generation)
        self._claimed = False
        self._contention = contention or Contention()
        self._now_us = now_us
        self._memory = FoldMemory(cache_bytes, plan.retention_us)
        self._packed = PackedRecords(plan, store)
        logs = [learned.log for learned in plan.learned]
        self._histories = HistoryReader(plan, self._packed, logs)
        self._admission = PackedAdmission(plan)

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
        self, events: Events, on_unavailable: Callable[[StoreUnavailable], None] | None = None
    ) -> FoldReport:
        """Fold events in that are columns already; as `fold`."""
        report = FoldReport(np.full(len(events), -1, np.int8))
        self._memory.begin()
        todo = np.arange(len(events))
        lost = 0
        while len(todo):
            self._contention.begin()
            try:
                self.start()
                todo, busy = self._round(events, todo, report, self._contention.turn_ms(lost))
            except StoreUnavailable as exc:
                self._memory.unanswered()
                if on_unavailable is None:
                    raise
                on_unavailable(exc)
                continue
            lost += 1
            if len(todo) and lost == MOST_TRIES:
                report.outcome[todo] = Outcome.CONTENDED
                break
            if len(todo):
                self._contention.pause(lost, busy=busy)
        return report

    def _round(
        self, events: Events, todo: npt.NDArray[np.int64], report: FoldReport, turn_ms: int
    ) -> tuple[npt.NDArray[np.int64], bool]:
        """Try to fold the events at `todo`; return those to try again, and whether it is another worker's turn."""
        _, part = (events if len(todo) == len(events) else events.take(todo)).of_their_users()
        stored = self._read(part.users, report)
        settled = self._memory.settled(part, stored)
        heads, verdict, broken = self._judge(part, stored)
        outcome = verdict.outcome
        _set_aside(broken, part, outcome, report, Outcome.BAD_RECORD)
        replacements = self._replacements(part, heads, verdict, stored, report, turn_ms)
        again, busy = self._replace(part, replacements, outcome, report)
        # What is stored counts; users who are tried again are judged again.
        for user, one in enumerate(stored):
            if one.lost and user not in again:
                report.lost += one.record is None
                report.ids_lost += one.record is not None
        report.shortened += verdict.shortened
        report.outcome[todo] = outcome
        for user, attempt in settled.items():
            # Found written by an attempt whose answer was lost: what that attempt meant is what happened.
            report.outcome[todo[part.user == user]] = attempt.meant()
            self._memory.done(part.users[user])
        return (todo[np.isin(part.user, list(again))] if again else todo[:0]), busy

    def _read(self, users: Sequence[str], report: FoldReport) -> list[Stored]:
        held = [self._memory.get(user) for user in users]
        missing = [index for index, stored in enumerate(held) if stored is None]
        if missing:
            now_us = self._now_us()
            for index, stored in zip(missing, self._store.read([users[i] for i in missing]), strict=True):
                held[index] = stored
                report.lost += self._memory.is_lost(users[index], stored, now_us)
        return [stored for stored in held if stored is not None]

    def _judge(self, part: Events, stored: Sequence[Stored]) -> tuple[Heads, Admitted, dict[int, str]]:
        """Return what the records say of time, the verdict, and what is wrong with users whose bytes make no sense."""
        found, broken = heads_of([one.record for one in stored])
        found = _closed(found, stored)
        broken |= {user: one.refused for user, one in enumerate(stored) if one.refused is not None}
        verdict = self._admission.admit(found, [one.seen for one in stored], part)
        return found, verdict, verdict.refused | broken

    def _replacements(
        self, part: Events, heads: Heads, verdict: Admitted, stored: Sequence[Stored], report: FoldReport, turn_ms: int
    ) -> dict[int, Replacement]:
        """Return by user what is to be written, and what is only to be compared."""
        outcome = verdict.outcome
        arriving = _applied(part, outcome)
        if self._before_write is not None and len(arriving):
            arriving = self._prepare(self._before_write, part, arriving, outcome, stored, report)
        bad = set(part.user[outcome == Outcome.BAD_RECORD].tolist())
        # Written even if no event is new.
        due = {user for user, one in enumerate(stored) if one.record and (one.elsewhere or one.lost)} - bad
        replacements: dict[int, Replacement] = {}
        if len(arriving) or due:
            versions, folded, moved = self._folded(part, heads, verdict, stored, arriving, due, report)
            last_event_us = heads.last_event_us.copy()
            np.maximum.at(last_event_us, arriving.user, arriving.time_us)
            expiry_ms = ((last_event_us + self._plan.retention_us) // 1000).tolist()
            for user, record in enumerate(folded):
                if record is not None:
                    name, before = part.users[user], version_of(stored[user].record)
                    seen = stored[user].seen or NO_IDS if user in moved else verdict.seen[user]
                    replacements[user] = Replacement(name, before, record, seen, expiry_ms[user], turn_ms)
                    self._memory.attempt(name, Attempt(versions[user], user, part.user, outcome))
        # Everybody else is compared, whether remembered or just read: the store may have lost it since, also what was
        # read and not yet durable, or the layout of what cannot be read.
        others = {user for user, one in enumerate(stored) if one.refused is None}
        for user in others - replacements.keys():
            replacements[user] = Replacement(part.users[user], version_of(stored[user].record), None)
        return replacements

    def _folded(
        self,
        part: Events,
        heads: Heads,
        verdict: Admitted,
        stored: Sequence[Stored],
        arriving: Events,
        due: set[int],
        report: FoldReport,
    ) -> tuple[list[bytes], list[bytes | None], set[int]]:
        """Return each user's new version, the new record, None where there is nothing to write, and who is moved.

        A record that is only moved has none of the events that were about to be folded into it.
        """
        blobs = [one.record for one in stored]
        arrivals = np.bincount(arriving.user, minlength=len(blobs))
        versions = [
            self._next_version(version_of(blob), events) if new or user in due else b""
            for user, (blob, events, new) in enumerate(
                zip(blobs, (heads.applied + arrivals).tolist(), arrivals.tolist(), strict=True)
            )
        ]
        folded, broken = self._packed.fold(blobs, arriving, verdict.horizon_us, versions)
        limit = self._plan.max_record_bytes
        too_large = {user: reason for user, reason in broken.items() if reason == TOO_LARGE}
        too_large |= {
            user: f"the record would take {len(record):,} bytes, more than max_record, {limit:,}"
            for user, record in enumerate(folded)
            if record is not None and len(record) > limit
        }
        broken = {user: reason for user, reason in broken.items() if user not in too_large}
        _set_aside(broken, part, verdict.outcome, report, Outcome.BAD_RECORD)
        for user in too_large:
            folded[user] = None
        _set_aside(too_large, part, verdict.outcome, report, Outcome.OVERSIZED)
        moved = {user for user in due.difference(broken) if folded[user] is None}
        for user in moved:
            if (found := blobs[user]) is not None:
                # As it was, but for a horizon that was closed.
                folded[user] = with_horizon(found, int(heads.horizon_us[user]), versions[user])
        return versions, folded, moved

    def _replace(
        self,
        part: Events,
        replacements: dict[int, Replacement],
        outcome: npt.NDArray[np.int8],
        report: FoldReport,
    ) -> tuple[set[int], bool]:
        """Write and compare; return the users to try again, and whether it is another worker's turn."""
        if not replacements:
            return set(), False
        answers, went_back = self._store.replace(list(replacements.values()))
        report.went_back += went_back
        again: set[int] = set()
        refused: dict[int, str] = {}
        for (user, replacement), answer in zip(replacements.items(), answers, strict=True):
            if isinstance(answer, Refused):
                refused[user] = answer.reason
                self._memory.done(replacement.user)
            elif answer != Answer.DONE:
                self._memory.refused(replacement.user, answer)
                report.conflicts += replacement.record is not None
                again.add(user)
            elif replacement.record is not None:
                self._memory.written(replacement)
                report.writes += 1
                written = len(replacement.record) + len(replacement.seen)
                report.bytes_written += written
                report.largest_bytes = max(report.largest_bytes, written)
        _set_aside(refused, part, outcome, report, Outcome.BAD_RECORD)
        return again, Answer.BUSY in answers

    def _prepare(
        self,
        before_write: BeforeWrite,
        part: Events,
        arriving: Events,
        outcome: npt.NDArray[np.int8],
        stored: Sequence[Stored],
        report: FoldReport,
    ) -> Events:
        """Do what is to be done before the write; return the events that arrive at records that can be read."""
        wanted = np.bincount(arriving.user, minlength=len(stored)).tolist()
        blobs = [one.record if new else None for one, new in zip(stored, wanted, strict=True)]
        histories = self._histories.read(blobs)
        if histories.errors:
            _set_aside(dict(histories.errors), part, outcome, report, Outcome.BAD_RECORD)
            arriving = _applied(part, outcome)
        if len(arriving):
            before_write(histories, arriving)
        return arriving


def _closed(heads: Heads, stored: Sequence[Stored]) -> Heads:
    """Return heads with closed horizons for records without ids: no event that may be in one is admitted."""
    lost = [user for user, one in enumerate(stored) if one.lost and one.record is not None]
    if not lost:
        return heads
    horizon_us = heads.horizon_us.copy()
    # No applied event is later than the last.
    horizon_us[lost] = np.maximum(horizon_us[lost], np.minimum(heads.last_event_us[lost] + 1, MOST_US))
    return replace(heads, horizon_us=horizon_us)


def _applied(part: Events, outcome: npt.NDArray[np.int8]) -> Events:
    applied = outcome == _APPLIED
    return part if applied.all() else part.take(applied)


def _set_aside(
    reasons: dict[int, str], part: Events, outcome: npt.NDArray[np.int8], report: FoldReport, as_what: Outcome
) -> None:
    """Say of events of users that nothing became of them, and why: of those that would have been applied, or of all."""
    for user, reason in reasons.items():
        theirs = part.user == user
        outcome[theirs & (outcome == _APPLIED) if as_what == Outcome.OVERSIZED else theirs] = as_what
        report.set_aside[part.users[user]] = reason


def _next_version(version: bytes, events: int) -> bytes:
    """Return a version nobody else makes: the write count, so that people can read it, and chance."""
    count = int.from_bytes(version[:4], "big") if version else 0
    return ((count + 1) & 0xFFFFFFFF).to_bytes(4, "big") + secrets.token_bytes(4)
