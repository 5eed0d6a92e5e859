"""The verbs that are given damaged bytes, and what each has to come to: a value of use, or the one error.

A verb is made for a subject once. Called with bytes, it returns True if they came to a value and False if they were
refused as the verb refuses; whatever else it raises is a finding. A new verb is a class here and a line in `VERBS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fuzz.subjects import Subject
from user_state.codec.admitting import PackedAdmission
from user_state.codec.packed import Heads, PackedRecords
from user_state.codec.reader import Finished, Reader
from user_state.core.events import Events
from user_state.core.layout import Layout
from user_state.core.plan import Plan
from user_state.core.records import Records
from user_state.errors import CodecError, EventError
from user_state.events.decode import EventDecoder
from user_state.events.message import Message

VERSION = bytes(8)
Verb = Callable[[bytes], bool]


class Finding(AssertionError):
    """A verb came to what it must not come to."""


def _refusing(plan: Plan) -> Callable[[Sequence[bytes | None]], Records]:
    """Return what stands for whoever has words for what is wrong with a record."""

    def decode(blobs: Sequence[bytes | None]) -> Records:
        if any(blob is not None for blob in blobs):
            raise CodecError("refused")
        return Records.empty(plan, len(blobs))

    return decode


def _reader(subject: Subject, share: int = 1) -> Reader | None:
    """Return what reads every `share`th output, but for those that are composed of item tables."""
    plan = subject.plan
    composed = {output.name for output in plan.composed}
    names = [o.name for o in (*plan.scalars, *plan.arrays, *plan.all_lists, *plan.embeddings)]
    chosen = [name for name in names if not any(name.startswith(one) for one in composed)][::share]
    return Reader(plan, _refusing(plan), chosen if composed or share > 1 else None) if chosen else None


class FoldRecords:
    """Fold events into a damaged record beside a sound one: the sound one comes to what it always does."""

    def __init__(self, subject: Subject) -> None:
        self._folder = PackedRecords(subject.plan, _refusing(subject.plan))
        self._reader, self._at_us = _reader(subject), subject.at_us
        arriving = subject.arriving[:5]
        self._events = [self._of("damaged", arriving), self._of("sound", arriving)]
        self._rows = [row for of_user in self._events for row in of_user]
        self._plan = subject.plan
        self._sound = subject.records[0]

    @staticmethod
    def _of(user: str, rows: list[Any]) -> list[Any]:
        return [(user, *row[1:]) for row in rows]

    def __call__(self, blob: bytes) -> bool:
        """Fold, read what came of it, and fold into that again."""
        events = Events.from_rows(self._plan, self._rows)
        folded, broken = self._folder.fold([blob, self._sound], events, np.zeros(2, np.int64), [VERSION] * 2)
        if 1 in broken or folded[1] is None:
            raise Finding("a sound record was refused beside a damaged one")
        if folded[0] is None:
            return False
        events = Events.from_rows(self._plan, self._events[0])
        again, broken = self._folder.fold([folded[0]], events, np.zeros(1, np.int64), [VERSION])
        if broken or again[0] is None:
            raise Finding("a record that folding wrote was refused by folding")
        if self._reader is not None and self._reader.features([folded[0]], self._at_us).errors:
            raise Finding("a record that folding wrote was refused by reading")
        return True


class ReadRecords:
    """Read a damaged record between two sound ones, which say what they always do."""

    def __init__(self, subject: Subject, share: int = 1) -> None:
        self._reader = _reader(subject, share)
        self._at_us = subject.at_us
        self._sound = subject.records[-1]
        self._expected = b"" if self._reader is None else _numbers(self._read(self._sound), 0)

    def _read(self, *blobs: bytes) -> Finished:
        assert self._reader is not None
        return self._reader.features(list(blobs), self._at_us)

    def __call__(self, blob: bytes) -> bool:
        """Read."""
        if self._reader is None:
            return True
        found = self._read(self._sound, blob, self._sound)
        if {0, 2} & found.errors.keys():
            raise Finding("a sound record was refused beside a damaged one")
        if _numbers(found, 0) != self._expected or _numbers(found, 2) != self._expected:
            raise Finding("a sound record says something else beside a damaged one")
        for padded in found.sequences.values():
            padded.of_user(1)
        return 1 not in found.errors


def _numbers(found: Finished, row: int) -> bytes:
    parts = [found.values[row].tobytes(), *(array[row].tobytes() for array in found.arrays.values())]
    return b"".join((*parts, *(array[row].tobytes() for array in found.embeddings.values())))


class ReadHeads:
    """Read what a record says of its time."""

    def __init__(self, subject: Subject) -> None:
        self._folder = PackedRecords(subject.plan, _refusing(subject.plan))

    def __call__(self, blob: bytes) -> bool:
        """Read."""
        try:
            heads = self._folder.heads([blob])
        except CodecError:
            return False
        if not all(0 <= int(column[0]) < 2**62 for column in vars(heads).values()):
            raise Finding("a time or a count is out of range")
        return True


class Admit:
    """Judge events by damaged ids."""

    def __init__(self, subject: Subject) -> None:
        self._admission = PackedAdmission(subject.plan)
        self._plan = subject.plan
        self._rows = [("u", *row[1:]) for row in subject.arriving[:5]]

    def __call__(self, blob: bytes) -> bool:
        """Judge; the ids that come of it are sound."""
        events = Events.from_rows(self._plan, self._rows)
        none = np.zeros(1, np.int64)
        try:
            verdict = self._admission.admit(Heads(none, none, none, none), [blob], events)
        except CodecError:
            return False
        self._admission.admit(Heads(none, none, none, none), verdict.seen, events)
        return True


class DecodeBodies:
    """Decode a damaged body between two sound ones."""

    def __init__(self, subject: Subject) -> None:
        self._decoder = EventDecoder(subject.plan, subject.loaded.schema)
        self._sound = Message(subject.bodies[0], {}, None, None, "fuzz")
        self._expected = self._decoder.rows([self._sound])

    def __call__(self, blob: bytes) -> bool:
        """Decode."""
        before, found, after = self._decoder.rows([self._sound, self._sound._replace(data=blob), self._sound])
        if repr([before, after]) != repr(self._expected * 2):
            raise Finding("a sound body says something else beside a damaged one")
        return not isinstance(found, EventError)


class ReadLayout:
    """Read a layout; what is read can be written and read again."""

    def __init__(self, _subject: Subject) -> None:
        pass

    def __call__(self, blob: bytes) -> bool:
        """Read."""
        try:
            layout = Layout.from_json(blob)
        except CodecError:
            return False
        try:
            again = Layout.from_json(layout.to_json())
        except CodecError as exc:
            raise Finding("a layout that was read and written cannot be read") from exc
        if again.fingerprint != layout.fingerprint:
            raise Finding("a layout that was read and written is another")
        return True


@dataclass(frozen=True)
class Named:
    """A verb: of which sort of bytes, and how often it is asked beside the others."""

    name: str
    sort: str
    make: Callable[[Subject], Verb]
    weight: int


VERBS = (
    Named("fold", "records", FoldRecords, 6),
    Named("features", "records", ReadRecords, 6),
    Named("features of some outputs", "records", lambda subject: ReadRecords(subject, share=3), 2),
    Named("heads", "records", ReadHeads, 1),
    Named("admit", "seen", Admit, 2),
    Named("decode", "bodies", DecodeBodies, 4),
    Named("layout", "layouts", ReadLayout, 1),
)
