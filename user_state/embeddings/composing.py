"""Embeddings over vectors from a table, composed when they are read from the last events that a log keeps.

The last K events of a user that count, i = 1 ... K, name items; those that have a vector z_i in the table take part:

    share_i = w_i 2^-((T - t_i)/H)         T the newest such event's time
    mean    sum of share_i z_i / sum of |share_i|                     does not depend on the reading time
    sum     sum of share_i z_i, times 2^-((at - T)/H)                 T if `at` is earlier
    unit    sum of share_i z_i, over its length; zeros if that is next to nothing of what was added up

An event whose item has no vector takes no part, neither above nor below the line, and is counted as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from user_state.embeddings.item_vectors import F32, ItemVectors
from user_state.plan.outputs import ComposedOutput, History
from user_state.plan.plan import Plan
from user_state.state.events import F64, I64
from user_state.state.log_rows import Histories, LogRows, newer_rows
from user_state.state.string_dictionary import NULL_CODE

LEAST_LENGTH = 1e-6
"""A vector shorter than this share of what was added up has no direction but that of rounding."""


@dataclass(frozen=True)
class Composing:
    """The events that take part, of n users, sorted by (user, time, tie).

    Attributes:
        user: (m,) whose.
        time_us: (m,) when.
        weight: (m,) w_i.
        vector: (m, dimensions) z_i.
        missing: (n,) how many of the users' last events name an item without a vector.
        gram: the source of what `fold_in` needs.
    """

    user: I64
    time_us: I64
    weight: F64
    vector: F64
    missing: I64
    gram: ItemVectors

    @property
    def users(self) -> int:
        """How many users, with events or without."""
        return len(self.missing)

    @property
    def heads(self) -> I64:
        """(g,) the first row of each user who has any."""
        return (
            np.flatnonzero(np.concatenate(([True], self.user[1:] != self.user[:-1]))) if len(self.user) else self.user
        )

    def newest_us(self) -> I64:
        """Return (n,) the time of each user's newest event; 0 for those without any."""
        newest = np.zeros(self.users, np.int64)
        newest[self.user] = self.time_us  # rows ascend with time, and the last one written stays
        return newest

    def shares(self, half_life_us: int) -> F64:
        """Return (m,) the weights, decayed up to each user's newest event."""
        age_us = self.newest_us()[self.user] - self.time_us
        return np.asarray(self.weight * np.exp2(-age_us / half_life_us))

    def sum_by_user(self, rows: F64) -> F64:
        """Return (n, ...) the sums of rows (m, ...) by user."""
        total = np.zeros((self.users, *rows.shape[1:]))
        heads = self.heads
        if len(heads):
            total[self.user[heads]] = np.add.reduceat(rows, heads, axis=0)
        return total


def last_rows(histories: Histories, history: History) -> LogRows:
    """Return the last `history.last` rows of each user.

    Rows of before a changed spec asked for what weighs them do not have it, and so no part.
    """
    rows = histories.logs[history.log]
    if history.weight is not None and (unknown := rows.columns[history.weight] == NULL_CODE).any():
        rows = rows.take(~unknown)
    newer = newer_rows(rows.user)
    return rows if len(newer) == 0 or newer.max() < history.last else rows.take(newer < history.last)


def mentioned(plan: Plan, histories: Histories) -> dict[str, list[str]]:
    """Return the items that each table is asked for when vectors are composed of these histories."""
    codes: dict[str, set[int]] = {table: set() for table in plan.item_tables}
    for table, history in dict.fromkeys((output.table, output.history) for output in plan.composed):
        codes[table].update(last_rows(histories, history).columns[history.item].tolist())
    texts = histories.pool.texts
    # Several users' codes may stand for one item.
    return {table: list(dict.fromkeys(texts[code] for code in sorted(wanted))) for table, wanted in codes.items()}


def seen_items(histories: Histories, history: History) -> list[str]:
    """Return the items of the last events of all these users together."""
    codes = np.unique(last_rows(histories, history).columns[history.item]).tolist()
    return list(dict.fromkeys(histories.pool[code] for code in codes))


def take_part(histories: Histories, history: History, vectors: ItemVectors) -> Composing:
    """Return the last events of each user, with their items' vectors."""
    rows = last_rows(histories, history)
    codes, which = np.unique(rows.columns[history.item], return_inverse=True)
    texts = histories.pool.texts
    table, there = vectors.lookup([texts[code] for code in codes.tolist()])
    found = there[which]
    missing = np.bincount(rows.user[~found], minlength=len(histories)).astype(np.int64)
    kept, which = rows.take(found), which[found]
    weight = _weights(histories, kept, history)
    return Composing(kept.user, kept.time_us, weight, table[which].astype(np.float64), missing, vectors)


def _weights(histories: Histories, rows: LogRows, history: History) -> F64:
    if history.weight is None or history.weights is None:
        return np.ones(len(rows.user))
    weights: Mapping[str, float] = dict(history.weights)
    codes, which = np.unique(rows.columns[history.weight], return_inverse=True)
    # The filter lets only events with a listed value into the log.
    of_code = np.array([weights[histories.pool[code]] for code in codes.tolist()], np.float64)
    return of_code[which]


def compose(part: Composing, output: ComposedOutput, at_us: int | I64) -> F32:
    """Return (n, dimensions) means, sums or directions; zeros for users without any event that takes part.

    `at_us` is one time, or (n,).
    """
    shares = part.shares(output.half_life_us)
    total = part.sum_by_user(shares[:, None] * part.vector)
    if output.unit:
        lengths = np.abs(shares) * np.sqrt((part.vector**2).sum(axis=1))
        added = part.sum_by_user(lengths)
        length = np.sqrt((total**2).sum(axis=1))
        scale = np.where(length > LEAST_LENGTH * added, length, np.inf)
    elif output.read == "mean":
        below = part.sum_by_user(np.abs(shares))
        scale = np.where(below > 0, below, np.inf)
    else:
        since_us = np.maximum(at_us - part.newest_us(), 0)
        with np.errstate(over="ignore"):
            scale = np.asarray(np.exp2(since_us / output.half_life_us))
    with np.errstate(over="ignore"):
        composed: F32 = (total / scale[:, None]).astype(np.float32)
    return composed
