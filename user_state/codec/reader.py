"""Packed records -> finished outputs. What is composed of item tables is made of histories, in numpy.

The compiled reader declines records that it was not made for: bytes that are no record, or a record of another layout.
Those are migrated, and read then; migration also has the words for what is wrong with them.

A record that cannot be read fails no other: it gives an error, and the outputs of a record that holds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.histories import HistoryReader, moved_codes, pool_of
from user_state.codec.migrate import DECLINED, Blobs, Migrate
from user_state.codec.programs import native_program
from user_state.core.composed_reading import Composed, read_composed
from user_state.core.composing import mentioned
from user_state.core.events import I64
from user_state.core.histories import Histories
from user_state.core.item_vectors import ItemVectors
from user_state.core.padding import Padded
from user_state.core.plan import Plan
from user_state.core.pool import StringPool
from user_state.core.reading_program import TEXT, ReadingProgram, compile_program
from user_state.core.selection import composed_part, select_outputs

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
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
        migrate: for records that are of another layout.
        select: names of the outputs to finish, None for all. Records are judged by the sections that these are read
            from: what is damaged elsewhere does not show.

    Raises:
        InputError: the plan has no such output.
    """

    def __init__(self, plan: Plan, migrate: Migrate, select: Collection[str] | None = None) -> None:
        self._plan = plan if select is None else select_outputs(plan, select)
        self._migrate = migrate
        self._composed = composed_part(self._plan)
        self._program = compile_program(self._plan, whole=select is None)
        self._native = native_program(plan, self._program)
        self._logs = () if self._composed is None else tuple({o.history.log: None for o in self._composed.composed})
        self._histories = HistoryReader(plan, migrate, self._logs) if self._logs else None

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
    def native(self) -> Any:
        """The compiled code's program of what is finished."""
        return self._native

    def histories(self, blobs: Blobs) -> Histories | None:
        """Return what outputs are composed of, None if none are.

        Raises:
            StoreUnavailable, StoreError: as `migrate`.
        """
        return None if self._histories is None else self._histories.read(blobs)

    def items_of(self, histories: Histories) -> dict[str, list[str]]:
        """Return the items that each table is asked for when these records are read."""
        return mentioned(self._composed, histories) if self._composed is not None else {}

    def features(
        self,
        blobs: Blobs,
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
            StoreUnavailable, StoreError: as `migrate`.
            ValueError: item vectors are missing, or there is not one time for each record.
        """
        times_us = np.empty(len(blobs), np.int64)
        times_us[:] = at_us
        filled = self.filled(self._native.features(blobs, times_us))
        declined = np.flatnonzero(filled.status == DECLINED)
        errors: dict[int, str] = {}
        if len(declined):
            listed = declined.tolist()
            moved, broken = self._migrate([blobs[row] for row in listed])
            filled.put(declined, self.filled(self._native.features(moved, times_us[declined])))
            errors = {listed[at]: reason for at, reason in broken.items()}
        return self.finished(filled, times_us, errors, histories, item_vectors)

    def filled(self, filled: tuple[Any, ...]) -> Filled:
        """Return what the compiled code filled by `native`, by name."""
        return Filled(self._program, filled)

    def finished(
        self,
        filled: Filled,
        times_us: I64,
        errors: dict[int, str],
        histories: Histories | None,
        item_vectors: Mapping[str, ItemVectors] | None,
    ) -> Finished:
        """Return what the compiled reader filled, with what is composed beside it; as `features`."""
        composed = None
        if self._composed is not None:
            if histories is None or item_vectors is None:
                raise ValueError("expected histories and item vectors, got none: some outputs are composed of them")
            errors = {**errors, **histories.errors}
            composed = read_composed(self._composed, histories, times_us, item_vectors)
        return filled.finished(self._plan, composed, errors)


class Filled:
    """What the compiled reader filled: outputs of n records, and the dictionaries that their codes point into."""

    def __init__(self, program: ReadingProgram, filled: tuple[Any, ...]) -> None:
        self._program = program
        self.values, self.status, self.last_event_us, arrays, lists, embeddings, joined, lengths = filled
        self.arrays = {name: array for (name, _), array in zip(program.arrays, arrays, strict=True)}
        self.embeddings = {name: array for (name, _), array in zip(program.embeddings, embeddings, strict=True)}
        self.lists = lists
        self.pools = [pool_of(joined, lengths)]

    def put(self, rows: I64, other: Filled) -> None:
        """Fill rows with those of another call."""
        first_code = sum(map(len, self.pools))
        self.pools += other.pools
        self.values[rows], self.status[rows] = other.values, other.status
        self.last_event_us[rows] = other.last_event_us
        for name, array in other.arrays.items():
            self.arrays[name][rows] = array
        for name, vectors in other.embeddings.items():
            self.embeddings[name][rows] = vectors
        for shape, (length, grids), (theirs, others) in zip(self._program.lists, self.lists, other.lists, strict=True):
            length[rows] = theirs
            for (_, kind), grid, cells in zip(shape.columns, grids, others, strict=True):
                grid[rows] = moved_codes(kind, cells, first_code)

    def finished(self, plan: Plan, composed: Composed | None, errors: dict[int, str]) -> Finished:
        """Return what was filled, with what was composed beside it."""
        pools = self.pools
        pool = pools[0]
        if len(pools) > 1:
            pool = StringPool.of_records(sum(map(len, pools)), lambda: [text for one in pools for text in one.texts])
        sequences = {}
        for shape, (length, grids) in zip(self._program.lists, self.lists, strict=True):
            named = {name: grid for (name, _), grid in zip(shape.columns, grids, strict=True)}
            strings = frozenset(name for name, kind in shape.columns if kind == TEXT)
            sequences[shape.name] = Padded(length, named, strings, pool, shape.single)
        present = self.status != 0
        if errors:
            present[list(errors)] = False
        arrays, embeddings = self.arrays, self.embeddings
        if composed is not None:
            # In the plan's order, without what was asked for only because something else is made of it.
            with np.errstate(over="ignore"):
                arrays = arrays | {name: array.astype(np.float32) for name, array in composed.arrays.items()}
            embeddings = embeddings | composed.embeddings
            arrays = {output.name: arrays[output.name] for output in plan.arrays}
            embeddings = {output.name: embeddings[output.name] for output in plan.embeddings}
        missing = {} if composed is None else composed.missing_items
        return Finished(
            names=self._program.scalars,
            values=self.values,
            present=present,
            last_event_us=self.last_event_us,
            arrays=arrays,
            sequences=sequences,
            embeddings=embeddings,
            item_versions={} if composed is None else composed.item_versions,
            missing_items={name: counts for name, counts in missing.items() if name in embeddings},
            errors=errors,
        )
