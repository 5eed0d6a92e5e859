"""Records -> the outputs of a spec, in the types that rankers take.

Finished by the compiled core, but for what is composed of item tables: that is made in numpy, of histories. A record of
another layout is migrated for the reading (`user_state.state.records`).

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

from user_state.codec.sound import decode_sound
from user_state.core import compiled as native
from user_state.core.composing import mentioned
from user_state.core.events import I64
from user_state.core.item_vectors import ItemVectors
from user_state.core.padding import Padded
from user_state.core.plan import Plan
from user_state.core.pool import StringPool
from user_state.core.reading import Features, features
from user_state.core.reading_program import TEXT, ReadingProgram, compile_program
from user_state.core.records import Records
from user_state.core.selection import composed_part, select_outputs
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
        records: migrates those of another layout.
        decode: packed records -> records, of whatever layout; None is a user without one. For histories alone.
        select: names of the outputs to finish, None for all. Records are judged by the sections that these are read
            from: what is damaged elsewhere does not show.

    Raises:
        InputError: the plan has no such output.
    """

    def __init__(
        self,
        plan: Plan,
        records: PackedRecords,
        decode: Callable[[Sequence[bytes | None]], Records],
        select: Collection[str] | None = None,
    ) -> None:
        self._plan = plan if select is None else select_outputs(plan, select)
        self._records = records
        self._decode = decode
        self._composed = composed_part(self._plan)
        self._program = compile_program(self._plan, whole=select is None)
        self._native = native.ReadingProgram(self._program.described | {"layout": plan.layout.fingerprint})

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
            StoreUnavailable, StoreError: as the source of layouts.
            ValueError: item vectors are missing, or there is not one time for each record.
        """
        times_us = np.empty(len(blobs), np.int64)
        times_us[:] = at_us
        filled, errors = self._filled(blobs, times_us)
        composed = self._compose(errors, times_us, histories, item_vectors)
        return _finished(self._plan, self._program, filled, errors, composed)

    def _filled(self, blobs: Sequence[bytes | None], times_us: I64) -> tuple[tuple[Any, ...], dict[int, str]]:
        """Return what the compiled reader fills, and what is wrong by record."""
        refused: dict[bytes, str] = {}
        while True:
            filled, wrong = self._native.features(self._records.native, blobs, times_us)
            named = {text for _, _, text in wrong if isinstance(text, bytes)}
            unknown = named - refused.keys()
            refused |= self._records.learn(unknown)
            if named <= refused.keys():
                texts = ((record, refused[text] if isinstance(text, bytes) else text) for record, _, text in wrong)
                return filled, dict(texts)

    def _compose(
        self,
        errors: dict[int, str],
        times_us: I64,
        histories: Histories | None,
        item_vectors: Mapping[str, ItemVectors] | None,
    ) -> Features | None:
        if self._composed is None:
            return None
        if histories is None or item_vectors is None:
            raise ValueError("expected histories and item vectors, got none: some outputs are composed of them")
        errors.update(histories.errors)
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


def _finished(
    plan: Plan, program: ReadingProgram, filled: tuple[Any, ...], errors: dict[int, str], composed: Features | None
) -> Finished:
    """Return what was filled, with what was composed beside it."""
    values, status, last_event_us, filled_arrays, lists, filled_embeddings, joined, lengths = filled
    sizes = np.frombuffer(lengths, np.uint16)
    pool = StringPool.of_records(len(sizes), partial(_texts, joined, sizes))
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
