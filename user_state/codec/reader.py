"""Packed records -> finished outputs: compiled where it can be, in numpy where it cannot.

Both ways come to the same numbers, but for the last bits of decayed ones; docs/design/native.md has more of it.
The compiled reader declines what it was not made for, record by record: bytes that are no record, or a record of
another layout. Those are decoded and finished in numpy, which also has the words for what is wrong with them. What is
composed of item tables is made in numpy always.

A record that cannot be read fails no other: it gives an error, and the outputs of a record that holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.record import MARKER
from user_state.codec.sections import SECTIONS
from user_state.codec.sound import decode_sound
from user_state.codec.strings import EMPTY
from user_state.core import compiled as native
from user_state.core.composing import mentioned
from user_state.core.events import I64
from user_state.core.item_vectors import ItemVectors
from user_state.core.padding import Padded
from user_state.core.plan import Plan
from user_state.core.pool import NULL_CODE, StringPool
from user_state.core.reading import Features, features
from user_state.core.reading_program import REAL, TEXT, ReadingProgram, compile_program
from user_state.core.records import Records
from user_state.core.selection import composed_part, select_outputs

F32 = npt.NDArray[np.float32]
DECLINED = 2
"""What the compiled reader says of records that are for numpy to judge."""


@dataclass(frozen=True)
class Finished:
    """The outputs of n records, in the types that rankers take.

    Attributes:
        names: the columns of `values`.
        values: (n, columns) float32; beyond single precision lies infinity.
        present: (n,) whether there is a record that could be read.
        last_event_us: (n,) the time of the newest event, 0 without a record.
        arrays, sequences, embeddings, item_versions, missing_items: as in `Features`, arrays in single precision.
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


@dataclass(frozen=True)
class Histories:
    """What embeddings over item tables are composed of: decoded records, and why some of them could not be."""

    records: Records
    errors: dict[int, str]


class Reader:
    """Finishes records of one plan, or some of its outputs. Keeps nothing between calls; threads may share it.

    Args:
        plan: what records hold.
        decode: packed records -> records, of whatever layout; None is a user without one.
        select: names of the outputs to finish, None for all. Records are judged by the sections that these are read
            from: what is damaged elsewhere does not show.
        compiled: whether to use the compiled code where there is any.

    Raises:
        InputError: the plan has no such output.
    """

    def __init__(
        self,
        plan: Plan,
        decode: Callable[[Sequence[bytes | None]], Records],
        select: Collection[str] | None = None,
        *,
        compiled: bool = True,
    ) -> None:
        self._plan = plan if select is None else select_outputs(plan, select)
        self._decode = decode
        self._composed = composed_part(self._plan)
        self._program = compile_program(self._plan, whole=select is None)
        self._in_numpy = select_outputs(self._plan, _names_of(self._program))
        self._compiled = _compiled_for(plan, self._program) if compiled and native.used else None

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

    def histories(self, blobs: Sequence[bytes | None]) -> Histories:
        """Return what outputs are composed of.

        Raises:
            StoreUnavailable, StoreError: as `decode`.
        """
        return Histories(*decode_sound(self._decode, blobs))

    def items_of(self, histories: Histories) -> dict[str, list[str]]:
        """Return the items that each table is asked for when these records are read."""
        return mentioned(self._composed, histories.records) if self._composed is not None else {}

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
            StoreUnavailable, StoreError: as `decode`.
            ValueError: item vectors are missing, or there is not one time for each record.
        """
        times_us = np.empty(len(blobs), np.int64)
        times_us[:] = at_us
        made = _Made(self._program, blobs, times_us, self._compiled)
        for at, rows in _by_time(times_us, made.declined()):
            chosen = [blobs[row] for row in rows.tolist()]
            records, broken = decode_sound(self._decode, chosen)
            made.put(rows, records, features(self._in_numpy, records, at), broken)
        composed = self._compose(made, times_us, histories, item_vectors)
        return made.finished(self._plan, composed)

    def _compose(
        self, made: _Made, times_us: I64, histories: Histories | None, item_vectors: Mapping[str, ItemVectors] | None
    ) -> Features | None:
        if self._composed is None:
            return None
        if histories is None or item_vectors is None:
            raise ValueError("expected histories and item vectors, got none: some outputs are composed of them")
        made.errors.update(histories.errors)
        found: Features | None = None
        for at, rows in _by_time(times_us, np.arange(len(times_us))):
            one = features(self._composed, histories.records, at, item_vectors)
            if len(rows) == len(times_us):
                return one
            found = one if found is None else found
            for name in found.arrays:
                found.arrays[name][rows] = one.arrays[name][rows]
            for name in found.embeddings:
                found.embeddings[name][rows] = one.embeddings[name][rows]
        return features(self._composed, histories.records, 0, item_vectors) if found is None else found


class _Made:
    """The outputs of a call while they are filled, and the dictionaries that their codes point into."""

    def __init__(
        self, program: ReadingProgram, blobs: Sequence[bytes | None], times_us: I64, compiled: Any | None
    ) -> None:
        self._program = program
        self.errors: dict[int, str] = {}
        filled = _unfilled(program, blobs) if compiled is None else compiled.features(blobs, times_us)
        self.values, self.status, self.last_event_us, arrays, lists, embeddings, joined, lengths = filled
        self.present = np.array([blob is not None for blob in blobs], np.bool_)
        self.arrays = {name: array for (name, _), array in zip(program.arrays, arrays, strict=True)}
        self.embeddings = {name: array for (name, _), array in zip(program.embeddings, embeddings, strict=True)}
        self.lists = lists
        sizes = np.frombuffer(lengths, np.uint16)
        self._pools = [StringPool.of_records(len(sizes), partial(_texts, joined, sizes))]

    def declined(self) -> I64:
        """Return the rows that numpy has to fill."""
        return np.flatnonzero(self.status == DECLINED)

    def put(self, rows: I64, records: Records, found: Features, broken: Mapping[int, str]) -> None:
        """Fill rows with what numpy found of their records."""
        first_code = sum(map(len, self._pools))
        self._pools.append(records.pool)
        with np.errstate(over="ignore"):  # beyond single precision lies infinity, which is no reason to warn
            self.values[rows] = found.values
            for name, array in self.arrays.items():
                array[rows] = found.arrays[name]
        for name, vectors in self.embeddings.items():
            vectors[rows] = found.embeddings[name]
        for shape, (length, grids) in zip(self._program.lists, self.lists, strict=True):
            padded = found.sequences[shape.name]
            length[rows] = padded.length
            for (column, kind), grid in zip(shape.columns, grids, strict=True):
                cells = padded.grids[column]
                grid[rows] = np.where(cells == NULL_CODE, NULL_CODE, cells + first_code) if kind == TEXT else cells
        self.last_event_us[rows] = records.last_event_us
        listed = rows.tolist()
        self.errors.update((listed[index], reason) for index, reason in broken.items())

    def finished(self, plan: Plan, composed: Features | None) -> Finished:
        """Return what was filled, with what was composed beside it."""
        pool = self._pools[0]
        if len(self._pools) > 1:
            pools = self._pools
            pool = StringPool.of_records(sum(map(len, pools)), lambda: [text for one in pools for text in one.texts])
        sequences = {}
        for shape, (length, grids) in zip(self._program.lists, self.lists, strict=True):
            named = {name: grid for (name, _), grid in zip(shape.columns, grids, strict=True)}
            strings = frozenset(name for name, kind in shape.columns if kind == TEXT)
            sequences[shape.name] = Padded(length, named, strings, pool, shape.single)
        if self.errors:
            self.present[list(self.errors)] = False
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
            present=self.present,
            last_event_us=self.last_event_us,
            arrays=arrays,
            sequences=sequences,
            embeddings=embeddings,
            item_versions={} if composed is None else composed.item_versions,
            missing_items={name: counts for name, counts in missing.items() if name in embeddings},
            errors=self.errors,
        )


def _names_of(program: ReadingProgram) -> list[str]:
    pairs = (*program.arrays, *program.embeddings)
    return [*program.scalars, *(name for name, _ in pairs), *(shape.name for shape in program.lists)]


def _compiled_for(plan: Plan, program: ReadingProgram) -> Any:
    blanks = [EMPTY, *(section.blank(plan.layout) for section in SECTIONS)]
    told = {"marker": MARKER, "layout": plan.layout.fingerprint, "blanks": blanks}
    return native.ReadingProgram({**program.described, **told})


def _unfilled(program: ReadingProgram, blobs: Sequence[bytes | None]) -> tuple[Any, ...]:
    """Return what the compiled reader does when it declines every record."""
    n = len(blobs)
    lists = []
    for shape in program.lists:
        grids = [np.empty((n, shape.width), np.float64 if kind == REAL else np.int64) for _, kind in shape.columns]
        lists.append((np.empty(n, np.int64), grids))
    return (
        np.empty((n, len(program.scalars)), np.float32),
        np.full(n, DECLINED, np.uint8),
        np.empty(n, np.int64),
        [np.empty((n, size), np.float32) for _, size in program.arrays],
        lists,
        [np.empty((n, size), np.float32) for _, size in program.embeddings],
        b"",
        b"",
    )


def _by_time(times_us: I64, rows: I64) -> Iterator[tuple[int, I64]]:
    """Yield each time of these rows, and which of them it is the time of."""
    if len(rows) == 0:
        return
    times, which = np.unique(times_us[rows], return_inverse=True)
    for index, at_us in enumerate(times.tolist()):
        yield at_us, rows[which == index]


def _texts(joined: bytes, lengths: npt.NDArray[np.uint16]) -> list[str]:
    """Return UTF-8 strings that lie one after the other."""
    listed = lengths.tolist()
    ends = accumulate(listed)
    if joined.isascii():
        text = joined.decode("ascii")
        return [text[end - length : end] for end, length in zip(ends, listed, strict=True)]
    return [joined[end - length : end].decode() for end, length in zip(ends, listed, strict=True)]
