"""What a scorer of recent items needs of a user's state: the user's items with a decayed count for each half-life.

    c_h(i) = sum over the user's interactions with i of 2^-((at - t)/h)

`ReferenceCounts` computes it in numpy from the log: it is no record. `record_counts.RecordCounts` reads it from
records. Whatever has `learn` and `read` can be handed to the scorers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import F64, I64, Interactions


class RecentCounts(Protocol):
    """The decayed counts of every user."""

    def learn(self, begin: int, end: int) -> None:
        """Take in the log's interactions from `begin` up to `end`."""
        ...

    def read(self, user: int, at_us: int) -> tuple[I64, F64]:
        """Return (n,) items of the user, each once, and (n, half-lives) counts; do not change them.

        Counts may be those of any one time up to `at_us`, best that of the user's newest interaction: scorers use
        shares, which do not depend on it, while counts themselves decay to nothing in a long pause.
        """
        ...


@dataclass
class _OfUser:
    slot: dict[int, int] = field(default_factory=dict)
    items: list[int] = field(default_factory=list)
    counts: F64 = field(default_factory=lambda: np.zeros((0, 0)))
    time_us: int = 0


class ReferenceCounts:
    """Decayed counts by forward decay, of the `keep` items that weigh most; of all, if 0.

    An item's weight is the sum over half-lives of its share of the count, so that the short ones have a say too.
    Interactions must come in order of time; that is what this reference does not do and a record does.

    Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay", ICDE 2009.
    """

    def __init__(self, log: Interactions, half_lives_us: I64, *, keep: int = 0) -> None:
        if keep < 0:
            raise InputError(f"expected to keep some items, or 0 for all, got {keep}")
        self._log = log
        self._half_lives_us = half_lives_us.astype(np.float64)
        self._keep = keep
        self._of: dict[int, _OfUser] = {}
        self._nothing = (np.zeros(0, np.int64), np.zeros((0, len(half_lives_us))))

    def learn(self, begin: int, end: int) -> None:
        """Decay and count."""
        log = self._log
        users, items, times = (
            log.user[begin:end].tolist(),
            log.item[begin:end].tolist(),
            log.time_us[begin:end].tolist(),
        )
        for user, item, time_us in zip(users, items, times, strict=True):
            state = self._of.get(user)
            if state is None:
                state = self._of[user] = _OfUser(counts=np.zeros((0, len(self._half_lives_us))), time_us=time_us)
            if time_us > state.time_us:
                state.counts = state.counts * np.exp2((state.time_us - time_us) / self._half_lives_us)
                state.time_us = time_us
            at = state.slot.get(item)
            if at is None:
                state.slot[item] = len(state.items)
                state.items.append(item)
                state.counts = np.vstack((state.counts, np.ones(len(self._half_lives_us))))
                if 0 < self._keep < len(state.items):
                    self._drop_lightest(state)
            else:
                state.counts[at] += 1

    def read(self, user: int, at_us: int) -> tuple[I64, F64]:
        """Return the user's items and their counts at the user's newest interaction."""
        state = self._of.get(user)
        if state is None:
            return self._nothing
        return np.array(state.items, np.int64), state.counts

    def _drop_lightest(self, state: _OfUser) -> None:
        weight = shares(state.counts).sum(axis=1)
        # The newest stays even if it is among the lightest, or nothing new could ever get in.
        lightest = int(np.argmin(weight[:-1]))
        del state.items[lightest]
        state.counts = np.delete(state.counts, lightest, axis=0)
        state.slot = {item: at for at, item in enumerate(state.items)}


def shares(counts: F64) -> F64:
    """Return (n, half-lives) counts divided by each half-life's total; zeros where that is 0.

    Without this the longest half-life would outvote the others: its counts are the largest.

    >>> shares(np.array([[1.0, 3.0], [1.0, 1.0]])).tolist()
    [[0.5, 0.75], [0.5, 0.25]]
    """
    total = counts.sum(axis=0)
    divided: F64 = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return divided
