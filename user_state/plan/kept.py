"""What a record keeps of a definition's events: how far back, how finely, and how many.

It is stored beside the records, in their layout (layout.py), so that a changed spec knows what was no longer kept when
it took a record over. With `clock` the user's clock, and `now = clock - skew_us` the earliest reading that is answered,

    level (width_us, reach_us)   events from floor(now - reach_us, r) on lie in tiles of width_us, finest level first;
                                 r is the width of the next level, or its own for the last. 1 is no tile: each event,
                                 or each value, with its own time
    reach_us None                for ever
    whole                        what is older than all levels is still part of a lifetime
    cap                          no more events, values or keys than this are kept; None is no limit

Decayed numbers, vectors and profiles are not described: what they hold follows from their keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from user_state.durations import SECOND_US
from user_state.plan.state_definitions import (
    GapTrack,
    HllTrack,
    KeyedDecay,
    KeyedTrack,
    KllTrack,
    LastSeen,
    Log,
    SessionTrack,
    Track,
)
from user_state.plan.track_axes import axis_of

EACH = 1
"""The width of a level that keeps each event with its own time."""


@dataclass(frozen=True)
class Kept:
    """What is kept of the definition with this key; the module says what the numbers mean, all in microseconds."""

    key: str
    levels: tuple[tuple[int, int | None], ...]
    whole: bool
    skew_us: int
    cap: int | None

    def suffices(self, reach_us: int | None, width_us: int) -> bool:
        """Return whether a window of this length and tile width was kept, for any reading at `now` or later.

        >>> axis = Kept("k", ((10, 600), (60, 3600)), whole=False, skew_us=0, cap=None)
        >>> [axis.suffices(*window) for window in ((600, 10), (3600, 60), (600, 60), (3600, 10), (3601, 60), (None, 0))]
        [True, True, True, False, False, False]
        """
        if reach_us is None:
            return self.whole
        for place, (level_us, end_us) in enumerate(self.levels):
            if width_us % level_us:
                return False
            # The window's start is rounded down by its own width, the level's end by that of the next level.
            rounding_us = self.levels[min(place + 1, len(self.levels) - 1)][0]
            if end_us is None or reach_us + width_us <= end_us:
                return True
            if reach_us <= end_us and rounding_us % width_us == 0:
                return True
        return False


def kept_of_tiles(
    piece: Track | HllTrack | KllTrack | KeyedTrack | Log | GapTrack, skew_us: int, cap: int | None = None
) -> Kept:
    """Return what is kept in the tiles of the windows that are read from a piece."""
    axis = axis_of(piece.windows, skew_us // SECOND_US)
    levels = tuple((level.width_s * SECOND_US, level.reach_s * SECOND_US) for level in axis.levels)
    return Kept(piece.key, levels, axis.lifetime, skew_us, cap)


def kept_of_log(log: Log, skew_us: int) -> Kept:
    """Return what is kept of a log's events."""
    if log.keeps == "first":
        return kept_of_tiles(log, skew_us, log.cap)
    return Kept(log.key, ((EACH, log.reach_us),), log.reach_us is None, skew_us, log.cap)


def kept_of_last_seen(track: LastSeen, skew_us: int) -> Kept:
    """Return what is kept of a track's values or days."""
    reach_us = None if track.reach_s is None else track.reach_s * SECOND_US
    return Kept(track.key, ((EACH, reach_us),), reach_us is None, skew_us, track.cap)


def kept_of_sessions(track: SessionTrack, skew_us: int, allowed_lateness_us: int) -> Kept:
    """Return what is kept of a track's sessions: those that a window may count or an event may join."""
    reach_us = allowed_lateness_us + track.gap_us - skew_us
    if track.horizon is not None and track.horizon.reach_s is not None:
        reach_us = max(reach_us, track.horizon.reach_s * SECOND_US)
    return Kept(track.key, ((EACH, reach_us),), track.lifetime, skew_us, None)


def kept_of_keyed_decay(decay: KeyedDecay, skew_us: int) -> Kept:
    """Return how many keys are kept."""
    return Kept(decay.key, ((EACH, None),), whole=True, skew_us=skew_us, cap=decay.most_keys)


def read_kept(key: Any, levels: Iterable[Any], whole: Any, skew_us: Any, cap: Any) -> Kept:
    """Return what JSON holds of a `Kept`.

    Raises:
        TypeError, ValueError: it does not.
    """
    read = tuple((int(width_us), None if reach_us is None else int(reach_us)) for width_us, reach_us in levels)
    if any(width_us < EACH for width_us, _ in read):
        raise ValueError(f"expected widths of at least {EACH}, got {read}")
    return Kept(str(key), read, bool(whole), int(skew_us), None if cap is None else int(cap))
