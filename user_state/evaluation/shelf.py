"""A log folded into records, bytes as Redis holds them, and read back as a ranking service reads them.

Events go through `user_state.fold` (read, admit, apply, encode, compare-and-set) and come back through `RecordReader`
and `features`: what is measured is what is served.

Many readings are answered together. A record is a function of the set of its user's events, so a user's readings
depend on no other user's: the first readings of all users are one fold and one read, then their second ones, and so on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from user_state.core.admission import Outcome
from user_state.core.events import EventRow
from user_state.core.item_vectors import ItemVectors, NoVectors
from user_state.core.plan import Plan
from user_state.core.reading import Features, features
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, I64
from user_state.evaluation.memory_store import MemoryStore
from user_state.fold import Folder
from user_state.store.layouts import RecordReader

FOLD_AT_MOST = 5_000


class Reading(NamedTuple):
    """Read a user's record at a time, the log's first `visible` events being folded."""

    user: str
    at_us: int
    visible: int


class RecordShelf:
    """The records of one plan over one log.

    Args:
        plan: what the records hold.
        rows: the log's event rows for that plan, by position.
        source: the log's name, for messages.
    """

    def __init__(self, plan: Plan, rows: Sequence[EventRow], source: str) -> None:
        self._plan = plan
        self._rows = rows
        self._source = source
        self._store = MemoryStore()
        self._folder = Folder(plan, self._store, cache_bytes=0)
        self._folder.start()
        self._reader = RecordReader(plan, self._store)
        positions: defaultdict[str, list[int]] = defaultdict(list)
        for position, row in enumerate(rows):
            positions[row[0]].append(position)
        self._positions = {user: np.array(at, np.int64) for user, at in positions.items()}
        self._folded: defaultdict[str, int] = defaultdict(int)

    def embeddings(
        self,
        readings: Sequence[Reading],
        names: Sequence[str],
        item_vectors: Mapping[str, ItemVectors] | None = None,
    ) -> F64:
        """Return (readings, names, ...) the named embeddings, which have the same shape.

        A user's readings must not ask for less than was visible to an earlier one. `item_vectors` are of the tables
        that embeddings are over.

        Raises:
            InputError: an event was refused by the spec's lateness or skew.
        """
        answers: list[F64 | None] = [None] * len(readings)
        for turn, finished in self.read(readings, item_vectors):
            read = np.stack([finished.embeddings[name] for name in names], axis=1).astype(np.float64)
            for row, index in enumerate(turn):
                answers[index] = read[row]
        return np.stack([answer for answer in answers if answer is not None])

    def read(
        self, readings: Sequence[Reading], item_vectors: Mapping[str, ItemVectors] | None = None
    ) -> Iterator[tuple[I64, Features]]:
        """Yield (indices of some readings, what their records say), until all are answered.

        One reading time serves all of a yield: ask for what does not depend on it, such as means and shares. A user's
        readings must not ask for less than was visible to an earlier one. `item_vectors` as for `embeddings`.

        Raises:
            InputError: an event was refused by the spec's lateness or skew.
        """
        # Tables that nobody gives are those of embeddings that nobody asks for.
        none = {table: NoVectors(dimensions) for table, dimensions in self._plan.item_tables.items()}
        vectors: dict[str, ItemVectors] = {**none, **(item_vectors or {})}
        for turn in _turns(readings):
            chosen = [readings[index] for index in turn]
            self._fold(chosen)
            blobs = [stored.record for stored in self._store.read([reading.user for reading in chosen])]
            records = self._reader.decode(blobs)
            yield turn, features(self._plan, records, max(reading.at_us for reading in chosen), vectors)

    def blob(self, user: str) -> bytes | None:
        """Return one user's record as it is stored; None if there is none."""
        return self._store.read([user])[0].record

    def _fold(self, readings: Sequence[Reading]) -> None:
        """Fold what became visible of the users of these readings."""
        waiting: list[EventRow] = []
        for reading in readings:
            positions = self._positions.get(reading.user)
            if positions is None:
                continue
            begin = self._folded[reading.user]
            end = int(np.searchsorted(positions, reading.visible))
            waiting += [self._rows[position] for position in positions[begin:end].tolist()]
            self._folded[reading.user] = max(begin, end)
        for at in range(0, len(waiting), FOLD_AT_MOST):
            self._fold_rows(waiting[at : at + FOLD_AT_MOST])

    def _fold_rows(self, rows: list[EventRow]) -> None:
        report = self._folder.fold(rows)
        refused = report.outcome != Outcome.APPLIED
        if refused.any():
            outcome = Outcome(int(report.outcome[refused][0])).name.lower()
            raise InputError(
                f"expected every event of {self._source} to be folded, got {int(refused.sum())} of {len(rows)}"
                f" {outcome}; the log is in order of event time, so is allowed_lateness too short, or an id used twice?"
            )


def _turns(readings: Sequence[Reading]) -> Iterator[I64]:
    """Yield indices of readings, each turn with one of every user at most, a user's in order."""
    met: defaultdict[str, int] = defaultdict(int)
    turn = np.empty(len(readings), np.int64)
    for index, reading in enumerate(readings):
        turn[index] = met[reading.user]
        met[reading.user] += 1
    for number in range(int(turn.max(initial=-1)) + 1):
        yield np.flatnonzero(turn == number)
