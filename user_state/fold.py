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
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from user_state.codec.record import encode_records, version_of
from user_state.codec.seen import decode_seen, encode_seen
from user_state.core.admission import Admission, Outcome, Seen, admit
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan
from user_state.core.records import Records, apply
from user_state.errors import CodecError, StoreUnavailable
from user_state.store.layouts import RecordReader
from user_state.store.recent import RecentBytes
from user_state.store.store import Replacement, StateStore, Stored


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
    """A write that was not confirmed, by user: the version it would have made, and what it would have meant."""

    version: bytes
    outcome: npt.NDArray[np.int8]


BeforeWrite = Callable[[Records, Events], None]
"""Gets the records of a batch's users as they are, and the events that are about to be folded into them."""


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
        chosen, part = _only_their_users(events, todo)
        stored = self._read(part.users)
        settled = self._settled_attempts(part, stored)
        records, seen, broken = self._decode(part.users, stored)
        verdict = admit(self._plan, records, seen, part)
        outcome = verdict.outcome
        for user, reason in broken.items():
            outcome[part.user == user] = Outcome.BAD_RECORD
            report.bad_records[part.users[user]] = reason
        report.shortened += verdict.shortened
        writes_before = report.writes
        conflicted = self._write(part, records, verdict, stored, report)
        if report.writes == writes_before and (outcome == Outcome.DUPLICATE).any():
            # What was found may have been written by somebody, or by us, who never heard that it is durable.
            self._store.confirm()
        done = ~np.isin(part.user, conflicted)
        report.outcome[chosen[done]] = outcome[done]
        for user, attempt in settled.items():
            # Found written by an attempt whose answer was lost: what that attempt meant is what happened.
            mine = part.user == user
            report.outcome[chosen[mine]] = attempt.outcome
            del self._unanswered[part.users[user]]
        return chosen[~done]

    def _read(self, users: Sequence[str]) -> list[Stored]:
        held = [self._recent.get(user) for user in users]
        missing = [index for index, stored in enumerate(held) if stored is None]
        if missing:
            for index, stored in zip(missing, self._store.read([users[i] for i in missing]), strict=True):
                held[index] = stored
        return [stored for stored in held if stored is not None]

    def _settled_attempts(self, part: Events, stored: Sequence[Stored]) -> dict[int, _Attempt]:
        """Return the attempts that turn out to have been written, by user."""
        settled = {}
        for index, (user, found) in enumerate(zip(part.users, stored, strict=True)):
            attempt = self._unanswered.get(user)
            if attempt is not None and version_of(found.record) == attempt.version:
                settled[index] = attempt
        return settled

    def _decode(self, users: Sequence[str], stored: Sequence[Stored]) -> tuple[Records, Seen, dict[int, str]]:
        """Return records and remembered ids; users whose bytes make no sense come as empty, with the reason."""
        broken: dict[int, str] = {}
        try:
            return (*self._decode_sound(stored), broken)
        except CodecError:
            sound = list(stored)
            for index, one in enumerate(stored):
                try:
                    self._decode_sound([one])
                except CodecError as exc:
                    broken[index] = str(exc)
                    sound[index] = Stored(None, None)
            return (*self._decode_sound(sound), broken)

    def _decode_sound(self, stored: Sequence[Stored]) -> tuple[Records, Seen]:
        records = self._reader.decode([one.record for one in stored])
        return records, decode_seen([one.seen for one in stored])

    def _write(
        self, part: Events, records: Records, verdict: Admission, stored: Sequence[Stored], report: FoldReport
    ) -> npt.NDArray[np.int64]:
        """Replace the records of users with applied events, or kept elsewhere; return the users who met a conflict."""
        applied = np.flatnonzero(verdict.outcome == Outcome.APPLIED)
        elsewhere = np.array([index for index, one in enumerate(stored) if one.elsewhere], np.int64)
        bad = part.user[verdict.outcome == Outcome.BAD_RECORD]
        writing = np.union1d(part.user[applied], np.setdiff1d(elsewhere, bad))
        if len(writing) == 0:
            return writing
        arriving = part.take(applied)
        if self._before_write is not None:
            self._before_write(records, arriving)
        folded = apply(self._plan, replace(records, horizon_us=verdict.horizon_us), arriving)
        versions = [
            self._next_version(version_of(one.record), events)
            for one, events in zip(stored, folded.applied.tolist(), strict=True)
        ]
        blobs = encode_records(folded, self._plan.layout, versions)
        seen_blobs = encode_seen(verdict.seen, len(part.users))
        expiry_ms = (folded.last_event_us + self._plan.retention_us) // 1000
        replacements = []
        for user in writing.tolist():
            name = part.users[user]
            replacements.append(
                Replacement(name, version_of(stored[user].record), blobs[user], seen_blobs[user], int(expiry_ms[user]))
            )
            self._unanswered[name] = _Attempt(versions[user], verdict.outcome[part.user == user])
        answers = self._store.replace(replacements)
        conflicted = []
        for user, replacement, replaced in zip(writing.tolist(), replacements, answers, strict=True):
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
        return np.array(conflicted, np.int64)


def _only_their_users(events: Events, todo: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Events]:
    """Return the chosen events with a list of users that holds theirs alone."""
    part = events.take(todo)
    present, user = np.unique(part.user, return_inverse=True)
    if len(present) == len(events.users):
        return todo, part
    return todo, replace(part, users=[events.users[u] for u in present.tolist()], user=user.astype(np.int64))


def _next_version(version: bytes, events: int) -> bytes:
    """Return a version nobody else makes: the write count, so that people can read it, and chance."""
    count = int.from_bytes(version[:4], "big") if version else 0
    return ((count + 1) & 0xFFFFFFFF).to_bytes(4, "big") + secrets.token_bytes(4)
