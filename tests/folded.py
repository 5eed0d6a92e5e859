"""One user's packed record, judged, folded and read batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tests.judging import judged
from tests.packed import VERSION
from tests.trying import batch
from user_state.plan.plan import Plan
from user_state.reading.features import Reader
from user_state.state.envelope import heads_of
from user_state.state.events import EventRow, Events
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords

Event = Mapping[str, Any]


class FoldedRecord:
    """The record of the one user that all events are of.

    Attributes:
        blob: the packed record.
        seen: the remembered ids, if `arrive` judged events by them.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.blob: bytes | None = None
        self.seen: bytes | None = None
        self._folder = PackedRecords(plan)
        self._reader = Reader(plan, self._folder)

    def fold(self, events: Iterable[Event], published_us: Sequence[int] | None = None) -> None:
        """Fold a batch in, whatever it is; `published_us` one for each, or all published when they happened."""
        self._fold(batch(self.plan, events, published_us), 0)

    def arrive(self, rows: Sequence[EventRow]) -> list[str]:
        """Judge a batch, fold what is let in, and return each one's outcome in lower case."""
        events = Events.from_rows(self.plan, rows)
        verdict = judged(self.plan, heads_of([self.blob])[0], [self.seen], events)
        applied = events.take(verdict.outcome == Outcome.APPLIED)
        if len(applied):
            self._fold(applied, int(verdict.horizon_us[0]))
            (self.seen,) = verdict.seen
        return [Outcome(outcome).name.lower() for outcome in verdict.outcome.tolist()]

    def _fold(self, events: Events, horizon_us: int) -> None:
        folded, broken = self._folder.fold([self.blob], events, np.array([horizon_us]), [VERSION])
        assert broken == {}
        (self.blob,) = folded

    def value(self, name: str, at_us: int) -> float:
        """Return one number, in single precision."""
        return self.values(at_us)[name]

    def values(self, at_us: int) -> dict[str, float]:
        """Return all numbers, by name."""
        found = self._reader.features([self.blob], at_us)
        assert found.errors == {}
        return dict(zip(found.names, found.values[0].tolist(), strict=True))


def folded_of(plan: Plan, batches: Iterable[Iterable[Event]]) -> FoldedRecord:
    """Return the record of these batches of events."""
    record = FoldedRecord(plan)
    for events in batches:
        record.fold(events)
    return record
