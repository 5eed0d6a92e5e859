"""Histories: the rows of some of a plan's logs, of n users, as their records hold them.

Embeddings over item tables are composed of them, and pairs of learned items derived from them. Rows are sorted by
(user, event time, tie), the tie being the top 32 bits of the event id's hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.state.events import F64, I64, Bool
from user_state.state.string_dictionary import StringPool

TIE_SHIFT = np.uint64(32)


@dataclass(frozen=True)
class LogRows:
    """Rows sorted by (user, time, tie).

    Attributes:
        user: (m,) index of the user.
        time_us: (m,) event time.
        tie: (m,) orders events of one microsecond.
        columns: one (m,) array a field of the log: codes into the records' string pool, float64 or int64.
    """

    user: I64
    time_us: I64
    tie: I64
    columns: tuple[npt.NDArray[Any], ...]

    def take(self, chosen: Bool | I64) -> LogRows:
        """Return the chosen rows, by mask or index."""
        return LogRows(
            self.user[chosen], self.time_us[chosen], self.tie[chosen], tuple(c[chosen] for c in self.columns)
        )


@dataclass(frozen=True)
class Histories:
    """The rows of some logs of n users.

    Attributes:
        users: n.
        logs: by index of the plan's log.
        pool: the strings that codes stand for.
        errors: by user, why the record could not be read; such a user has no rows.
    """

    users: int
    logs: Mapping[int, LogRows]
    pool: StringPool
    errors: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.users

    def of_users(self, chosen: I64) -> Histories:
        """Return those of some users, ascending, numbered as here."""
        number = np.full(self.users, -1, np.int64)
        number[chosen] = np.arange(len(chosen))
        logs = {}
        for log, rows in self.logs.items():
            kept = rows.take(number[rows.user] >= 0)
            logs[log] = replace(kept, user=number[kept.user])
        errors = {int(number[user]): why for user, why in self.errors.items() if number[user] >= 0}
        return Histories(len(chosen), logs, self.pool, errors)


@dataclass(frozen=True)
class VectorSums:
    """Decayed sums of n records, zeros for those that hold none.

    Attributes:
        time_us: (n,) when they are seen from.
        weight: (n, half-lives).
        sums: (n, half-lives, dimensions).
    """

    time_us: I64
    weight: F64
    sums: F64


def older_rows(user: I64) -> I64:
    """Return (m,) how many rows of the same user come before each, for rows grouped by user.

    >>> older_rows(np.array([0, 0, 0, 4, 4])).tolist()
    [0, 1, 2, 0, 1]
    """
    heads = _run_heads(user)
    return np.arange(len(user)) - np.repeat(heads, _run_sizes(heads, len(user)))


def newer_rows(user: I64) -> I64:
    """Return (m,) how many rows of the same user come after each, for rows grouped by user.

    >>> newer_rows(np.array([0, 0, 0, 4, 4])).tolist()
    [2, 1, 0, 1, 0]
    """
    heads = _run_heads(user)
    sizes = _run_sizes(heads, len(user))
    return np.repeat(heads + sizes - 1, sizes) - np.arange(len(user))


def _run_heads(key: I64) -> I64:
    """Return where runs of equal keys (m,) begin.

    >>> _run_heads(np.array([3, 3, 1, 3])).tolist()
    [0, 2, 3]
    """
    changes = np.ones(len(key), np.bool_)
    changes[1:] = key[1:] != key[:-1]
    return changes.nonzero()[0]


def _run_sizes(heads: I64, length: int) -> I64:
    """Return how long each run is of a column that is `length` long, given where they begin.

    >>> _run_sizes(np.array([0, 2, 3]), 4).tolist()
    [2, 1, 1]
    """
    sizes = np.empty_like(heads)
    sizes[:-1] = heads[1:] - heads[:-1]
    sizes[-1:] = length - heads[-1:]
    return sizes
