"""The verbs that are given damaged bytes, and what each has to come to: a value of use, or the one error.

A verb is made for a subject once. Called with bytes, it returns True if they came to a value and False if they were
refused as the verb refuses; whatever else it raises is a finding. A new verb is a class here and a line in `VERBS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tests.fuzz import framings
from tests.fuzz.subjects import Subject
from user_state.errors import CodecError
from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.plan.layout import Layout
from user_state.plan.plan import Plan
from user_state.reading.features import Finished, Reader
from user_state.spec.bodies import Bodies, Encoding
from user_state.state.envelope import heads_of
from user_state.state.event_batch import EventBatch
from user_state.state.events import I64, Events
from user_state.state.histories import HistoryReader
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords

VERSION = bytes(8)
Verb = Callable[[bytes], bool]


class Finding(AssertionError):
    """A verb came to what it must not come to."""


class _OneLayout:
    """Knows one layout: a subject's."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def layout(self, fingerprint: bytes) -> Layout | None:
        return self._layout if fingerprint == self._layout.fingerprint else None


def _reader(plan: Plan, records: PackedRecords, share: int = 1) -> Reader | None:
    """Return what reads every `share`th output, but for those that are composed of item tables."""
    composed = {output.name for output in plan.composed}
    names = [o.name for o in (*plan.scalars, *plan.arrays, *plan.all_lists, *plan.embeddings)]
    chosen = [name for name in names if not any(name.startswith(one) for one in composed)][::share]
    return Reader(plan, records, chosen if composed or share > 1 else None) if chosen else None


class _Writing:
    """What makes a record of a damaged one beside a sound one, and looks at what was made."""

    def __init__(self, subject: Subject, plan: Plan, records: PackedRecords) -> None:
        self._records = records
        self._reader, self._at_us = _reader(plan, records), subject.at_us
        self._sound = subject.records[0]

    def _judge(self, made: list[bytes | None], wrong: dict[int, str], before: bytes | None = None) -> bool:
        if 1 in wrong or made[1] is None:
            raise Finding("a sound record was refused beside a damaged one")
        if made[0] is None:
            if 0 not in wrong:
                raise Finding("a damaged record came to nothing, and nobody says why")
            return False
        at_us = max(self._at_us, int(heads_of([made[0]])[0].clock_us[0]))  # a record is not read before its clock
        if self._reader is not None and (errors := self._reader.features([made[0]], at_us).errors):
            # A section that no event changes is copied unread, so what could not be read before cannot be read after.
            if before is not None and self._reader.features([before], at_us).errors:
                return False
            raise Finding(f"a record that was just written cannot be read: {errors[0]}")
        return True


class FoldRecords(_Writing):
    """Fold events into a damaged record beside a sound one, and again into what came of it."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, subject.plan, PackedRecords(subject.plan))
        damaged, sound = ([(user, *row[1:]) for row in subject.arriving[:5]] for user in ("damaged", "sound"))
        self._events = Events.from_rows(subject.plan, [*damaged, *sound])
        self._once_more = Events.from_rows(subject.plan, damaged)

    def __call__(self, blob: bytes) -> bool:
        """Fold."""
        made, wrong = self._records.fold([blob, self._sound], self._events, np.zeros(2, np.int64), [VERSION] * 2)
        if not self._judge(made, wrong, blob):
            return False
        again, wrong = self._records.fold([made[0]], self._once_more, np.zeros(1, np.int64), [VERSION])
        # Each time as large as the bytes can count, until they cannot.
        if again[0] is None and "more than its bytes can count" not in wrong[0]:
            raise Finding(f"a record that was just written cannot be folded into: {wrong[0]}")
        return True


class MergeRecords(_Writing):
    """Merge a damaged record with a sound one, either way."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, subject.plan, PackedRecords(subject.plan))

    def __call__(self, blob: bytes) -> bool:
        """Merge."""
        other = self._judge(*self._records.merge([self._sound, self._sound], [blob, None], [VERSION] * 2))
        return self._judge(*self._records.merge([blob, None], [self._sound, self._sound], [VERSION] * 2)) and other


class MigrateRecords(_Writing):
    """Migrate a damaged record to another spec's layout, beside a sound one."""

    def __init__(self, subject: Subject) -> None:
        records = PackedRecords(subject.next_plan, _OneLayout(subject.plan.layout))
        super().__init__(subject, subject.next_plan, records)
        self._same = subject.next_plan.layout == subject.plan.layout

    def __call__(self, blob: bytes) -> bool:
        """Migrate; where there is nothing to migrate, records are copied as they are."""
        if self._same:
            return True
        return self._judge(*self._records.migrate([blob, self._sound]))


class ReadRecords:
    """Read a damaged record between two sound ones, which say what they always do."""

    def __init__(self, subject: Subject, share: int = 1) -> None:
        self._reader = _reader(subject.plan, PackedRecords(subject.plan), share)
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


class ReadHistories:
    """Read the rows of all logs of a damaged record beside a sound one."""

    def __init__(self, subject: Subject) -> None:
        records = PackedRecords(subject.plan)
        self._histories = HistoryReader(subject.plan, records, range(len(subject.plan.logs)))
        self._sound = subject.records[0]

    def __call__(self, blob: bytes) -> bool:
        """Read."""
        errors = self._histories.read([blob, self._sound]).errors
        if 1 in errors:
            raise Finding("a sound record was refused beside a damaged one")
        return 0 not in errors


class ReadHeads:
    """Read what a record says of its time."""

    def __init__(self, subject: Subject) -> None:
        self._sound = subject.records[0]

    def __call__(self, blob: bytes) -> bool:
        """Read."""
        heads, wrong = heads_of([blob, self._sound])
        if 1 in wrong:
            raise Finding("a sound record was refused beside a damaged one")
        if not all(0 <= int(column[0]) < 2**62 for column in vars(heads).values()):
            raise Finding("a time or a count is out of range")
        return not wrong


class Bundle(NamedTuple):
    """What came of a bundle: by user, and the outcome of each event."""

    records: list[bytes | None]
    seen: list[bytes | None]
    last_us: I64
    wrong: dict[int, str]
    outcome: npt.NDArray[np.int8]


class _Bundles:
    """Judge and fold a bundle of a damaged user's events and a sound one's."""

    def __init__(self, subject: Subject) -> None:
        damaged, sound = ([(user, *row[1:]) for row in subject.arriving[:5]] for user in ("damaged", "sound"))
        self._events = Events.from_rows(subject.plan, [*damaged, *sound])
        self._own = len(damaged)
        self._records = PackedRecords(subject.plan)
        self._sound = subject.records[0]
        self._expected = self._folded(self._sound, None).outcome[self._own :].tolist()

    def _folded(self, record: bytes | None, ids: bytes | None, *, lost: bool = False) -> Bundle:
        some = [0] if lost else []
        outcome = np.full(len(self._events), -1, np.int8)
        records, seen, last_us, _, wrong = self._records.native.fold_bundle(
            self._events, np.arange(2), [record, self._sound], [ids, None], some, some, bytes(8), False, outcome
        )
        return Bundle(records, seen, last_us, {at: str(text) for at, _, text in wrong}, outcome)

    def _judge(self, found: Bundle) -> bool:
        """Return whether the damaged user's bytes came to a value; they alone may be refused."""
        if 1 in found.wrong or found.outcome[self._own :].tolist() != self._expected:
            raise Finding("a sound user's events came to something else beside a damaged one's")
        if not 0 <= found.last_us[0] < 2**62:
            raise Finding("a time is out of range")
        if (found.records[0] is None) != (found.seen[0] is None):
            raise Finding("a record without ids, or ids without their record")
        mine = found.outcome[: self._own].tolist()
        if (0 in found.wrong) != bool({Outcome.BAD_RECORD, Outcome.OVERSIZED} & set(mine)):
            raise Finding("events are set aside and nobody says why, or the other way round")
        return 0 not in found.wrong


class FoldBundle(_Bundles):
    """Judge and fold events of a user whose record is damaged, with its ids and without."""

    def __call__(self, blob: bytes) -> bool:
        """Fold; what is written can be folded into again."""
        found = self._folded(blob, None)
        self._judge(self._folded(blob, None, lost=True))
        if found.records[0] is not None and self._folded(found.records[0], found.seen[0]).wrong:
            raise Finding("what was just written cannot be folded into")
        return self._judge(found)


class Admit(_Bundles):
    """Judge events by damaged ids."""

    def __call__(self, blob: bytes) -> bool:
        """Judge; the ids that come of it are sound."""
        found = self._folded(None, blob)
        if found.records[0] is not None and self._folded(found.records[0], found.seen[0]).wrong:
            raise Finding("ids that were just written make no sense")
        return self._judge(found)


class DecodeBodies:
    """Decode a damaged body between two sound ones."""

    def __init__(self, subject: Subject, encoding: Encoding = "raw") -> None:
        bodies, sound = Bodies(encoding), subject.bodies if encoding == "raw" else subject.texts
        self._decoder = EventDecoder(subject.plan, replace(subject.loaded.schema, bodies=bodies))
        self._sound = Message(sound[0], {}, None, None, "fuzz")
        self._expected = self._decoder.batch([self._sound]).batch.pack()

    def __call__(self, blob: bytes) -> bool:
        """Decode."""
        batch, refused, _ = self._decoder.batch([self._sound, self._sound._replace(data=blob), self._sound])
        if len(batch) + len(refused) != 3 or len(refused) > 1:
            raise Finding("a body came to none or to several, or a sound one was refused beside a damaged one")
        if any(batch.pack(np.array([row])) != self._expected for row in (0, len(batch) - 1)):
            raise Finding("a sound body says something else beside a damaged one")
        return not refused


class DecodeFramed:
    """Decode a damaged body of a framing between two sound ones.

    Args:
        decoder: of the framing.
        sound: bytes of an event.
        message: makes the message of bytes.
    """

    def __init__(self, decoder: EventDecoder, sound: bytes, message: Callable[[bytes], Message]) -> None:
        self._decoder, self._message = decoder, message
        self._sound = message(sound)
        self._expected = decoder.batch([self._sound]).batch.pack()

    def __call__(self, blob: bytes) -> bool:
        """Decode."""
        message = self._message(blob)
        batch, refused, _ = self._decoder.batch([self._sound, message, self._sound])
        if len(batch) + len(refused) != 3 or len(refused) > 1:
            raise Finding("a body came to none or to several, or a sound one was refused beside a damaged one")
        if any(batch.pack(np.array([row])) != self._expected for row in (0, len(batch) - 1)):
            raise Finding("a sound body says something else beside a damaged one")
        if refused and refused[0][0] != message:
            raise Finding("a refused message is not what came")
        return not refused or refused[0][1].reason == "ignored"


def _of_confluent(subject: Subject) -> DecodeFramed:
    schema = subject.loaded.schema
    bodies = Bodies("confluent", None, {framings.CONFLUENT_ID: schema})
    decoder = EventDecoder(subject.plan, replace(schema, bodies=bodies))
    return DecodeFramed(decoder, subject.confluents[0], lambda blob: Message(blob, {}, None, None, "fuzz"))


def _of_container(subject: Subject) -> DecodeFramed:
    decoder = EventDecoder(subject.plan, replace(subject.loaded.schema, bodies=Bodies("container")))
    return DecodeFramed(decoder, subject.containers[0], lambda blob: Message(blob, {}, None, None, "fuzz"))


def _of_attributes(subject: Subject) -> DecodeFramed:
    decoder = EventDecoder(subject.plan, subject.loaded.schema)
    return DecodeFramed(decoder, subject.attributed[0], framings.message_of)


def _of_changes(subject: Subject) -> DecodeFramed:
    row = framings.changes(1)[0]
    return DecodeFramed(framings.decoder_of_changes(), row, lambda blob: Message(blob, {}, None, None, "fuzz"))


class JoinBatches:
    """Open a damaged batch of events between two sound ones, as it comes out of the shuffle."""

    def __init__(self, subject: Subject) -> None:
        self._plan, self._sound = subject.plan, subject.batches[0]

    def __call__(self, blob: bytes) -> bool:
        """Open, and look at every column and message; messages are opened only by whoever looks."""
        try:
            batch = EventBatch.join(self._plan, [self._sound, blob, self._sound])
            for row in range(len(batch)):
                batch.message(row)
        except CodecError:
            return False
        if len(Events.of_batch(batch)) != len(batch):
            raise Finding("a batch has other events than it says")
        EventBatch.join(self._plan, [batch.pack()])
        return True


class ReadLayout:
    """Read a layout; what is read can be written and read again."""

    def __init__(self, subject: Subject) -> None:
        """Prepare for nothing: layouts are read without a plan."""

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
    Named("fold", "records", FoldRecords, 4),
    Named("fold a bundle", "records", FoldBundle, 3),
    Named("merge", "records", MergeRecords, 3),
    Named("migrate", "records", MigrateRecords, 3),
    Named("features", "records", ReadRecords, 6),
    Named("features of some outputs", "records", lambda subject: ReadRecords(subject, share=3), 2),
    Named("histories", "records", ReadHistories, 1),
    Named("heads", "records", ReadHeads, 1),
    Named("admit", "seen", Admit, 2),
    Named("decode", "bodies", DecodeBodies, 4),
    Named("decode json", "texts", lambda subject: DecodeBodies(subject, "json"), 4),
    Named("decode confluent", "confluents", _of_confluent, 2),
    Named("decode container", "containers", _of_container, 2),
    Named("decode by attributes", "attributed", _of_attributes, 2),
    Named("decode changes", "changes", _of_changes, 2),
    Named("join", "batches", JoinBatches, 2),
    Named("layout", "layouts", ReadLayout, 1),
)
