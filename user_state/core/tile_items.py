"""Tiles that hold several items each, one row an item: what placing and sorting them have in common.

Records are long and batches short, so most rows stay where they were: placing looks at tiles and not at rows, and
only tiles whose items are out of order are sorted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.ragged import run_heads
from user_state.core.tiles import place_keys
from user_state.core.track_axes import TrackAxes

I64 = npt.NDArray[np.int64]


def join_items(axes: TrackAxes, key: I64, items: npt.NDArray[Any], clock_us: I64) -> tuple[I64, npt.NDArray[Any]]:
    """Return the rows (m,) placed on the time axis of each user's clock (n,), sorted by tile, then item.

    Rows that no output reads any more are left out. `key` and `items` are not changed.
    """
    heads = run_heads(key)
    sizes = np.diff(np.append(heads, len(key)))
    placed, kept = place_keys(axes, key[heads], clock_us)
    key = np.repeat(placed, sizes)
    if not kept.all():
        of_row = np.repeat(kept, sizes)
        key, items = key[of_row], items[of_row]
    # Stable: a sort that finds the runs that are there, and nearly all is one.
    order = np.argsort(key, kind="stable")
    key, items = key[order], items[order]
    wrong = (key[1:] == key[:-1]) & (items[1:] < items[:-1])
    if wrong.any():
        heads = run_heads(key)
        sizes = np.diff(np.append(heads, len(key)))
        disordered = np.zeros(len(heads), np.bool_)
        disordered[np.searchsorted(heads, np.flatnonzero(wrong), side="right") - 1] = True
        rows = np.flatnonzero(np.repeat(disordered, sizes))
        items[rows] = items[rows[np.lexsort((items[rows], key[rows]))]]
    return key, items
