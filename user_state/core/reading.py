"""`features(records, at)`: windows, last values and embeddings, finished at the moment of reading."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.decays import read_decay
from user_state.core.events import F64, I64, NULL_CODE, NULL_INT
from user_state.core.finishing import finish
from user_state.core.logs import LogRows, newer_rows
from user_state.core.plan import DecayedOutput, ListOutput, Plan, ScalarOutput, SequenceOutput, Window
from user_state.core.records import Records
from user_state.core.tiles import sum_windows
from user_state.core.time_axis import window_start_s
from user_state.core.vectors import F32, mean_vectors


@dataclass(frozen=True)
class Padded:
    """Sequences of n users, newest first, padded to the longest that the spec allows.

    Attributes:
        length: (n,) how many entries each user has.
        columns: field name -> (n, last): objects (str or None) for strings, float64 with NaN for null, or int64 with
            the smallest int64 for null. Beyond `length`: None, NaN, or the smallest int64.
        single: whether this is one field's values (`last_k`) and not a sequence of several fields.
    """

    length: I64
    columns: dict[str, npt.NDArray[Any]]
    single: bool = False

    def of_user(self, index: int) -> list[Any] | dict[str, list[Any]]:
        """Return one user's entries without padding, nulls as None: a list if `single`, else a list a field."""
        length = int(self.length[index])
        lists = {name: [_or_none(v) for v in grid[index, :length].tolist()] for name, grid in self.columns.items()}
        return next(iter(lists.values())) if self.single else lists


def _or_none(value: Any) -> Any:
    return None if value == NULL_INT or value != value else value  # noqa: PLR0124 - only NaN differs from itself


@dataclass(frozen=True)
class Features:
    """Everything the spec declares, for n users at one time.

    Attributes:
        values: (n, len(plan.scalars)) float64.
        sequences: `last_k` outputs and sequences by name.
        embeddings: (n, dimensions) float32 by name.
    """

    values: F64
    sequences: dict[str, Padded]
    embeddings: dict[str, F32]


def features(plan: Plan, records: Records, at_us: int) -> Features:
    """Finish the records at `at_us`, microseconds UTC.

    Right for any `at_us` no more than `max_clock_skew` before a user's clock; earlier readings may miss events that
    were rolled up or dropped since.
    """
    pool = np.array([*records.pool, None], object)  # the last one is where a null's code of -1 points
    sequences: dict[str, Padded] = {}
    for output in plan.lists:
        sequences[output.name] = _last_values(plan, records, output, at_us, pool)
    for sequence in plan.sequences:
        sequences[sequence.name] = _sequence(records, sequence, at_us, pool)
    return Features(
        values=_scalars(plan, records, at_us),
        sequences=sequences,
        embeddings={e.name: mean_vectors(records.vectors[e.vectors], e.half_life) for e in plan.embeddings},
    )


def _scalars(plan: Plan, records: Records, at_us: int) -> F64:
    values = np.empty((len(records), len(plan.scalars)))
    tiled = [(column, output) for column, output in enumerate(plan.scalars) if isinstance(output, ScalarOutput)]
    starts = {output.window: _start_s(output.window, at_us) for _, output in tiled}
    longest_first = sorted(starts, key=lambda window: starts[window])
    position = {window: index for index, window in enumerate(longest_first)}
    starts_s = np.array([starts[window] for window in longest_first], np.int64)
    sums = sum_windows(plan, records.tiles, len(records), starts_s)
    for column, output in tiled:
        at = position[output.window]
        count, numbers = sums.count[:, at, output.track], sums.values[:, :, at, output.track]
        values[:, column] = finish(output.aggregate, count, numbers, at_us, output.empty)
    for column, decayed in enumerate(plan.scalars):
        if isinstance(decayed, DecayedOutput):
            decay, part = plan.decays[decayed.decay], records.decays[decayed.decay]
            values[:, column] = read_decay(decay, part, decayed.half_life, at_us, decayed.empty)
    return values


def _start_s(window: Window, at_us: int) -> int:
    return 0 if window.reach_s is None else window_start_s(at_us, window.reach_s, window.width_s)


def _last_values(plan: Plan, records: Records, output: ListOutput, at_us: int, pool: npt.NDArray[Any]) -> Padded:
    log = plan.logs[output.log]
    field = plan.fields[log.fields[output.column]]
    window = output.window
    since_us = _start_s(window, at_us) * 1_000_000
    columns = {field.name: (output.column, field.kind)}
    rows = records.logs[output.log]
    padded = _pad(rows, len(records), since_us=since_us, last=output.k, columns=columns, pool=pool)
    return replace(padded, single=True)


def _sequence(records: Records, output: SequenceOutput, at_us: int, pool: npt.NDArray[Any]) -> Padded:
    since_us = 0 if output.within_us is None else at_us - output.within_us
    columns = {field.name: (column, field.kind) for field, column in zip(output.fields, output.columns, strict=True)}
    rows = records.logs[output.log]
    return _pad(rows, len(records), since_us=since_us, last=output.last, columns=columns, pool=pool)


def _pad(
    rows: LogRows,
    users: int,
    *,
    since_us: int,
    last: int,
    columns: dict[str, tuple[int, str]],
    pool: npt.NDArray[Any],
) -> Padded:
    if since_us > 0:
        rows = rows.take(rows.time_us >= since_us)
    newer = newer_rows(rows.user)
    if len(newer) and newer.max() >= last:
        rows, newer = rows.take(newer < last), newer[newer < last]
    padded = {}
    for name, (column, kind) in columns.items():
        values = rows.columns[column]
        if kind == "string":
            grid = np.full((users, last), NULL_CODE, np.int64)
            grid[rows.user, newer] = values
            padded[name] = pool[grid]
        else:
            grid = np.full((users, last), np.nan if kind == "float" else NULL_INT, values.dtype)
            grid[rows.user, newer] = values
            padded[name] = grid
    return Padded(np.bincount(rows.user, minlength=users).astype(np.int64), padded)
