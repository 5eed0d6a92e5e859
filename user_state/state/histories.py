"""Packed records -> histories: the rows of chosen logs as columns, and decayed sums of vectors as they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state import native
from user_state.plan.plan import Plan
from user_state.plan.reading_program import ReadingProgram, compile_program
from user_state.plan.selection import select_outputs
from user_state.state.events import I64
from user_state.state.log_rows import Histories, LogRows, VectorSums
from user_state.state.records import PackedRecords
from user_state.state.string_dictionary import StringPool


class HistoryReader:
    """Reads the rows of some logs of packed records. Keeps nothing between calls; threads may share it.

    Args:
        plan: what records hold.
        records: migrates those of another layout.
        logs: which of the plan's logs.
    """

    def __init__(self, plan: Plan, records: PackedRecords, logs: Sequence[int]) -> None:
        self._records = records
        self._logs = list(dict.fromkeys(logs))
        self._native = native_program(plan, compile_program(select_outputs(plan, ()), whole=False))

    def read(self, blobs: Sequence[bytes | None], at_us: int | I64 | None = None) -> Histories:
        """Return the histories of n users; what is wrong with a record shows in `errors`, and costs no other.

        Args:
            blobs: n packed records, None being a user without one.
            at_us: the reading time that the rows are for, one or (n,), microseconds UTC: a record that cannot answer
                for it is refused. None refuses none.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """
        times_us: I64 | None = None
        if at_us is not None:
            times_us = np.empty(len(blobs), np.int64)
            times_us[:] = at_us
        found, errors = self._records.reading(
            lambda: self._native.histories(self._records.native, blobs, self._logs, times_us)
        )
        return histories_of(len(blobs), self._logs, found, errors)


class SumsReader:
    """Reads the decayed sums of one of a plan's vectors, not finished.

    Args:
        plan: what records hold.
        records: migrates those of another layout.
        part: which of the plan's vectors.
    """

    def __init__(self, plan: Plan, records: PackedRecords, part: int = 0) -> None:
        self._records = records
        self._part = part
        self._native = native_program(plan, compile_program(select_outputs(plan, ()), whole=False))

    def read(self, blobs: Sequence[bytes | None]) -> tuple[VectorSums, dict[int, str]]:
        """Return the sums of n records, and by index why some could not be read.

        Raises:
            StoreUnavailable, StoreError: as the source of layouts.
        """
        found, errors = self._records.reading(lambda: self._native.sums(self._records.native, blobs, self._part))
        return VectorSums(*found), errors


def native_program(plan: Plan, program: ReadingProgram) -> native.ReadingProgram:
    """Return the compiled core's own of what is read from records of a plan."""
    return native.ReadingProgram(program.described | {"layout": plan.layout.fingerprint})


def histories_of(users: int, logs: Sequence[int], found: tuple[Any, ...], errors: dict[int, str]) -> Histories:
    """Return what the compiled core found of some logs of n users."""
    rows, joined, lengths = found
    of_logs = {log: _rows_of(*of_log) for log, of_log in zip(logs, rows, strict=True)}
    return Histories(users, of_logs, pool_of(joined, lengths), errors)


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
    """Return the pool of several records' dictionaries, given their strings one after the other.

    Args:
        joined: UTF-8.
        lengths: of each string in bytes, two bytes a length.
    """
    return StringPool.of_records(len(lengths) // 2, partial(_texts, joined, lengths), (joined, lengths))


def _texts(joined: bytes, lengths: bytes) -> list[str]:
    listed = np.frombuffer(lengths, np.uint16).tolist()
    ends = accumulate(listed)
    if joined.isascii():
        text = joined.decode("ascii")
        return [text[end - length : end] for end, length in zip(ends, listed, strict=True)]
    return [joined[end - length : end].decode() for end, length in zip(ends, listed, strict=True)]
