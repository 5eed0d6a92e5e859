"""In what order the rows of several files arrive, and which of them a wrong clock has written: plain loops over lists.

The rules are in docs/files.md. A row counts if it is a valid event whose publish time is not ahead of the wall clock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from user_state.oracle.events import Arrival
from user_state.oracle.replay import clocks_of, is_ahead
from user_state.spec.model import Spec

NEIGHBOURS = 200
ENOUGH = 100


class FileRow(NamedTuple):
    """A row as it arrives, and the number of its file."""

    file: int
    arrival: Arrival


class _Row(NamedTuple):
    place: int
    user: str
    time_us: int
    published_us: int


def in_order_of_time(spec: Spec, files: Sequence[Sequence[Arrival]], now_us: int | None = None) -> list[FileRow]:
    """Return the rows of all files in order of arrival; those that are refused as ahead have the reason `from_future`.

    Args:
        spec: the rules.
        files: each file's rows, in the file's order.
        now_us: the wall clock as they were read, microseconds UTC; None judges nothing by it.
    """
    counting = [_counting(spec, arrivals, now_us) for arrivals in files]
    ahead = [_ahead(rows, spec.allowed_lateness) for rows in counting]
    streams = [
        _stream(number, arrivals, rows, refused)
        for number, (arrivals, rows, refused) in enumerate(zip(files, counting, ahead, strict=True))
    ]
    return [FileRow(number, arrival) for _, number, _, arrival in heapq.merge(*streams, key=lambda row: row[:3])]


def _counting(spec: Spec, arrivals: Sequence[Arrival], now_us: int | None) -> list[_Row]:
    rows = []
    for place, arrival in enumerate(arrivals):
        clocks = clocks_of(spec, arrival)
        if clocks is None or arrival.event is None or (now_us is not None and is_ahead(spec, clocks[1], now_us)):
            continue
        rows.append(_Row(place, arrival.event[spec.events.user], *clocks))
    return rows


def _stream(
    number: int, arrivals: Sequence[Arrival], rows: Sequence[_Row], refused: set[int]
) -> Iterator[tuple[int, int, int, Arrival]]:
    """Yield (the file's clock, file, place, arrival) of each row of a file."""
    published_us = {row.place: row.published_us for row in rows if row.place not in refused}
    clock_us = 0
    for place, arrival in enumerate(arrivals):
        clock_us = max(clock_us, published_us.get(place, 0))
        judged = Arrival(arrival.event, arrival.published_us, "from_future") if place in refused else arrival
        yield clock_us, number, place, judged


def _ahead(rows: Sequence[_Row], lateness_us: int) -> set[int]:
    """Return the places of the rows that a wrong clock has written."""
    refused: set[int] = set()
    same = [False, *(rows[at].user == rows[at - 1].user for at in range(1, len(rows)))]
    for at, (row, oldest_behind_us) in enumerate(zip(rows, _oldest_behind(rows), strict=True)):
        if row.time_us != row.published_us or oldest_behind_us >= row.time_us - lateness_us:
            continue
        before = [one for one in rows[max(0, at - NEIGHBOURS) : at] if one.place not in refused]
        behind = rows[at + 1 : at + 1 + NEIGHBOURS]
        pairs = same[max(0, at - NEIGHBOURS) + 1 : at + 1 + NEIGHBOURS]
        judge = _beyond_own if 2 * sum(pairs) >= len(pairs) else _beyond_others
        if judge(row, before, behind, lateness_us):
            refused.add(row.place)
    return refused


def _oldest_behind(rows: Sequence[_Row]) -> list[int]:
    """Return for each row the earliest time among its neighbours behind it; the row's own if there is none."""
    oldest: list[int] = []
    waiting: deque[tuple[int, int]] = deque()  # (place, time), times ascending
    for at in reversed(range(len(rows))):
        while waiting and waiting[-1][0] > at + NEIGHBOURS:
            waiting.pop()
        oldest.append(waiting[-1][1] if waiting else rows[at].time_us)
        while waiting and waiting[0][1] >= rows[at].time_us:
            waiting.popleft()
        waiting.appendleft((at, rows[at].time_us))
    return oldest[::-1]


def _beyond_own(row: _Row, before: Sequence[_Row], behind: Sequence[_Row], lateness_us: int) -> bool:
    latest_us = max((one.time_us for one in before if one.user == row.user), default=None)
    if latest_us is not None and row.time_us <= latest_us + lateness_us:
        return False
    too_late = fine = 0
    for one in behind:
        if one.user == row.user and one.time_us >= row.time_us - lateness_us:
            fine += 1
        elif one.user == row.user and (latest_us is None or one.time_us >= latest_us - lateness_us):
            too_late += 1
    return too_late > fine


def _beyond_others(row: _Row, before: Sequence[_Row], behind: Sequence[_Row], lateness_us: int) -> bool:
    def older(one: _Row) -> bool:
        return one.time_us < row.time_us - lateness_us

    for rows in (before, behind):
        if rows and sum(map(older, rows)) / len(rows) < 0.97:
            return False
    rest = [one.time_us for one in behind if older(one)]
    steps = [later - earlier for earlier, later in pairwise(rest)]
    if steps and sum(step >= -lateness_us for step in steps) / len(steps) < 0.95:
        return False
    own = [older(one) for one in behind if one.user == row.user]
    return bool(rest) and (len(rest) >= ENOUGH or sum(own) > len(own) - sum(own))
