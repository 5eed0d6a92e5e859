"""Numbers by key, in groups that hold a bounded number of keys each: what both families of keyed state are made of.

A row is (group, key) -> weight, and sums if an output needs them. A group is what is bounded: a user's tile of a track
(keyed_tiles.py), or a user's decayed track (keyed_decays.py). A key is a tuple of up to three numbers: string codes,
ints, or bools; those of no more than one column are 0 in the others.

A group that would hold more than K keys is cut by the mergeable Misra-Gries rule: the (K+1)-th largest weight is taken
from every key's, and keys of which nothing is left are dropped. What was taken away goes to the group's **rest**, a
row of its own, so that a group's total stays exact. A cut by s takes s from K+1 keys at least, so the rest grows by
(K+1) s at least: a key's weight is never too large, and too small by at most

    rest / (K+1)  <=  total / (K+1)

however many cuts and merges there were. The rule goes by weights alone, so keys need no order. A key's sums shrink in
the proportion of its weight. A group that never had more than K keys is exact, and a function of the set of events.

Source: Agarwal, Cormode, Huang, Phillips, Wei, Yi, "Mergeable Summaries", PODS 2012, section 3.1; Misra, Gries,
"Finding repeated elements", 1982.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import F64, I64, NULL_INT, Bool, Events
from user_state.core.plan import Plan
from user_state.core.ragged import begins_of

REST = NULL_INT
"""Stands in all columns of a rest's key. No key has it: an event whose key field is null has no part."""


@dataclass(frozen=True)
class KeyedRows:
    """Rows grouped by ascending group, each key of a group once, in no particular order.

    Attributes:
        group: (m,) what the families pack into it.
        keys: (columns, m) the key, or REST in all columns.
        weight: (m,) int64 counts or float64 decayed counts, above 0.
        sums: (width, m) of the field's values, 0 where the track sums none; width is 0 or 1.
    """

    group: I64
    keys: I64
    weight: npt.NDArray[Any]
    sums: F64

    def __len__(self) -> int:
        return len(self.group)

    @property
    def rest(self) -> Bool:
        """(m,) whether the row is what keys that are no longer there left behind."""
        return np.asarray(self.keys[0] == REST, np.bool_)

    @classmethod
    def empty(cls, columns: int, width: int, dtype: type[np.int64] | type[np.float64]) -> KeyedRows:
        """Return no rows; a key has at least one column."""
        none = np.empty(0, np.int64)
        return cls(none, np.empty((max(columns, 1), 0), np.int64), np.empty(0, dtype), np.empty((width, 0)))

    def take(self, chosen: Bool | I64) -> KeyedRows:
        """Return the chosen rows, by mask or index."""
        # Taking by index is several times as fast as indexing columns side by side.
        rows = chosen.nonzero()[0] if chosen.dtype == np.bool_ else chosen
        columns = self.keys.take(rows, axis=1), self.weight.take(rows), self.sums.take(rows, axis=1)
        return KeyedRows(self.group.take(rows), *columns)


def side_by_side(parts: Sequence[KeyedRows]) -> KeyedRows:
    """Return the rows of all parts, which have the same columns, unsorted."""
    return KeyedRows(
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.keys for part in parts], axis=1),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.sums for part in parts], axis=1),
    )


def add_up(rows: KeyedRows) -> KeyedRows:
    """Return the rows with those of one group and key added, groups ascending."""
    if len(rows) == 0:
        return rows
    rows = rows.take(np.lexsort((*rows.keys[::-1], rows.group)))
    differs = rows.group[1:] != rows.group[:-1]
    for column in rows.keys:
        differs |= column[1:] != column[:-1]
    heads = np.flatnonzero(np.concatenate(([True], differs)))
    if len(heads) == len(rows):
        return rows
    # Overflow to infinity is what IEEE 754 says of sums this large, and no reason to warn.
    with np.errstate(over="ignore", invalid="ignore"):
        weight, sums = np.add.reduceat(rows.weight, heads), np.add.reduceat(rows.sums, heads, axis=1)
    return KeyedRows(rows.group[heads], rows.keys[:, heads], weight, sums)


def cut(rows: KeyedRows, most_of: Callable[[I64], I64]) -> KeyedRows:
    """Return rows that were added up, with no more keys a group than `most_of` (groups (m,)) allows (m,)."""
    kept = np.flatnonzero(~rows.rest)
    group = rows.group[kept]
    if len(group) == 0:
        return rows
    heads = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    sizes = np.diff(np.append(heads, len(group)))
    most = most_of(group[heads])
    over = sizes > most
    if not over.any():
        return rows
    crowded = kept[np.repeat(over, sizes)]
    sizes, most = sizes[over], most[over]
    return add_up(_cut(rows, crowded, sizes, most))


def _cut(rows: KeyedRows, crowded: I64, sizes: I64, most: I64) -> KeyedRows:
    """Return the rows, unsorted and rests not yet added, after the `crowded` ones were cut.

    `crowded` are the keys of groups that hold too many: groups one after the other, of `sizes`, all above `most`.
    """
    within = rows.take(crowded)
    heaviest_first = np.lexsort((-within.weight, within.group))
    begins = begins_of(sizes)
    less = np.repeat(within.weight[heaviest_first[begins + most]], sizes)
    with np.errstate(over="ignore", invalid="ignore"):
        left = within.weight - less
        stays = left > 0
        sums = np.where(stays, within.sums * (left / within.weight), 0.0)
        rest = KeyedRows(
            within.group,
            np.full_like(within.keys, REST),
            np.where(stays, less, within.weight),
            np.where(stays, within.sums - sums, within.sums),
        )
    others = np.ones(len(rows), np.bool_)
    others[crowded] = False
    smaller = KeyedRows(within.group, within.keys, left, sums).take(stays)
    return side_by_side([rows.take(others), smaller, rest])


def key_columns(plan: Plan, by: tuple[int, ...], events: Events) -> tuple[Bool, list[I64]]:
    """Return (which events (m,) have a key, the key's columns (m,) each): the values of the fields `by`."""
    present = np.ones(len(events), np.bool_)
    for field in by:
        present &= events.has(plan, field)
    return present, [events.columns[field] for field in by]


def lift_keys(columns: Sequence[I64], height: int, chosen: I64) -> I64:
    """Return (height, chosen) the keys of chosen events, 0 in columns that the key does not have."""
    keys = np.zeros((height, len(chosen)), np.int64)
    for index, column in enumerate(columns):
        keys[index] = column[chosen]
    return keys


def recode_keys(rows: KeyedRows, texts: npt.NDArray[np.bool_], track: I64, becomes: I64) -> KeyedRows:
    """Return rows whose string codes are exchanged: code c for `becomes[c]`.

    Args:
        rows: m rows.
        texts: (columns, tracks) whether that column of a track's keys is of strings.
        track: (m,) each row's track.
        becomes: (codes + 1,).
    """
    if not texts.any() or len(rows) == 0:
        return rows
    chosen = texts[:, track] & ~rows.rest
    keys = rows.keys.copy()
    keys[chosen] = becomes[keys[chosen]]
    return KeyedRows(rows.group, keys, rows.weight, rows.sums)


@lru_cache(maxsize=256)
def text_columns(kinds_of: tuple[tuple[str, ...], ...]) -> npt.NDArray[np.bool_]:
    """Return (columns, tracks) whether that column of a track's keys is of strings, given the kinds of each track's."""
    texts = np.zeros((height_of(kinds_of), len(kinds_of)), np.bool_)
    for track, kinds in enumerate(kinds_of):
        texts[: len(kinds), track] = [kind == "string" for kind in kinds]
    texts.flags.writeable = False
    return texts


def height_of(kinds_of: Sequence[tuple[str, ...]]) -> int:
    """Return how many columns hold the keys of all tracks, given the kinds of each track's."""
    return max(map(len, kinds_of), default=1)


def with_height(keys: I64, height: int) -> I64:
    """Return keys in so many columns, where those that are cut off are not used."""
    if len(keys) >= height:
        return keys[:height]
    added = np.where(keys[0] == REST, REST, 0)
    return np.concatenate([keys, np.broadcast_to(added, (height - len(keys), keys.shape[1]))])
