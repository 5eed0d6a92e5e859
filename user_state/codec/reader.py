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
from typing import Any, Protocol

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
from user_state.core.reading_program import REAL, TEXT, ListShape, ReadingProgram, compile_program
from user_state.core.records import Records
from user_state.core.selection import composed_part, select_outputs

F32 = npt.NDArray[np.float32]


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

    def made(self) -> tuple[Any, ...]:
        """Return what was made of them."""
        ...

    def declined(self) -> dict[int, bytes]:
        """Return those that are left to numpy, by row."""
        ...


@dataclass(slots=True)
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
        self._compiled: Any = _compiled_for(plan, self._program) if compiled and native.used else None
        self._lists = tuple(_List.of(shape) for shape in self._program.lists)

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
        compiled = self._compiled
        filled = _unfilled(self._program, blobs) if compiled is None else compiled.features(blobs, times_us)
        made = _Made(self._lists, filled)
        if made.declined:
            self._fill(made, times_us, blobs)
        composed = self._compose(made, times_us, histories, item_vectors)
        return made.finished(self._program, self._plan, composed)

    @property
    def reads_as_they_come(self) -> bool:
        """Whether `begin` can be used: nothing is composed of the records, and there is compiled code."""
        return self._composed is None and self._compiled is not None

    def begin(self, records: int, at_us: int) -> ComingRecords:
        """Return what takes n records from Redis's answer while that comes, in order; see `reads_as_they_come`.

        Args:
            records: n.
            at_us: when, microseconds UTC.
        """
        begun: ComingRecords = self._compiled.begin(records, at_us)
        return begun

    def finish(self, coming: ComingRecords, at_us: int) -> Finished:
        """Return the outputs of records that have all come; raises as `features`."""
        made = _Made(self._lists, coming.made())
        if made.declined:
            self._fill(made, np.full(len(made.present), at_us), coming.declined())
        return made.finished(self._program, self._plan, None)

    def _fill(self, made: _Made, times_us: I64, blobs: Any) -> None:
        """Have numpy fill what was declined; `blobs` are records by row."""
        for at, some in _by_time(times_us, np.array(made.declined, np.int64)):
            chosen = [blobs[row] for row in some.tolist()]
            records, broken = decode_sound(self._decode, chosen)
            made.present[some] = [blob is not None for blob in chosen]
            made.put(some, records, features(self._in_numpy, records, at), broken)

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


@dataclass(frozen=True)
class _List:
    """A list's name, which of its columns are strings, and whether it has one column alone."""

    name: str
    strings: frozenset[str]
    single: bool

    @classmethod
    def of(cls, shape: ListShape) -> _List:
        strings = frozenset(name for name, kind in shape.columns if kind == TEXT)
        return cls(shape.name, strings, shape.single)


class _Made:
    """The outputs of a call while they are filled, and the dictionaries that their codes point into."""

    def __init__(self, lists: Sequence[_List], filled: tuple[Any, ...]) -> None:
        self._lists = lists
        self.errors: dict[int, str] = {}
        self.values, self.present, self.last_event_us, self.arrays, self.grids, self.embeddings, joined, sizes = filled[
            :8
        ]
        self.declined: list[int] = filled[8]
        self._pools = [StringPool.of_records(len(sizes) // 2, partial(_texts, joined, sizes))]

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
        for one, (length, grids) in zip(self._lists, self.grids, strict=True):
            padded = found.sequences[one.name]
            length[rows] = padded.length
            for column, grid in grids.items():
                cells = padded.grids[column]
                is_text = column in one.strings
                grid[rows] = np.where(cells == NULL_CODE, NULL_CODE, cells + first_code) if is_text else cells
        self.last_event_us[rows] = records.last_event_us
        listed = rows.tolist()
        self.errors.update((listed[index], reason) for index, reason in broken.items())

    def finished(self, program: ReadingProgram, plan: Plan, composed: Features | None) -> Finished:
        """Return what was filled, with what was composed beside it."""
        pool = self._pools[0]
        if len(self._pools) > 1:
            pools = self._pools
            pool = StringPool.of_records(sum(map(len, pools)), lambda: [text for one in pools for text in one.texts])
        sequences = {
            one.name: Padded.made(length, grids, one.strings, pool, one.single)
            for one, (length, grids) in zip(self._lists, self.grids, strict=True)
        }
        if self.errors:
            self.present[list(self.errors)] = False
        arrays, embeddings = self.arrays, self.embeddings
        missing: dict[str, I64] = {}
        if composed is not None:
            # In the plan's order, without what was asked for only because something else is made of it.
            with np.errstate(over="ignore"):
                arrays = arrays | {name: array.astype(np.float32) for name, array in composed.arrays.items()}
            embeddings = embeddings | composed.embeddings
            arrays = {output.name: arrays[output.name] for output in plan.arrays}
            embeddings = {output.name: embeddings[output.name] for output in plan.embeddings}
            missing = {name: counts for name, counts in composed.missing_items.items() if name in embeddings}
        return Finished(
            names=program.scalars,
            values=self.values,
            present=self.present,
            last_event_us=self.last_event_us,
            arrays=arrays,
            sequences=sequences,
            embeddings=embeddings,
            item_versions={} if composed is None else composed.item_versions,
            missing_items=missing,
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
        kinds = {name: np.float64 if kind == REAL else np.int64 for name, kind in shape.columns}
        grids = {name: np.empty((n, shape.width), kind) for name, kind in kinds.items()}
        lists.append((np.empty(n, np.int64), grids))
    return (
        np.empty((n, len(program.scalars)), np.float32),
        np.empty(n, np.bool_),
        np.empty(n, np.int64),
        {name: np.empty((n, size), np.float32) for name, size in program.arrays},
        lists,
        {name: np.empty((n, size), np.float32) for name, size in program.embeddings},
        b"",
        b"",
        list(range(n)),
    )


def _by_time(times_us: I64, rows: I64) -> Iterator[tuple[int, I64]]:
    """Yield each time of these rows, and which of them it is the time of."""
    if len(rows) == 0:
        return
    times, which = np.unique(times_us[rows], return_inverse=True)
    for index, at_us in enumerate(times.tolist()):
        yield at_us, rows[which == index]


def _texts(joined: bytes, lengths: bytes) -> list[str]:
    """Return UTF-8 strings that lie one after the other, of as many bytes as `lengths` says, two bytes a length."""
    listed = np.frombuffer(lengths, np.uint16).tolist()
    ends = accumulate(listed)
    if joined.isascii():
        text = joined.decode("ascii")
        return [text[end - length : end] for end, length in zip(ends, listed, strict=True)]
    return [joined[end - length : end].decode() for end, length in zip(ends, listed, strict=True)]
