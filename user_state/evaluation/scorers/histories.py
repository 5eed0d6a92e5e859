"""What each user did so far, as lists of items: what the neighbourhood methods learn from."""

from __future__ import annotations

from collections import defaultdict

from user_state.errors import InputError
from user_state.evaluation.interactions import Interactions

MOST_DENSE_ITEMS = 20_000
"""Matrices of items by items are kept dense up to here: 3.2 GB of float64."""


class Histories:
    """Per user: the items in order, and the distinct ones."""

    def __init__(self) -> None:
        self.sequence: defaultdict[int, list[int]] = defaultdict(list)
        self._distinct: defaultdict[int, dict[int, None]] = defaultdict(dict)

    def distinct(self, user: int) -> list[int]:
        """Return the user's items, each once, by first meeting."""
        return list(self._distinct[user])

    def add(self, user: int, item: int) -> bool:
        """Append; return whether the item is new to the user."""
        new = item not in self._distinct[user]
        self._distinct[user][item] = None
        self.sequence[user].append(item)
        return new


def need_dense(log: Interactions, method: str) -> int:
    """Return the number of items.

    Raises:
        InputError: too many for a dense matrix.
    """
    if len(log.items) > MOST_DENSE_ITEMS:
        raise InputError(
            f"expected at most {MOST_DENSE_ITEMS:,} items for {method}, which keeps a matrix of items by items;"
            f" {log.source} has {len(log.items):,}"
        )
    return len(log.items)
