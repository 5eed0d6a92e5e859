"""Where the tiles of many tracks lie: each track on the time axis of the windows that are read from it.

A track that is only read over 30 days needs no tiles of ten seconds because another one does, so every track has an
axis (time_axis.py) of its own windows. How many tiles a user can have is thereby settled by the spec: for each track
the tiles of its levels, whatever the user does and however long.

Tracks with the same windows share an axis, and all axes are placed on at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from user_state.plan.state_definitions import Window
from user_state.plan.time_axis import Span, TimeAxis

I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
_NEVER_S = -(1 << 40)
"""The reach of a level that an axis does not have: its tiles begin after all time."""
_FOREVER_S = 1 << 40
"""The width of the lifetime tile."""


class TrackAxes:
    """Places the tiles of a family's tracks.

    Attributes:
        distinct: the axes, each once.
        axis_of: of each track, which of them is its.

    >>> axes = TrackAxes([TimeAxis.of_windows({600: 10}, 0, True), TimeAxis.of_windows({3600: 60}, 0, False)])
    >>> user, track = np.zeros(4, np.int64), np.array([0, 0, 1, 1])
    >>> start_s, kept = axes.place(user, np.array([99_995, 90_000, 99_995, 90_000]), track, np.array([10**11]))
    >>> start_s.tolist(), kept.tolist()
    ([99990, 0, 99960, 0], [True, True, True, False])
    """

    def __init__(self, axes: Sequence[TimeAxis]) -> None:
        """Prepare for tracks on these axes; all have the same skew."""
        self.distinct = distinct = list(dict.fromkeys(axes))
        self.axis_of = [distinct.index(axis) for axis in axes]
        height = max((len(axis.levels) for axis in distinct), default=0)
        self._skew_s = max((axis.skew_s for axis in distinct), default=0)
        self._axis_of = np.array(self.axis_of, np.int64)
        self._lifetime = np.array([axis.lifetime for axis in distinct], np.bool_)
        self._reach_s = np.full((height, len(distinct)), _NEVER_S)
        self._rounding_s = np.ones((height, len(distinct)), np.int64)
        self._width_s = np.full((height + 1, len(distinct)), _FOREVER_S)
        for index, axis in enumerate(distinct):
            for place, level in enumerate(axis.levels):
                self._reach_s[place, index] = level.reach_s
                self._width_s[place, index] = level.width_s
                self._rounding_s[place, index] = axis.levels[min(place + 1, len(axis.levels) - 1)].width_s

    @property
    def most_tiles(self) -> list[int]:
        """How many tiles a user can have of each track."""
        return [self.distinct[axis].most_tiles for axis in self.axis_of]

    @property
    def most_starts(self) -> int:
        """How many different times the tiles of a user can begin at."""
        by_width: dict[int, list[Span]] = {}
        for axis in self.distinct:
            for span in axis.spans:
                by_width.setdefault(span.width_s, []).append(span)
        starts = int(any(axis.lifetime for axis in self.distinct))
        for width_s, spans in by_width.items():
            # Tiles of one width begin at multiples of it, whichever track they are of.
            hull = Span(width_s, max(span.oldest_s for span in spans), min(span.newest_s for span in spans))
            starts += min(hull.most_tiles, sum(span.most_tiles for span in spans))
        return starts

    def place(self, user: I64, start_s: I64, track: I64, clock_us: I64) -> tuple[I64, Bool]:
        """Return (tile starts (m,), whether an output reads them) of times or tile starts in seconds.

        Args:
            user: (m,) index into `clock_us`.
            start_s: (m,) seconds; 0 is the lifetime tile.
            track: (m,) index of the track.
            clock_us: (n,) the users' clocks.
        """
        axis = self._axis_of[track]
        clock_s = clock_us // 1_000_000 - self._skew_s
        cuts = (clock_s - self._reach_s[:, :, None]) // self._rounding_s[:, :, None] * self._rounding_s[:, :, None]
        level = np.full(len(start_s), len(cuts))
        # Coarsest first: each finer level takes over what its windows can still see.
        for finer in range(len(cuts) - 1, -1, -1):
            level[start_s >= cuts[finer][axis, user]] = finer
        placed = start_s - start_s % self._width_s[level, axis]
        # The lifetime tile, at 0, is no business of a track that nobody reads over a lifetime.
        return placed, self._lifetime[axis] | ((level < len(cuts)) & (placed > 0))


def axis_of(windows: Sequence[Window], skew_s: int) -> TimeAxis:
    """Return the axis of a track that is read over these windows."""
    width_of_window_s: dict[int, int] = {}
    for window in windows:
        if window.reach_s is not None:
            width_of_window_s[window.reach_s] = min(
                window.width_s, width_of_window_s.get(window.reach_s, window.width_s)
            )
    return TimeAxis.of_windows(width_of_window_s, skew_s, any(window.reach_s is None for window in windows))
