"""Packed records -> histories: the rows of chosen logs as columns, and decayed sums of vectors as they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.migrate import DECLINED, Blobs, Migrate
from user_state.codec.programs import native_program
from user_state.core.events import I64
from user_state.core.histories import Histories, LogRows, VectorSums
from user_state.core.plan import Plan
from user_state.core.pool import NULL_CODE, StringPool
from user_state.core.reading_program import TEXT, compile_program
from user_state.core.selection import select_outputs


class HistoryReader:
    """Reads the rows of some logs of packed records. Keeps nothing between calls; threads may share it.

    Args:
        plan: what records hold.
        migrate: for records that are of another layout.
        logs: which of the plan's logs.
    """

    def __init__(self, plan: Plan, migrate: Migrate, logs: Sequence[int]) -> None:
        self._plan = plan
        self._migrate = migrate
        self._logs = list(dict.fromkeys(logs))
        self._program = native_program(plan, compile_program(select_outputs(plan, ()), whole=False))

    def read(self, blobs: Blobs) -> Histories:
        """Return the histories of n users; what is wrong with a record shows in `errors`, and costs no other.

        Raises:
            StoreUnavailable, StoreError: as `migrate`.
        """
        found = self._program.histories(blobs, self._logs)
        declined = np.flatnonzero(found[0] == DECLINED).tolist()
        if not declined:
            return histories_of(self._plan, self._logs, found, {})
        moved, broken = self._migrate([blobs[at] for at in declined])
        errors = {declined[at]: reason for at, reason in broken.items()}
        fresh: list[bytes | None] = list(blobs)
        for at, blob in zip(declined, moved, strict=True):
            fresh[at] = blob
        return histories_of(self._plan, self._logs, self._program.histories(fresh, self._logs), errors)


class SumsReader:
    """Reads the decayed sums of one of a plan's vectors, not finished.

    Args:
        plan: what records hold.
        migrate: for records that are of another layout.
        part: which of the plan's vectors.
    """

    def __init__(self, plan: Plan, migrate: Migrate, part: int = 0) -> None:
        self._migrate = migrate
        self._part = part
        self._program = native_program(plan, compile_program(select_outputs(plan, ()), whole=False))

    def read(self, blobs: Blobs) -> tuple[VectorSums, dict[int, str]]:
        """Return the sums of n records, and by index why some could not be read.

        Raises:
            StoreUnavailable, StoreError: as `migrate`.
        """
        status, *found = self._program.sums(blobs, self._part)
        declined = np.flatnonzero(status == DECLINED).tolist()
        if not declined:
            return VectorSums(*found), {}
        moved, broken = self._migrate([blobs[at] for at in declined])
        _, *others = self._program.sums(moved, self._part)
        for mine, other in zip(found, others, strict=True):
            mine[declined] = other
        return VectorSums(*found), {declined[at]: reason for at, reason in broken.items()}


def histories_of(plan: Plan, logs: Sequence[int], found: tuple[Any, ...], errors: dict[int, str]) -> Histories:
    """Return what the compiled code found of some of a plan's logs."""
    status, rows, joined, lengths = found
    return Histories(
        users=len(status),
        logs={log: _rows_of(*of_log) for log, of_log in zip(logs, rows, strict=True)},
        pool=pool_of(joined, lengths),
        errors=errors,
    )


def in_order(histories: Histories, order: I64) -> Histories:
    """Return histories whose i-th user is to be the `order[i]`-th."""
    logs = {}
    for log, rows in histories.logs.items():
        moved = LogRows(order[rows.user], rows.time_us, rows.tie, rows.columns)
        logs[log] = moved.take(np.argsort(moved.user, kind="stable"))
    return Histories(histories.users, logs, histories.pool, histories.errors)


def _rows_of(begins: I64, time_us: I64, tie: I64, columns: tuple[npt.NDArray[Any], ...]) -> LogRows:
    return LogRows(np.repeat(np.arange(len(begins) - 1), np.diff(begins)), time_us, tie, columns)


def pool_of(joined: bytes, lengths: bytes) -> StringPool:
    """Return the pool of several records' dictionaries, given their strings one after the other."""
    sizes = np.frombuffer(lengths, np.uint16)
    return StringPool.of_records(len(sizes), partial(_texts, joined, sizes))


def moved_codes(kind: int, cells: npt.NDArray[Any], by: int) -> npt.NDArray[Any]:
    """Return a column's cells, codes of strings being greater by so much."""
    return np.where(cells == NULL_CODE, NULL_CODE, cells + by) if kind == TEXT else cells


def _texts(joined: bytes, lengths: npt.NDArray[np.uint16]) -> list[str]:
    """Return UTF-8 strings that lie one after the other."""
    listed = lengths.tolist()
    ends = accumulate(listed)
    if joined.isascii():
        text = joined.decode("ascii")
        return [text[end - length : end] for end, length in zip(ends, listed, strict=True)]
    return [joined[end - length : end].decode() for end, length in zip(ends, listed, strict=True)]
