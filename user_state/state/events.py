"""A batch of decoded events as columns.

Built from event rows `(user, id_hash, time_us, published_us, *fields)`, the fields being `plan.fields` in order.
Strings are codes into one pool a batch, so that every later step compares integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from user_state import native
from user_state.plan.plan import Plan
from user_state.state.string_dictionary import NULL_CODE, StringPool

Bool = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

EventRow = tuple[Any, ...]
NULL_INT = np.iinfo(np.int64).min
"""Stands for null in int and bool columns, as NULL_CODE does in string columns and NaN, which events may not carry, in
float columns."""
FIXED_COLUMNS = 4


class ListColumn(NamedTuple):
    """A list for each of m events.

    Attributes:
        ends: (m + 1,) 0, and then where the values of each event end.
        values: those of all events.
    """

    ends: I64
    values: npt.NDArray[Any]

    def take(self, chosen: Bool | I64) -> ListColumn:
        """Return the lists of the chosen events, by mask or index."""
        sizes = np.diff(self.ends)[chosen]
        begins = self.ends[:-1][chosen]
        ends = np.concatenate([[0], np.cumsum(sizes)])
        at = np.arange(ends[-1]) + np.repeat(begins - ends[:-1], sizes)
        return ListColumn(ends, self.values[at])

    def rows(self, begin: int, end: int) -> ListColumn:
        """Return the lists of consecutive events; their values are a view."""
        ends = self.ends[begin : end + 1]
        return ListColumn(ends - ends[0], self.values[ends[0] : ends[-1]])


Column = npt.NDArray[Any] | ListColumn


@dataclass(frozen=True)
class Events:
    """m events of n users.

    Attributes:
        users: the n users' ids.
        user: (m,) index into `users`.
        id_hash: (m,) xxh64 of the event id.
        time_us, published_us: (m,) microseconds UTC.
        columns: for each of `plan.fields` an array (m,) of int64 codes into `pool`, float64, or int64; or lists.
        pool: the strings that codes stand for.
    """

    users: list[str]
    user: I64
    id_hash: U64
    time_us: I64
    published_us: I64
    columns: tuple[Column, ...]
    pool: StringPool

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def from_rows(cls, plan: Plan, rows: Sequence[EventRow]) -> Events:
        """Turn rows into columns; the rows' values must be of the plan's kinds, None for null.

        Raises:
            ValueError: they are not.
        """
        taken = native.columns_of_rows(plan.kinds, rows)
        if taken is None:
            raise ValueError("expected rows of the plan's fields, each of its kind or None, got others")
        users, user, id_hash, time_us, published_us, columns, code_of = taken
        return cls(users, user, id_hash, time_us, published_us, _columns(columns), StringPool.of_codes(code_of))

    @classmethod
    def of_batch(cls, batch: native.EventBatch) -> Events:
        """Return a batch's columns; the arrays are views of it."""
        users, user, id_hash, time_us, published_us, columns, code_of = batch.columns()
        return cls(users, user, id_hash, time_us, published_us, _columns(columns), StringPool.of_codes(code_of))

    def take(self, chosen: Bool | I64) -> Events:
        """Return the chosen events, by mask or index; users and pool stay."""
        return Events(
            self.users,
            self.user[chosen],
            self.id_hash[chosen],
            self.time_us[chosen],
            self.published_us[chosen],
            tuple(column.take(chosen) if isinstance(column, ListColumn) else column[chosen] for column in self.columns),
            self.pool,
        )

    def of_their_users(self) -> tuple[I64, Events]:
        """Return (which users have events, ascending; the events with a list of users that holds those alone)."""
        present = np.bincount(self.user, minlength=len(self.users)).nonzero()[0]
        if len(present) == len(self.users):
            return present, self
        number = np.zeros(len(self.users), np.int64)
        number[present] = np.arange(len(present))
        return present, replace(self, users=[self.users[user] for user in present.tolist()], user=number[self.user])

    def has(self, plan: Plan, field: int) -> Bool:
        """Return (m,) whether each event's field is not null; of a list, whether it has a value."""
        column = self.columns[field]
        if isinstance(column, ListColumn):
            return np.asarray(np.diff(column.ends) > 0, np.bool_)
        match plan.fields[field].value_kind:
            case "string":
                present = column != NULL_CODE
            case "float":
                present = ~np.isnan(column)
            case _:
                present = column != NULL_INT
        return np.asarray(present, np.bool_)


def _columns(columns: Sequence[Any]) -> tuple[Column, ...]:
    return tuple(ListColumn(*column) if isinstance(column, tuple) else column for column in columns)
