"""A time zone as a table: when its offset from UTC changes, and to what.

The table is made once, when a spec is compiled, so that the core can do whole batches of times by bisection and needs
no calendar library. `zoneinfo` takes the rules from the system and, where that has none, from the tzdata package.
"""

from __future__ import annotations

import datetime
from functools import lru_cache, partial
from zoneinfo import ZoneInfo

FIRST_S = 0
END_S = 4_102_444_800 + 2 * 86_400
"""The table goes from 1970 to 2100, the years that event times are accepted from, and two days beyond."""
STEP_S = 3 * 86_400
"""How far apart offsets are compared: no zone has had two changes within six days since 1970."""


@lru_cache(maxsize=64)
def utc_offsets(zone: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return (transitions, offsets): the seconds UTC of the zone's changes, and its offsets from UTC in seconds.

    There is one offset more than transitions: the first holds before them all, each other one from its transition on.

    >>> transitions, offsets = utc_offsets("Europe/Berlin")
    >>> next((t, offset) for t, offset in zip(transitions, offsets[1:]) if t > 1_700_000_000)
    (1711846800, 7200)
    """
    offset_s = partial(_offset_s, ZoneInfo(zone))
    transitions: list[int] = []
    offsets = [offset_s(FIRST_S)]
    for begin_s in range(FIRST_S, END_S, STEP_S):
        before_s, end_s = begin_s, min(begin_s + STEP_S, END_S)
        if offset_s(end_s) == offsets[-1]:
            continue
        while end_s - before_s > 1:
            middle_s = (before_s + end_s) // 2
            if offset_s(middle_s) == offsets[-1]:
                before_s = middle_s
            else:
                end_s = middle_s
        transitions.append(end_s)
        offsets.append(offset_s(end_s))
    return tuple(transitions), tuple(offsets)


def _offset_s(zone: ZoneInfo, second: int) -> int:
    offset = datetime.datetime.fromtimestamp(second, zone).utcoffset()
    return 0 if offset is None else offset // datetime.timedelta(seconds=1)
