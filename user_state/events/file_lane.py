"""One of several files that are read together: its rows, its clock, and which of its rows a wrong clock has written.

A lane has a few segments of its file in memory: one to take rows of, and those around it, by which its rows are judged.
What a file's clock is: `merged_files.py`. Nothing here asks the time of the day: it is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from user_state.events.ahead import NEIGHBOURS, rows_ahead
from user_state.events.decode import Decoded, EventDecoder
from user_state.events.segments import EventFile, Segment

Bool = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]

END = int(np.iinfo(np.int64).max)
"""Later than any time."""
_UNKNOWN = int(np.iinfo(np.int64).min)


class OpenPlace(NamedTuple):
    """Where a file is that has been begun: its segment, how many of its rows were taken, the file's clock before it."""

    file: int
    segment: int
    taken: int
    clock_us: int


@dataclass(frozen=True)
class Read:
    """A segment and what its messages say of time: arrays (n,) by message."""

    segment: Segment
    place: int
    decoded: Decoded
    is_event: Bool
    time_us: I64
    published_us: I64
    user: I64


@dataclass(frozen=True)
class Judged:
    """A segment whose rows were judged: `clock_us` (n,) is the file's clock at each row, `ahead` the rows refused."""

    read: Read
    clock_us: I64
    ahead: I64

    def __len__(self) -> int:
        return len(self.clock_us)


class Part(NamedTuple):
    """Rows of a segment: from `begin` to `end`."""

    judged: Judged
    begin: int
    end: int

    @property
    def clock_us(self) -> I64:
        """The file's clock at each row."""
        return self.judged.clock_us[self.begin : self.end]

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a segment, none of which is refused."""
        segment = self.judged.read.segment
        return self.end - self.begin == len(self.judged) and not len(self.judged.ahead) and not segment.refused


class Judge:
    """Reads segments and judges their rows: what each file's clock is, and which rows a wrong clock has written."""

    def __init__(self, decoder: EventDecoder, lateness_us: int, tolerance_us: int) -> None:
        self._decoder = decoder
        self._lateness_us = lateness_us
        self._tolerance_us = tolerance_us

    def read(self, segment: Segment, place: int) -> Read:
        """Return what the messages of a segment say of time."""
        decoded = self._decoder.batch(segment.messages)
        events = decoded.batch
        is_event = np.ones(len(segment.messages), np.bool_)
        is_event[list(decoded.refused_at)] = False
        of_event = is_event.copy()
        is_event[list(segment.refused)] = False
        time_us = np.full(len(is_event), _UNKNOWN)
        published_us, user = time_us.copy(), time_us.copy()
        time_us[of_event], published_us[of_event] = events.time_us, events.published_us
        # Of the names, since each segment numbers its users anew.
        user[of_event] = np.array([hash(name) for name in events.users], np.int64)[events.user]
        return Read(segment, place, decoded, is_event, time_us, published_us, user)

    def judge(self, before: Sequence[Judged], read: Read, behind: Sequence[Read], clock_us: int, now_us: int) -> Judged:
        """Return the rows of `read`, judged with the segments around it; `clock_us` is the file's clock before it."""
        counts = self.counting(read, now_us)
        ahead = np.flatnonzero(counts)[self._ahead(before, read, behind, counts, now_us)]
        counts[ahead] = False
        so_far_us = np.where(counts, read.published_us, clock_us)
        return Judged(read, np.maximum.accumulate(np.maximum(so_far_us, clock_us)), ahead)

    def counting(self, read: Read, now_us: int) -> Bool:
        """Return which rows have a publish time that counts."""
        return read.is_event & (read.published_us <= now_us + self._tolerance_us)

    def _ahead(self, before: Sequence[Judged], read: Read, behind: Sequence[Read], counts: Bool, now_us: int) -> Bool:
        """Return which of the rows that count were written by a clock that was ahead."""
        earlier = [(one.read, np.flatnonzero(self.counting(one.read, now_us))) for one in before]
        later = [(one, np.flatnonzero(self.counting(one, now_us))) for one in behind]
        were_ahead = [np.isin(rows, one.ahead) for one, (_, rows) in zip(before, earlier, strict=True)]
        chosen = [*earlier, (read, np.flatnonzero(counts)), *later]
        time_us = np.concatenate([one.time_us[rows] for one, rows in chosen])
        published_us = np.concatenate([one.published_us[rows] for one, rows in chosen])
        user = np.concatenate([one.user[rows] for one, rows in chosen])
        may_be = time_us == published_us
        return rows_ahead(
            time_us,
            user,
            may_be,
            self._lateness_us,
            before=np.concatenate(were_ahead) if were_ahead else None,
            behind=sum(len(rows) for _, rows in later),
        )


class Lane:
    """One open file: a segment to take rows of, and those around it, of at least NEIGHBOURS rows, to judge by."""

    def __init__(self, place: OpenPlace, file: EventFile, judge: Judge, most: tuple[int, int]) -> None:
        self._file = file
        self._judge = judge
        self._number = place.file
        self._clock_us = place.clock_us
        self._taken = place.taken
        self._reads = self._read(place.segment, most)
        self._before: deque[Judged] = deque()
        self._now: Judged | None = None
        self._behind: deque[Read] = deque()
        self.ended = False

    def _read(self, place: int, most: tuple[int, int]) -> Iterator[Read]:
        for segment in self._file.segments(place, *most):
            yield self._judge.read(segment, place)
            place = segment.next_place

    @property
    def _current(self) -> Judged:
        if self._now is None:
            raise RuntimeError("this file has ended")
        return self._now

    @property
    def place(self) -> OpenPlace:
        """Where the file is."""
        return OpenPlace(self._number, self._current.read.place, self._taken, self._clock_us)

    @property
    def limit_us(self) -> int:
        """Up to which clock all rows of the file are in memory."""
        return END if not self._behind else int(self._current.clock_us[-1])

    @property
    def next_us(self) -> int:
        """The file's clock at the next row."""
        return int(self._current.clock_us[self._taken])

    def take(self, up_to_us: int) -> Part | None:
        """Return the next rows at which the file's clock is not beyond `up_to_us`."""
        begin = self._taken
        end = int(np.searchsorted(self._current.clock_us, up_to_us, side="right"))
        if end <= begin:
            return None
        self._taken = end
        return Part(self._current, begin, end)

    def go_on(self, now_us: int) -> None:
        """Have the next row in memory; ends where there is none."""
        if self._now is not None and self._taken < len(self._now):
            return
        if self._now is not None:
            self._before.append(self._now)
            self._clock_us, self._taken = int(self._now.clock_us[-1]), 0
            while self._enough([one.read for one in self._before][1:], now_us):
                self._before.popleft()
        following = self._behind.popleft() if self._behind else next(self._reads, None)
        if following is None:
            self.close()
            return
        while not self._enough(self._behind, now_us) and (more := next(self._reads, None)) is not None:
            self._behind.append(more)
        self._now = self._judge.judge(self._before, following, self._behind, self._clock_us, now_us)

    def _enough(self, reads: Iterable[Read], now_us: int) -> bool:
        return sum(int(self._judge.counting(read, now_us).sum()) for read in reads) >= NEIGHBOURS

    def close(self) -> None:
        """Close the file."""
        self.ended = True
        self._file.close()
