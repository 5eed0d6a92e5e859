"""Decayed counts of recent items, read from records as Redis holds them: `recent_counts` without a reference.

A record is a function of its user's events, so what it says after each of a user's events is worked out once, for all
users side by side: fold everybody's first event, read; fold the second, read; and so on. A question is then answered by
how many of the user's events are visible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from user_state.errors import InputError
from user_state.evaluation.interactions import F64, I64, Interactions
from user_state.evaluation.own_spec import own_rows, own_spec
from user_state.evaluation.replay import LogReplay, Reading
from user_state.plan.compile import compile_plan
from user_state.state.padding import Padded

MOST_KEPT = 64


class RecordCounts:
    """The shares of `recent_items` embeddings, one a half-life.

    Args:
        log: the interactions.
        half_lives: as a spec has them.
        keep: how many items a record keeps a half-life; 0 for what a spec keeps if it does not say.

    Raises:
        InputError, SpecError: settings that no spec could have.
    """

    def __init__(self, log: Interactions, half_lives: Sequence[str], *, keep: int = 0) -> None:
        if keep < 0:
            raise InputError(f"expected to keep some items, or 0 for {MOST_KEPT}, got {keep}")
        kept = keep or MOST_KEPT
        declared = {"kind": "recent_items", "of": "item_id", "half_life": list(half_lives), "k": kept, "keys": kept}
        self._plan = compile_plan(own_spec({"embeddings": {"recent": declared}}))
        self._names = [output.name for output in self._plan.lists]
        self._log = log
        self._learnt: defaultdict[int, int] = defaultdict(int)
        self._after: dict[tuple[int, int], tuple[I64, F64]] = {}
        self._nothing = (np.zeros(0, np.int64), np.zeros((0, len(half_lives))))

    def learn(self, begin: int, end: int) -> None:
        """Note how many of each user's events are visible."""
        for user in self._log.user[begin:end].tolist():
            self._learnt[user] += 1

    def read(self, user: int, at_us: int) -> tuple[I64, F64]:
        """Return the user's items, and their shares of the user's decayed counts."""
        if not self._after:
            self._read_all()
        return self._after.get((user, self._learnt[user]), self._nothing)

    def _read_all(self) -> None:
        log = self._log
        replayed = LogReplay(self._plan, own_rows(self._plan, log), log.source)
        code_of = {name: code for code, name in enumerate(log.items)}
        counts: defaultdict[int, int] = defaultdict(int)
        readings, events = [], []
        for position, user in enumerate(log.user.tolist()):
            counts[user] += 1
            readings.append(Reading(log.users[user], int(log.time_us[position]), position + 1))
            events.append((user, counts[user]))
        for chosen, finished in replayed.read(readings, self._names):
            tables = [finished.sequences[name] for name in self._names]
            for row, index in enumerate(chosen.tolist()):
                self._after[events[index]] = _beside_one_another(tables, row, code_of)


def _beside_one_another(tables: Sequence[Padded], row: int, code_of: dict[str, int]) -> tuple[I64, F64]:
    """Return (items (n,), shares (n, tables)) of one user, 0 where a table does not list the item."""
    listed = [table.columns["item_id"][row, : table.length[row]].tolist() for table in tables]
    place = {item: at for at, item in enumerate(dict.fromkeys(item for items in listed for item in items))}
    shares = np.zeros((len(place), len(tables)))
    for column, (table, items) in enumerate(zip(tables, listed, strict=True)):
        shares[[place[item] for item in items], column] = table.columns["share"][row, : len(items)]
    return np.array([code_of[item] for item in place], np.int64), shares
