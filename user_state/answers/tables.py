"""Answers of some calls -> one table; columns.py and user_state/history/rows.py say what its columns are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from user_state.answers.columns import served_schema
from user_state.history.rows import RowWriter
from user_state.plan.plan import Plan
from user_state.reading.features import Finished
from user_state.state.envelope import VERSION, heads_of
from user_state.state.events import I64
from user_state.state.padding import Padded

if TYPE_CHECKING:
    import pyarrow as pa

FinishAgain = Callable[[Sequence[bytes | None], I64], Finished]


@dataclass(frozen=True)
class Answer:
    """What one call answered for its sampled users.

    Attributes:
        users: theirs, n.
        at_us: the reading time.
        records: (n,) the bytes that were read, None without a record.
        values: (n, columns) the numbers that were answered.
        errors: index of a user -> why there was no answer.
        finished: all that was answered, where it was composed of item vectors; None where `again` makes it.
        again: makes answers of records.
        plan: with the outputs that were asked for alone.
        generation: of the records.
    """

    users: tuple[str, ...]
    at_us: int
    records: Sequence[bytes | None]
    values: npt.NDArray[np.float32]
    errors: dict[int, str]
    finished: Finished | None
    again: FinishAgain
    plan: Plan
    generation: str

    @property
    def size(self) -> int:
        """How many bytes of memory the records, the numbers and what is composed take."""
        size = self.values.nbytes + sum(map(len, filter(None, self.records)))
        if self.finished is not None:
            arrays = (*self.finished.arrays.values(), *self.finished.embeddings.values())
            size += sum(array.nbytes for array in arrays)
        return size

    @property
    def kind(self) -> object:
        """What answers have in common that are made together."""
        return id(self.plan), self.generation, self.finished is None or id(self)


Answers = list[Answer]


def rows_of(finished: Finished, rows: Sequence[int]) -> Finished:
    """Return some rows, copied: arrays of an answer are whoever asked for it's to change."""
    at = np.asarray(rows, np.int64)
    lists = {
        name: Padded.made(
            one.length[at],
            {of: grid[at] for of, grid in one.grids.items()},
            one.strings,
            one.pool,
            one.single,
            one.lists,
        )
        for name, one in finished.sequences.items()
    }
    return replace(
        finished,
        values=finished.values[at],
        present=finished.present[at],
        last_event_us=finished.last_event_us[at],
        arrays={name: array[at] for name, array in finished.arrays.items()},
        sequences=lists,
        embeddings={name: array[at] for name, array in finished.embeddings.items()},
        missing_items={name: counts[at] for name, counts in finished.missing_items.items()},
        errors={row: finished.errors[old] for row, old in enumerate(rows) if old in finished.errors},
    )


def table_of(answers: Answers, spec: str) -> pa.Table:
    """Return answers of one kind as a table; `spec` is the fingerprint of the spec."""
    import pyarrow as pa

    first = answers[0]
    users = [user for one in answers for user in one.users]
    records = [record for one in answers for record in one.records]
    at_us = np.repeat([one.at_us for one in answers], [len(one.users) for one in answers]).astype(np.int64)
    finished = first.finished
    if finished is None:
        finished = first.again(records, at_us)
        finished.values = np.concatenate([one.values for one in answers])
        begins = np.cumsum([0, *(len(one.users) for one in answers)]).tolist()
        finished.errors = {
            begin + row: why for begin, one in zip(begins, answers, strict=False) for row, why in one.errors.items()
        }
        finished.present = np.array([record is not None for record in records], np.bool_)
        finished.present[list(finished.errors)] = False
    heads, _ = heads_of(records)
    none = np.array([record is None for record in records], np.bool_)
    time = pa.timestamp("us", tz="UTC")
    count = len(users)
    versions = json.dumps(finished.item_versions, sort_keys=True)
    served = [
        pa.array(users, pa.string()),
        pa.array(at_us).cast(time),
        pa.array([None if record is None else record[VERSION].hex() for record in records], pa.string()),
        pa.array(heads.clock_us, pa.int64(), mask=none).cast(time),
        pa.array(heads.last_event_us, pa.int64(), mask=none).cast(time),
        pa.array(heads.applied, pa.int64()),
        *(pa.array([text], pa.string()).take(pa.array([0] * count)) for text in (first.generation, spec, versions)),
    ]
    writer = RowWriter(first.plan)
    schema = pa.schema([*served_schema(), *writer.schema()])
    return pa.Table.from_arrays([*served, *writer.columns(finished)], schema=schema)
