"""Windows, tile widths and the time axis on which tiles lie.

A window of length W reads every event with `t >= floor(at - W, h)`, h being the window's tile width. So an event
needs to be told apart from its neighbours only as finely as the windows that can still see it demand, and tiles are
**rolled up** as they age: with windows 10m/1h/1d an event of the last ten minutes lies in a 10 s tile, then in a 1 m
tile, then in a 30 m tile, and is then dropped (or, if any feature asks for `lifetime`, joined to the tile that starts
at 0 and never ends).

    age      0 ......... 10m ........... 1h ............. 1d ........ lifetime
    tile        10 s           1 min           30 min            one tile

Level i ends at `cut_i = floor(clock - skew - W_i, h_{i+1})`: no reading at `at >= clock - skew` needs anything finer
than h_{i+1} before it. Widths divide each other, so a tile never straddles a coarser boundary, and which tile an event
lies in depends only on its time and the user's clock: not on when it arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

TILE_WIDTHS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400)
"""Default tile widths in seconds; each divides the next."""


def default_tile_width_s(window_s: int) -> int:
    """Return the widest default tile width that is at most window/48 and divides the window, in seconds.

    Raises:
        ValueError: no width fits; the message says what would.

    >>> [default_tile_width_s(w) for w in (600, 3600, 86400, 7 * 86400, 30 * 86400)]
    [10, 60, 1800, 10800, 43200]
    """
    for width in reversed(TILE_WIDTHS_S):
        if width * 48 <= window_s and window_s % width == 0:
            return width
    raise ValueError(f"a window of {window_s} s is too short to have a tile width; the shortest is 48 s")


@dataclass(frozen=True)
class Level:
    """Tiles of `width_s` serve ages up to `reach_s`, both in seconds."""

    width_s: int
    reach_s: int


@dataclass(frozen=True)
class Span:
    """Where the tiles of one width begin, at most: so many seconds before the clock, the newest perhaps after it."""

    width_s: int
    oldest_s: int
    newest_s: int

    @property
    def most_tiles(self) -> int:
        """How many tiles can begin there.

        >>> Span(10, 95, -5).most_tiles
        11
        """
        return max(0, (self.oldest_s - self.newest_s) // self.width_s + 1)


@dataclass(frozen=True)
class TimeAxis:
    """The levels of a spec, finest first, and what lies beyond the last one."""

    levels: tuple[Level, ...]
    skew_s: int
    lifetime: bool

    @classmethod
    def of_windows(cls, width_of_window_s: Mapping[int, int], skew_s: int, lifetime: bool) -> TimeAxis:
        """Build the axis for windows given as {window seconds: tile width seconds}.

        Raises:
            ValueError: two widths of which neither divides the other.
        """
        reach_of_width: dict[int, int] = {}
        for window_s, width_s in width_of_window_s.items():
            reach_of_width[width_s] = max(reach_of_width.get(width_s, 0), window_s)
        widths = sorted(reach_of_width)
        for finer_s, coarser_s in pairwise(widths):
            if coarser_s % finer_s:
                raise ValueError(f"tile widths must divide each other, but {finer_s} s does not divide {coarser_s} s")
        levels: list[Level] = []
        for width_s in widths:
            # A coarser tile whose windows never begin before the finer tiles end would never hold anything.
            if not levels or reach_of_width[width_s] + width_s > levels[-1].reach_s:
                levels.append(Level(width_s, reach_of_width[width_s]))
        return cls(tuple(levels), skew_s, lifetime)

    @property
    def spans(self) -> list[Span]:
        """Where the tiles of each level begin; the lifetime tile, at 0, is in none of them.

        From the cuts above: a level's tiles begin at or after its own cut and, but for the finest's, a width or more
        before the cut of the finer one. No event is more than the skew after the clock.
        """
        spans = []
        for place, level in enumerate(self.levels):
            rounding_s = self.levels[min(place + 1, len(self.levels) - 1)].width_s
            finer = self.levels[place - 1] if place else None
            newest_s = -self.skew_s if finer is None else self.skew_s + finer.reach_s + level.width_s
            spans.append(Span(level.width_s, self.skew_s + level.reach_s + rounding_s - 1, newest_s))
        return spans

    @property
    def most_tiles(self) -> int:
        """How many tiles a user can have on this axis.

        >>> TimeAxis.of_windows({600: 10, 3600: 60}, 0, True).most_tiles
        117
        """
        return sum(span.most_tiles for span in self.spans) + self.lifetime


def window_start_s(at_us: int, window_s: int, width_s: int) -> int:
    """Return the first second that the window ending at `at_us` covers: floor(at - W, h).

    >>> window_start_s(1_000_000_000_000, 600, 10)
    999400
    """
    return (at_us // 1_000_000 - window_s) // width_s * width_s


__all__ = ["TILE_WIDTHS_S", "Level", "Span", "TimeAxis", "default_tile_width_s", "window_start_s"]
