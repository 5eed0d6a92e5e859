"""Records -> the outputs of a spec, in the types that rankers take.

Finished by the compiled core, but for what is composed of item tables: that is made in numpy, of histories. A record of
another layout is migrated for the reading (`user_state.state.records`).

A record that cannot be read fails no other: it gives an error, and the outputs of a record that holds nothing. So does
one that is asked for a time before what it can answer for: its clock less `max_clock_skew`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from user_state import native
from user_state.embeddings.composed_reading import Composed, read_composed, read_composed_in_parts
from user_state.embeddings.composing import mentioned
from user_state.embeddings.item_vectors import ItemVectors
from user_state.plan.plan import Plan
from user_state.plan.reading_program import TEXT, ListShape, compile_program
from user_state.plan.selection import composed_part, select_outputs
from user_state.state.events import I64
from user_state.state.histories import HistoryReader, native_program, pool_of
from user_state.state.log_rows import Histories
from user_state.state.padding import Padded
from user_state.state.records import PackedRecords

F32 = npt.NDArray[np.float32]
VectorsByRow = Sequence[tuple[I64, Mapping[str, ItemVectors]]]
"""Item vectors for some rows each, ascending; every row is in one of these parts."""


class ComingRecords(Protocol):
    """Takes records out of what Redis answers to MGET, a piece at a time."""

    @property
    def taken(self) -> int:
        """How many there were up to now."""
        ...

    @property
    def foreign(self) -> bool:
        """Whether what comes next is no array of values, but an error, say, and is not taken."""
        ...

    @property
    def broken(self) -> bool:
        """Whether an array has come that is none."""
        ...

    def take(self, buffer: bytearray, filled: int) -> int:
        """Take the first `filled` bytes; return how many are left, which move to the front of the buffer."""
        ...

    def put(self, blobs: Sequence[bytes | None]) -> None:
        """Take records that were read by other means."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Have the bytes of these records, ascending rows, kept; before any is taken."""
        ...

    def kept(self) -> list[bytes | None]:
        """Return those that have come, None for one that is not there."""
        ...

    def made(self) -> tuple[tuple[Any, ...], list[tuple[int, int, str | bytes]]]:
        """Return what was made of them, and what is wrong by record."""
        ...


@dataclass(slots=True)
class Finished:
    """The outputs of n records, in the types that rankers take.

    Attributes:
        names: the columns of `values`.
        values: (n, columns) float32; beyond single precision lies infinity.
        present: (n,) whether there is a record that could be read.
        last_event_us: (n,) the time of the newest event, 0 without a record.
        arrays: by name, (n, size): outputs of several numbers, such as histograms.
        sequences: by name: lists of single values (`last_k`), of rows, and sequences.
        embeddings: (n, dimensions) by name; interests (n, K, dimensions).
        item_versions: table -> the version that embeddings over it were composed with, empty if there is none.
        missing_items: by name of an embedding over a table, (n,) how many of the user's last events name an item that
            has no vector there.
        errors: index of a record -> why it could not be read.
    """

    names: tuple[str, ...]
    values: F32
    present: npt.NDArray[np.bool_]
    last_event_us: I64
    arrays: dict[str, F32]
    sequences: dict[str, Padded]
    embeddings: dict[str, F32]
    item_versions: dict[str, str]
    missing_items: dict[str, I64]
    errors: dict[int, str]


class Reader:
    """Finishes records of one plan, or some of its outputs. Keeps nothing between calls; threads may share it.

    Args:
        plan: what records hold.
        records: migrates those of another layout.
        select: names of the outputs to finish, None for all. Records are judged by the sections that these are read
            from: what is damaged elsewhere does not show.

    Raises:
        InputError: the plan has no such output.
    """

    def __init__(self, plan: Plan, records: PackedRecords, select: Collection[str] | None = None) -> None:
        self._plan = plan if select is None else select_outputs(plan, select)
        self._records = records
        self._composed = composed_part(self._plan)
        self._program = compile_program(self._plan, whole=select is None)
        self._native = native_program(plan, self._program)
        self._lists = tuple(_List.of(shape) for shape in self._program.lists)
        composed = () if self._composed is None else self._composed.composed
        self._logs = tuple({output.history.log: None for output in composed})
        self._histories = HistoryReader(plan, records, self._logs) if self._logs else None

    @property
    def plan(self) -> Plan:
        """The plan, with the outputs that are finished alone."""
        return self._plan

    @property
    def composes(self) -> bool:
        """Whether some outputs are composed of item vectors, so that `features` needs `histories`."""
        return self._composed is not None

    @property
    def tables(self) -> tuple[str, ...]:
        """The item tables that outputs are composed of."""
        return () if self._composed is None else tuple(self._composed.item_tables)

    @property
    def logs(self) -> tuple[int, ...]:
        """The plan's logs that outputs are composed of."""
        return self._logs

    @property
    def native(self) -> native.ReadingProgram:
        """What the compiled core finishes."""
        return self._native

    def histories(self, blobs: Sequence[bytes | None], at_us: int | I64) -> Histories | None:
        """Return what outputs are composed of when these records are read at these times, None if none are.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """
        return None if self._histories is None else self._histories.read(blobs, at_us)

    def items_of(self, histories: Histories) -> dict[str, list[str]]:
        """Return the items that each table is asked for when these records are read."""
        return mentioned(self._composed, histories) if self._composed is not None else {}

    def features(
        self,
        blobs: Sequence[bytes | None],
        at_us: int | I64,
        histories: Histories | None = None,
        item_vectors: Mapping[str, ItemVectors] | None = None,
    ) -> Finished:
        """Return the outputs of n records.

        Args:
            blobs: n packed records, None being a user without one.
            at_us: when, microseconds UTC: one time, or (n,) a time for each record.
            histories: of the same records, if the reader `composes`.
            item_vectors: by table, at least those of `items_of`, likewise.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
            ValueError: item vectors are missing, or there is not one time for each record.
        """
        times_us = np.empty(len(blobs), np.int64)
        times_us[:] = at_us
        filled, errors = self._records.reading(lambda: self._native.features(self._records.native, blobs, times_us))
        return self.finished(filled, times_us, errors, histories, item_vectors)

    @property
    def reads_as_they_come(self) -> bool:
        """Whether `begin` can be used: nothing is composed of the records."""
        return self._composed is None

    def begin(self, records: int, at_us: int) -> ComingRecords:
        """Return what takes n records from Redis's answer while that comes, in order; see `reads_as_they_come`.

        Args:
            records: n.
            at_us: when, microseconds UTC.

        Raises:
            ValueError: the time is 2^61 us or more from 1970.
        """
        return self._native.begin(self._records.native, records, at_us)

    def finish(self, coming: ComingRecords) -> Finished:
        """Return the outputs of records that have all come; raises as `features`."""
        filled, errors = self._records.reading(coming.made)
        return self._put_together(filled, errors, None)

    def finished(
        self,
        filled: tuple[Any, ...],
        times_us: I64,
        errors: dict[int, str],
        histories: Histories | None,
        item_vectors: Mapping[str, ItemVectors] | VectorsByRow | None,
    ) -> Finished:
        """Return what the compiled core filled by `native`, with what is composed beside it; as `features`."""
        composed = None
        if self._composed is not None:
            if histories is None or item_vectors is None:
                raise ValueError("expected histories and item vectors, got none: some outputs are composed of them")
            errors = {**errors, **histories.errors}
            if isinstance(item_vectors, Mapping):
                composed = read_composed(self._composed, histories, times_us, item_vectors)
            else:
                composed = read_composed_in_parts(self._composed, histories, times_us, item_vectors)
        return self._put_together(filled, errors, composed)

    def _put_together(self, filled: tuple[Any, ...], errors: dict[int, str], composed: Composed | None) -> Finished:
        """Return what was filled, with what was composed beside it."""
        values, present, last_event_us, arrays, lists, embeddings, joined, sizes = filled
        pool = pool_of(joined, sizes)
        sequences = {
            one.name: Padded.made(length, grids, one.strings, pool, one.single, one.lists)
            for one, (length, grids) in zip(self._lists, lists, strict=True)
        }
        if errors:
            present[list(errors)] = False
        if composed is not None:
            # In the plan's order, without what was asked for only because something else is made of it.
            with np.errstate(over="ignore"):  # beyond single precision lies infinity, which is no reason to warn
                arrays = arrays | {name: array.astype(np.float32) for name, array in composed.arrays.items()}
            embeddings = embeddings | composed.embeddings
            arrays = {output.name: arrays[output.name] for output in self._plan.arrays}
            embeddings = {output.name: embeddings[output.name] for output in self._plan.embeddings}
        missing = {} if composed is None else composed.missing_items
        return Finished(
            names=self._program.scalars,
            values=values,
            present=present,
            last_event_us=last_event_us,
            arrays=arrays,
            sequences=sequences,
            embeddings=embeddings,
            item_versions={} if composed is None else composed.item_versions,
            missing_items={name: counts for name, counts in missing.items() if name in embeddings},
            errors=errors,
        )


@dataclass(frozen=True)
class _List:
    """A list's name, which of its columns are strings, which are lists, and whether it has one column alone."""

    name: str
    strings: frozenset[str]
    single: bool
    lists: Mapping[str, str]

    @classmethod
    def of(cls, shape: ListShape) -> _List:
        strings = frozenset(name for name, kind in shape.columns if kind == TEXT and name not in shape.lists)
        return cls(shape.name, strings, shape.single, shape.lists)
