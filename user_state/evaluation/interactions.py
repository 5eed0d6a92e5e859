"""A log of interactions as columns, in the order in which they happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from user_state.errors import InputError
from user_state.state.events import EventRow

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interactions:
    """m interactions of n users with items of a catalogue, times never descending.

    Attributes:
        source: where they came from, for messages and reports.
        user, item: (m,) codes into `users` and `items`.
        time_us: (m,) microseconds UTC, ascending; equal times in the order of the file.
        users, items: names; `items` is the catalogue, which may hold items without an interaction.
        rows: (m,) the event rows of a spec's plan, if the log was read with a spec; else None.
        left_out: how many lines or events of the file are not in the log, by reason.
    """

    source: str
    user: I64
    item: I64
    time_us: I64
    users: list[str]
    items: list[str]
    rows: Sequence[EventRow] | None = None
    left_out: tuple[tuple[str, int], ...] = ()

    def __len__(self) -> int:
        return len(self.user)

    def first(self, count: int) -> Interactions:
        """Return the log's beginning, with the whole catalogue."""
        rows = None if self.rows is None else self.rows[:count]
        return replace(self, user=self.user[:count], item=self.item[:count], time_us=self.time_us[:count], rows=rows)


def in_order(
    source: str,
    triples: Sequence[tuple[str, str, int]],
    *,
    catalogue: Sequence[str] = (),
    rows: Sequence[EventRow] | None = None,
    left_out: tuple[tuple[str, int], ...] = (),
) -> Interactions:
    """Return (user, item, time in microseconds) triples as a log, sorted by time; equal times keep their order.

    `catalogue` names items that exist beside those in the triples.

    Raises:
        InputError: there are no triples.

    >>> log = in_order("here", [("ann", "tea", 2), ("bob", "jam", 1)])
    >>> log.users, log.items, log.user.tolist(), log.time_us.tolist()
    (['ann', 'bob'], ['jam', 'tea'], [1, 0], [1, 2])
    """
    if not triples:
        raise InputError(f"expected interactions in {source}, got none{_because(left_out)}")
    users = sorted({user for user, _, _ in triples})
    items = sorted({item for _, item, _ in triples} | set(catalogue))
    user_code = {name: code for code, name in enumerate(users)}
    item_code = {name: code for code, name in enumerate(items)}
    time_us = np.array([time for _, _, time in triples], np.int64)
    order = np.argsort(time_us, kind="stable")
    return Interactions(
        source=source,
        user=np.array([user_code[user] for user, _, _ in triples], np.int64)[order],
        item=np.array([item_code[item] for _, item, _ in triples], np.int64)[order],
        time_us=time_us[order],
        users=users,
        items=items,
        rows=None if rows is None else [rows[at] for at in order.tolist()],
        left_out=left_out,
    )


def _because(left_out: tuple[tuple[str, int], ...]) -> str:
    reasons = [f"{count:,} {reason}" for reason, count in left_out if count]
    return f" ({', '.join(reasons)})" if reasons else ""
