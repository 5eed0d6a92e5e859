"""Where the tiles of many tracks lie: each track on the time axis of the windows that are read from it.

A track that is only read over 30 days needs no tiles of ten seconds because another one does, so every track has an
axis (time_axis.py) of its own windows. How many tiles a user can have is thereby settled by the spec: for each track
the tiles of its levels, whatever the user does and however long.

Tracks with the same windows share an axis.
"""

from __future__ import annotations

from collections.abc import Sequence

from user_state.plan.state_definitions import Window
from user_state.plan.time_axis import Span, TimeAxis


class TrackAxes:
    """The axes of a family's tracks; native/families/axes.hpp places tiles on them.

    Attributes:
        distinct: the axes, each once.
        axis_of: of each track, which of them is its.

    >>> axes = TrackAxes([TimeAxis.of_windows({600: 10}, 0, True), TimeAxis.of_windows({3600: 60}, 0, False)] * 2)
    >>> axes.axis_of, axes.most_tiles
    ([0, 1, 0, 1], [62, 61, 62, 61])
    """

    def __init__(self, axes: Sequence[TimeAxis]) -> None:
        """Prepare for tracks on these axes; all have the same skew."""
        self.distinct = distinct = list(dict.fromkeys(axes))
        self.axis_of = [distinct.index(axis) for axis in axes]

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


def axis_of(windows: Sequence[Window], skew_s: int) -> TimeAxis:
    """Return the axis of a track that is read over these windows."""
    width_of_window_s: dict[int, int] = {}
    for window in windows:
        if window.reach_s is not None:
            width_of_window_s[window.reach_s] = min(
                window.width_s, width_of_window_s.get(window.reach_s, window.width_s)
            )
    return TimeAxis.of_windows(width_of_window_s, skew_s, any(window.reach_s is None for window in windows))
