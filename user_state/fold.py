"""Folding a batch of events where the records live: read, admit, apply, compare-and-set, and again on conflict.

Exactly once on at-least-once plumbing: a record and the ids of the events in it change in one atomic step, so an
event that comes again finds its id. A conflict (a zombie, a second pipeline, a stale cache) costs another round.
The versions that are written are unique, so a batch whose answer was lost with the connection recognises its own
write when it reads again, and its events count as applied, not as duplicates.

No Beam here: a pipeline calls `fold` with rows and acknowledges when it returns.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from user_state.codec.admitting import Admitted, PackedAdmission
from user_state.codec.packed import Heads, PackedRecords
from user_state.codec.record import version_of
from user_state.codec.seen import decode_seen
from user_state.codec.sound import decode_sound
from user_state.core.admission import Outcome
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan
from user_state.core.records import Records
from user_state.errors import CodecError, StoreUnavailable
from user_state.store.layouts import RecordReader
from user_state.store.recent import RecentBytes
from user_state.store.store import Replacement, StateStore, Stored

# Looking a member up in an enum takes longer than comparing with it.
_APPLIED, _DUPLICATE, _BAD_RECORD = int(Outcome.APPLIED), int(Outcome.DUPLICATE), int(Outcome.BAD_RECORD)


@dataclass
class FoldReport:
    """What a fold did.

    Attributes:
        outcome: (m,) an `Outcome` a row.
        writes: how many records were replaced.
        conflicts: how many replacements were refused because somebody else was faster.
        shortened: how many users' horizon the cap on remembered ids has shortened.
        bytes_written: of records and remembered ids.
        largest_bytes: of one record with its remembered ids, the largest written.
        bad_records: what was wrong with the records of rows with outcome BAD_RECORD, by user.
    """

    outcome: npt.NDArray[np.int8]
    writes: int = 0
    conflicts: int = 0
    shortened: int = 0
    bytes_written: int = 0
    largest_bytes: int = 0
    bad_records: dict[str, str] = field(default_factory=dict)


@dataclass
class _Attempt:
    """A user's write that was not confirmed: the version it would have made, and what it would have meant.

    Attributes:
        version: of the record.
        user: index of the user in the batch.
        user_of: (m,) the users of the batch's events.
        outcome: (m,) the outcomes of the batch's events.
    """

    version: bytes
    user: int
    user_of: npt.NDArray[np.int64]
    outcome: npt.NDArray[np.int8]

    def meant(self) -> npt.NDArray[np.int8]:
        """Return the outcomes of the user's events, in order of arrival."""
        return np.asarray(self.outcome[self.user_of == self.user], np.int8)


BeforeWrite = Callable[[Records, Events], None]
"""Gets the records of a batch's users as they are, and the events that are about to be folded into them; the records of
users without such events are empty."""


class Folder:
    """Folds batches of one plan into one store.

    Args:
        plan: what the records hold.
        store: where they are.
        cache_bytes: how much of what was last read or written is kept.
        before_write: done before each attempt to write; an attempt that fails is made again, and so is this. What it
            raises, the fold takes as if the store had raised it.
        next_version: (version that was read, empty for none; events in the new record) -> the new record's version,
            8 bytes that nobody else makes.
    """

    def __init__(
        self,
        plan: Plan,
        store: StateStore,
        *,
        cache_bytes: int = 64 << 20,
        before_write: BeforeWrite | None = None,
        next_version: Callable[[bytes, int], bytes] | None = None,
    ) -> None:
        self._plan = plan
        self._before_write = before_write
        self._next_version = next_version or _next_version
        self._store = store
        self._recent = RecentBytes(cache_bytes)
        self._reader = RecordReader(plan, store)
        self._packed = PackedRecords(plan, self._reader.decode)
        self._admission = PackedAdmission(plan)
        self._unanswered: dict[str, _Attempt] = {}

    def start(self) -> None:
        """Register the plan's layout, without which nobody could read the records.

        Raises:
            StoreUnavailable, StoreError: as the store.
        """
        self._store.register(self._plan.layout)

    def fold(
        self, rows: Sequence[EventRow], on_unavailable: Callable[[StoreUnavailable], None] | None = None
    ) -> FoldReport:
        """Fold rows in; return when every one is either stored or known to need no storing.

        While the store is unavailable `on_unavailable` is called, to wait or to give up by raising; then the fold
        goes on where it was. Without it the error is raised.

        Raises:
            StoreUnavailable: the store is unavailable and there is nobody to wait; some rows may have been stored.
            StoreError: the store refuses, for good.
        """
        return self.fold_events(Events.from_rows(self._plan, rows), on_unavailable)

    def fold_events(
        self, events: Events, on_unavailable: Callable[[StoreUnavailable], None] | None = None
    ) -> FoldReport:
        """Fold events in that are columns already; as `fold`."""
        report = FoldReport(np.full(len(events), -1, np.int8))
        self._unanswered.clear()  # attempts of a fold that gave up
        todo = np.arange(len(events))
        while len(todo):
            try:
                todo = self._round(events, todo, report)
            except StoreUnavailable as exc:
                # What is cached may be what the server has just lost.
                self._recent.clear()
                if on_unavailable is None:
                    raise
                on_unavailable(exc)
        return report

    def _round(self, events: Events, todo: npt.NDArray[np.int64], report: FoldReport) -> npt.NDArray[np.int64]:
        """Try to fold the events at `todo`; return those that met a conflict."""
        _, part = (events if len(todo) == len(events) else events.take(todo)).of_their_users()
        stored = self._read(part.users)
        settled = self._settled_attempts(part, stored)
        heads, verdict, broken = self._judge(part, stored)
        outcome = verdict.outcome
        _set_aside(broken, part, outcome, report)
        report.shortened += verdict.shortened
        writes_before = report.writes
        conflicted = self._write(part, heads, verdict, stored, report)
        if report.writes == writes_before and _DUPLICATE in outcome:
            # What was found may have been written by somebody, or by us, who never heard that it is durable.
            self._store.confirm()
        report.outcome[todo] = outcome
        for user, attempt in settled.items():
            # Found written by an attempt whose answer was lost: what that attempt meant is what happened.
            report.outcome[todo[part.user == user]] = attempt.meant()
            del self._unanswered[part.users[user]]
        return todo[np.isin(part.user, conflicted)] if conflicted else todo[:0]

    def _read(self, users: Sequence[str]) -> list[Stored]:
        held = [self._recent.get(user) for user in users]
        missing = [index for index, stored in enumerate(held) if stored is None]
        if missing:
            for index, stored in zip(missing, self._store.read([users[i] for i in missing]), strict=True):
                held[index] = stored
        return [stored for stored in held if stored is not None]

    def _settled_attempts(self, part: Events, stored: Sequence[Stored]) -> dict[int, _Attempt]:
        """Return the attempts that turn out to have been written, by user."""
        if not self._unanswered:
            return {}
        settled = {}
        for index, (user, found) in enumerate(zip(part.users, stored, strict=True)):
            attempt = self._unanswered.get(user)
            if attempt is not None and version_of(found.record) == attempt.version:
                settled[index] = attempt
        return settled

    def _judge(self, part: Events, stored: Sequence[Stored]) -> tuple[Heads, Admitted, dict[int, str]]:
        """Return what the records say of time, the verdict, and what is wrong with users whose bytes make no sense."""
        heads, broken = decode_sound(self._packed.heads, [one.record for one in stored])
        seen = [one.seen for one in stored]
        try:
            return heads, self._admission.admit(heads, seen, part), broken
        except CodecError:
            broken = decode_sound(decode_seen, seen)[1] | broken
            sound = [None if user in broken else ids for user, ids in enumerate(seen)]
            return heads, self._admission.admit(heads, sound, part), broken

    def _write(
        self, part: Events, heads: Heads, verdict: Admitted, stored: Sequence[Stored], report: FoldReport
    ) -> list[int]:
        """Replace the records of users with applied events, or kept elsewhere; return the users who met a conflict."""
        outcome = verdict.outcome
        arriving = _applied(part, outcome)
        if self._before_write is not None and len(arriving):
            arriving = self._prepare(self._before_write, part, arriving, outcome, stored, report)
        bad = part.user[outcome == Outcome.BAD_RECORD]
        moving = {user for user, one in enumerate(stored) if one.elsewhere}.difference(bad.tolist())
        if not len(arriving) and not moving:
            return []
        blobs = [one.record for one in stored]
        arrivals = np.bincount(arriving.user, minlength=len(blobs))
        versions = [
            self._next_version(version_of(blob), events) if new else b""
            for blob, events, new in zip(blobs, (heads.applied + arrivals).tolist(), arrivals.tolist(), strict=True)
        ]
        folded, broken = self._packed.fold(blobs, arriving, verdict.horizon_us, versions)
        _set_aside(broken, part, outcome, report)
        for user in moving.difference(broken):
            if (found := blobs[user]) is not None and folded[user] is None:
                folded[user], versions[user] = found, version_of(found)
        last_event_us = heads.last_event_us.copy()
        np.maximum.at(last_event_us, arriving.user, arriving.time_us)
        expiry_ms = ((last_event_us + self._plan.retention_us) // 1000).tolist()
        writing, replacements = [], []
        for user, record in enumerate(folded):
            if record is None:
                continue
            name = part.users[user]
            writing.append(user)
            replacements.append(Replacement(name, version_of(blobs[user]), record, verdict.seen[user], expiry_ms[user]))
            self._unanswered[name] = _Attempt(versions[user], user, part.user, outcome)
        if not writing:
            return []
        conflicted = []
        for user, replacement, replaced in zip(writing, replacements, self._store.replace(replacements), strict=True):
            if replaced:
                del self._unanswered[replacement.user]
                self._recent.put(replacement.user, Stored(replacement.record, replacement.seen))
                report.writes += 1
                written = len(replacement.record) + len(replacement.seen)
                report.bytes_written += written
                report.largest_bytes = max(report.largest_bytes, written)
            else:
                # The attempt stays: a client that sent it twice is refused by what it has written itself.
                self._recent.drop(replacement.user)
                report.conflicts += 1
                conflicted.append(user)
        return conflicted

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
        records, broken = decode_sound(self._reader.decode, blobs)
        if broken:
            _set_aside(broken, part, outcome, report)
            arriving = _applied(part, outcome)
        if len(arriving):
            before_write(records, arriving)
        return arriving


def _applied(part: Events, outcome: npt.NDArray[np.int8]) -> Events:
    applied = outcome == _APPLIED
    return part if applied.all() else part.take(applied)


def _set_aside(broken: dict[int, str], part: Events, outcome: npt.NDArray[np.int8], report: FoldReport) -> None:
    """Say of all events of users whose bytes make no sense that nothing became of them, and why."""
    for user, reason in broken.items():
        outcome[part.user == user] = _BAD_RECORD
        report.bad_records[part.users[user]] = reason


def _next_version(version: bytes, events: int) -> bytes:
    """Return a version nobody else makes: the write count, so that people can read it, and chance."""
    count = int.from_bytes(version[:4], "big") if version else 0
    return ((count + 1) & 0xFFFFFFFF).to_bytes(4, "big") + secrets.token_bytes(4)
