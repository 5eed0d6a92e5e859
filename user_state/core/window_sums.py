"""What the tiles of windows come to, for all windows and tracks at once.

A tile belongs to every window that begins at or before it. So tiles are joined into cells, a cell being a (user,
window, track), in the shortest window they belong to; then each window takes over what the shorter ones have. Counts
and sums add up, extremes accumulate, and central moments are joined by the formulas of tile_values.py, with cells for
tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from user_state.core import compiled
from user_state.core.events import F64, I64
from user_state.core.nested_windows import shortest_windows, take_over
from user_state.core.plan import Plan
from user_state.core.tile_kinds import TRACK_COLUMNS
from user_state.core.tile_values import LARGEST, SMALLEST, TIMES, width_of
from user_state.core.tiles import Tiles


@dataclass(frozen=True)
class WindowSums:
    """What the rows of windows come to.

    Attributes:
        count: (windows, users, tracks).
        values: (width, windows, users, tracks); anything where there is nothing.
    """

    count: F64
    values: F64


@dataclass(frozen=True)
class _Tracks:
    """Indices of tracks by what they keep.

    Attributes:
        extremes: column -> those that keep the smallest there, and column -> those that keep the largest.
        central, deep: of those that keep M2, and of those that keep M3 and M4 too.
    """

    extremes: tuple[dict[int, list[int]], dict[int, list[int]]]
    central: I64
    deep: I64


@lru_cache(maxsize=64)
def _tracks(kinds: tuple[str, ...]) -> _Tracks:
    smallest: dict[int, list[int]] = {}
    largest: dict[int, list[int]] = {}
    for track, kind in enumerate(kinds):
        if kind in (SMALLEST, TIMES):
            smallest.setdefault(0, []).append(track)
        if kind in (LARGEST, TIMES):
            largest.setdefault(int(kind == TIMES), []).append(track)
    central = [track for track, kind in enumerate(kinds) if kind in ("variance", "moments")]
    deep = [track for track, kind in enumerate(kinds) if kind == "moments"]
    return _Tracks((smallest, largest), np.array(central, np.int64), np.array(deep, np.int64))


def sum_windows(plan: Plan, tiles: Tiles, users: int, starts_s: I64) -> WindowSums:
    """Join the rows at or after each window's start; `starts_s` (windows,) must ascend: the longest window first."""
    kinds = plan.layout.track_kinds
    if compiled.used:
        sums = compiled.sum_windows(tiles.key, tiles.count, tiles.values, _keeps(kinds), users, starts_s)
        return WindowSums(*sums)
    return _sum_windows(kinds, tiles, users, starts_s)


@lru_cache(maxsize=64)
def _keeps(kinds: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """Return what tracks keep, by the number that native/loops/window_sums.hpp has for it."""
    place = {kind: index for index, kind in enumerate(TRACK_COLUMNS)}
    place["log_sum"] = place["sum"]  # they add up alike
    return np.array([place[kind] for kind in kinds], np.int8)


def _sum_windows(kinds: tuple[str, ...], tiles: Tiles, users: int, starts_s: I64) -> WindowSums:
    windows, tracks = len(starts_s), len(kinds)
    shape = windows, users, tracks
    size, width = users * windows * tracks, width_of(kinds)
    shortest = shortest_windows(starts_s, tiles.start_s)
    if len(shortest) and shortest.min() < 0:
        tiles, shortest = tiles.take(shortest >= 0), shortest[shortest >= 0]
    track = tiles.track
    cell = (shortest * users + tiles.user) * tracks + track
    own = np.bincount(cell, tiles.count, size).astype(np.float64)
    values = np.empty((width, *shape))
    of = _tracks(kinds)
    # Overflow to infinity is what IEEE 754 says of sums this large, and no reason to warn.
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.bincount(cell, tiles.values[0], size).astype(np.float64) if width else own
        if width:
            values[0] = sums.reshape(shape)
            take_over(values[0])
        if len(of.central):
            _join_moments(tiles, cell, own, sums, values, of)
        for listed, join, nothing in zip(of.extremes, (np.minimum, np.maximum), (np.inf, -np.inf), strict=True):
            for column, kept_by in listed.items():
                keeps = np.zeros(tracks, np.bool_)
                keeps[kept_by] = True
                rows = np.flatnonzero(keeps.take(track))
                grid = np.full(shape, nothing)
                join.at(grid.reshape(-1), cell[rows], tiles.values[column, rows])
                take_over(grid, join)
                values[column][:, :, kept_by] = grid[:, :, kept_by]
    return WindowSums(take_over(own.reshape(shape)), values)


def _join_moments(tiles: Tiles, cell: I64, own: F64, sums: F64, values: F64, of: _Tracks) -> None:
    """Fill the columns of central moments in `values`, of tracks that keep them.

    Args:
        tiles: m rows.
        cell: (m,) the cell of each.
        own: (cells,) the counts of each cell's rows alone.
        sums: (cells,) and their sums.
        values: (width, windows, users, tracks), of which the first column is filled.
        of: the tracks.
    """
    shape = values.shape[1:]
    powers = len(values) if len(of.deep) else 2
    keeps_moments = np.zeros(shape[2], np.bool_)
    keeps_moments[of.central] = True
    rows = np.flatnonzero(keeps_moments.take(tiles.track))
    cell, n = cell[rows], tiles.count[rows].astype(np.float64)
    with np.errstate(divide="ignore"):
        means = sums / own
    d = tiles.values[0, rows] / n - means[cell]
    joined = _moments(d, n, tiles.values[:powers].take(rows, axis=1))
    # Now windows for cells, and cells for rows: (windows, cells' windows, users, tracks). The cells of window v are a
    # part of window w if v is no longer.
    cells = [np.bincount(cell, moment, len(own)).astype(np.float64) for moment in joined]
    own, sums, means = (numbers.reshape(shape).take(of.central, axis=2) for numbers in (own, sums, means))
    cells = [moment.reshape(shape).take(of.central, axis=2) for moment in cells]
    with np.errstate(divide="ignore"):
        of_window = values[0].take(of.central, axis=2) / take_over(own.copy())
    d = np.where(own > 0, means - of_window[:, None], 0.0)
    order = np.arange(shape[0])
    part = (order >= order[:, None])[:, :, None, None]
    for power, moment in enumerate(_moments(d, own, [sums, *cells]), 1):
        values[power][:, :, of.central] = np.where(part, moment, 0.0).sum(axis=1)


def _moments(d: F64, n: F64, values: F64 | Sequence[F64]) -> list[F64]:
    """Return what parts add to M2, and to M3 and M4 if `values` (2 or 4, ...) has them, `d` being their means' distance
    from the whole's and `n` their counts.
    """
    m2 = values[1]
    found = [m2 + n * d * d]
    if len(values) > 2:
        found.append(values[2] + 3 * d * m2 + n * d**3)
        found.append(values[3] + 4 * d * values[2] + 6 * d * d * m2 + n * d**4)
    return found
