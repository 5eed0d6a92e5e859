"""Records -> the outputs of a spec, in the types that rankers take.

Finished by the compiled core, but for what is composed of item tables: that is made in numpy, of histories. A record of
another layout is migrated for the reading (`user_state.state.records`).

A record that cannot be read fails no other: it gives an error, and the outputs of a record that holds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state import native
from user_state.core.composed_reading import Composed, read_composed
from user_state.core.composing import mentioned
from user_state.core.events import I64
from user_state.core.histories import Histories
from user_state.core.item_vectors import ItemVectors
from user_state.core.padding import Padded
from user_state.core.plan import Plan
from user_state.core.reading_program import TEXT, ReadingProgram, compile_program
from user_state.core.selection import composed_part, select_outputs
from user_state.state.histories import HistoryReader, native_program, pool_of
from user_state.state.records import PackedRecords

F32 = npt.NDArray[np.float32]
READ = 1
"""What the compiled reader says of a record that it has read."""


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

    def histories(self, blobs: Sequence[bytes | None]) -> Histories | None:
        """Return what outputs are composed of, None if none are.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """
        return None if self._histories is None else self._histories.read(blobs)

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

    def finished(
        self,
        filled: tuple[Any, ...],
        times_us: I64,
        errors: dict[int, str],
        histories: Histories | None,
        item_vectors: Mapping[str, ItemVectors] | None,
    ) -> Finished:
        """Return what the compiled core filled by `native`, with what is composed beside it; as `features`."""
        composed = None
        if self._composed is not None:
            if histories is None or item_vectors is None:
                raise ValueError("expected histories and item vectors, got none: some outputs are composed of them")
            errors = {**errors, **histories.errors}
            composed = read_composed(self._composed, histories, times_us, item_vectors)
        return _finished(self._plan, self._program, filled, errors, composed)


def _finished(
    plan: Plan, program: ReadingProgram, filled: tuple[Any, ...], errors: dict[int, str], composed: Composed | None
) -> Finished:
    """Return what was filled, with what was composed beside it."""
    values, status, last_event_us, filled_arrays, lists, filled_embeddings, joined, lengths = filled
    pool = pool_of(joined, lengths)
    arrays = {name: array for (name, _), array in zip(program.arrays, filled_arrays, strict=True)}
    embeddings = {name: array for (name, _), array in zip(program.embeddings, filled_embeddings, strict=True)}
    sequences = {}
    for shape, (length, grids) in zip(program.lists, lists, strict=True):
        named = {name: grid for (name, _), grid in zip(shape.columns, grids, strict=True)}
        strings = frozenset(name for name, kind in shape.columns if kind == TEXT)
        sequences[shape.name] = Padded(length, named, strings, pool, shape.single)
    present = status == READ
    if errors:
        present[list(errors)] = False
    if composed is not None:
        # In the plan's order, without what was asked for only because something else is made of it.
        with np.errstate(over="ignore"):  # beyond single precision lies infinity, which is no reason to warn
            arrays = arrays | {name: array.astype(np.float32) for name, array in composed.arrays.items()}
        embeddings = embeddings | composed.embeddings
        arrays = {output.name: arrays[output.name] for output in plan.arrays}
        embeddings = {output.name: embeddings[output.name] for output in plan.embeddings}
    missing = {} if composed is None else composed.missing_items
    return Finished(
        names=program.scalars,
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
