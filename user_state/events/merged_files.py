"""Several files of history as one stream, in order of time, whatever their names and however they overlap.

A user's clock is the greatest publish time among their events (the event time, where a file has none), and what lies
more than `allowed_lateness` before it is too late. So files that are read side by side, or in a wrong order, lose
events that are in order in their own file. They are merged instead. Each file has a clock of its own: the greatest
publish time so far, row by row. The row that comes next is that of the file whose clock, at that row, is the earliest;
ties go to the file that begins first. From this follows:

    if no row of any file lies more than D before an earlier row of the same file, no row of the stream lies more than D
    before an earlier row of the stream

so files that are each in order are read exactly in order, and `too_late` is what was late within its own file. Rows
keep the order of their file.

What has no publish time that counts (it is no event, or ahead of the wall clock by more than `tolerance_us`, or refused
by `ahead.py`) keeps its place behind the row before it, and leaves its file's clock alone.

A file is opened once the stream has reached its first time. Of each open file a few segments are in memory: one to
take rows of, and those around it to judge them by. No clock, no randomness: where a reading stands is a `Place`, and
the same place goes on with the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from user_state.durations import format_duration
from user_state.events.decode import Decoded, EventDecoder
from user_state.events.file_lane import END, Judge, Lane, OpenPlace, Part
from user_state.events.message import Message
from user_state.events.segments import EventFile, Refusal, Why
from user_state.state.event_batch import MessageList

I64 = npt.NDArray[np.int64]


class HistoryFile(NamedTuple):
    """A file and its first publish time, microseconds UTC; 0 if its first rows do not tell."""

    path: str
    first_us: int


class Place(NamedTuple):
    """How far a reading of files has got: how many were begun, in order of time, and which of those have not ended."""

    begun: int = 0
    open: tuple[OpenPlace, ...] = ()

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(self)

    @classmethod
    def of(cls, text: str) -> Place:
        """Return what `text` was made of."""
        begun, places = json.loads(text)
        return cls(begun, tuple(OpenPlace(*one) for one in places))


@dataclass(frozen=True)
class Taken:
    """Rows that follow each other in the stream.

    Attributes:
        messages: those that go on.
        refused: those that do not, and why.
        size: about how many bytes they have.
        decoded: the events of `messages`, where they had to be decoded already.
    """

    messages: MessageList | Sequence[Message]
    refused: Sequence[Refusal]
    size: int
    decoded: Decoded | None = None


def in_order_of_time(files: Sequence[HistoryFile]) -> list[HistoryFile]:
    """Return files by their first times; those that do not tell come first, and names decide ties."""
    return sorted(files, key=lambda file: (file.first_us, file.path))


class MergedFiles:
    """Reads files in order of time.

    Args:
        files: as `in_order_of_time` has them.
        open_file: opens one.
        decoder: of the events.
        lateness_us: the spec's `allowed_lateness`.
        tolerance_us: how far ahead of the wall clock a publish time may be.
        most_messages, most_bytes: about how much is taken at once, and kept in memory of all files together.
    """

    def __init__(
        self,
        files: Sequence[HistoryFile],
        open_file: Callable[[str], EventFile],
        decoder: EventDecoder,
        *,
        lateness_us: int,
        tolerance_us: int,
        most_messages: int,
        most_bytes: int,
    ) -> None:
        self._files = files
        self._open_file = open_file
        self._lateness_us = lateness_us
        self._judge = Judge(decoder, lateness_us, tolerance_us)
        self._most = most_messages, most_bytes
        self._place: Place | None = None
        self._lanes: list[Lane] = []

    def take(self, place: Place, now_us: int, until_us: int | None = None) -> tuple[Taken | None, Place, int]:
        """Return (rows from `place` on, the place behind them, the publish time of the next row).

        Args:
            place: the beginning, or what was returned before.
            now_us: the wall clock, microseconds UTC.
            until_us: take no row that comes later in the stream than this publish time; None for no such limit.

        Returns no rows if all files have ended, or if the next row is later than `until_us`.

        Raises:
            InputError: a file cannot be read, or is damaged; says where.
        """
        if place != self._place:
            self._go_to(place, now_us)
        begun, parts, size = place.begun, [], 0
        while True:
            begun, limit_us = self._begin_all_up_to_now(begun, now_us)
            next_us = min((lane.next_us for lane in self._lanes), default=END)
            if not self._lanes or (until_us is not None and next_us > until_us) or size >= self._most[0]:
                break
            found = [lane.take(limit_us if until_us is None else min(limit_us, until_us)) for lane in self._lanes]
            parts.append([part for part in found if part is not None])
            size += sum(part.end - part.begin for part in parts[-1])
            for lane in self._lanes:
                lane.go_on(now_us)
            self._lanes = [lane for lane in self._lanes if not lane.ended]
        self._place = Place(begun, tuple(lane.place for lane in self._lanes))
        return (_joined(parts, self._lateness_us) if parts else None), self._place, next_us

    def _begin_all_up_to_now(self, begun: int, now_us: int) -> tuple[int, int]:
        """Open the files that have rows before those in memory end; return how many were begun, and that time."""
        while True:
            limit_us = min((lane.limit_us for lane in self._lanes), default=END)
            if begun == len(self._files) or (self._lanes and self._files[begun].first_us > limit_us):
                return begun, limit_us
            self._begin(OpenPlace(begun, 0, 0, 0), now_us)
            begun += 1

    def _begin(self, place: OpenPlace, now_us: int) -> None:
        messages, size = self._most
        # Of more files less each: they are in memory at the same time.
        lanes = len(self._lanes) + 1
        most = max(1, messages // lanes), max(1, size // lanes)
        lane = Lane(place, self._open_file(self._files[place.file].path), self._judge, most)
        lane.go_on(now_us)
        if not lane.ended:
            self._lanes.append(lane)

    def _go_to(self, place: Place, now_us: int) -> None:
        self.close()
        for one in place.open:
            self._begin(one, now_us)

    def close(self) -> None:
        """Close all files."""
        for lane in self._lanes:
            lane.close()
        self._lanes, self._place = [], None


def _joined(rounds: Sequence[Sequence[Part]], lateness_us: int) -> Taken:
    """Return the rows of parts: those of a round in order of their files' clocks, one round after the other."""
    parts = [part for parts in rounds for part in parts]
    share = sum(part.judged.read.segment.size * (part.end - part.begin) // len(part.judged) for part in parts)
    if len(parts) == 1 and parts[0].is_whole:
        read = parts[0].judged.read
        return Taken(read.segment.messages, [], share, read.decoded)
    which, rows = [], []
    first = 0
    for parts_of_round in rounds:
        numbers = [np.full(part.end - part.begin, first + at) for at, part in enumerate(parts_of_round)]
        order = np.argsort(np.concatenate([part.clock_us for part in parts_of_round]), kind="stable")
        which.append(np.concatenate(numbers)[order])
        rows.append(np.concatenate([np.arange(part.begin, part.end) for part in parts_of_round])[order])
        first += len(parts_of_round)
    return _chosen(parts, np.concatenate(which), np.concatenate(rows), share, lateness_us)


def _chosen(parts: Sequence[Part], which: I64, rows: I64, size: int, lateness_us: int) -> Taken:
    """Return rows `rows[i]` of the segments of `parts[which[i]]`, in this order."""
    goes_on = np.ones(len(rows), np.bool_)
    refused = []
    for number, part in enumerate(parts):
        whys = dict(part.judged.read.segment.refused)
        whys |= {row: Why("from_future", _ahead_detail(lateness_us)) for row in part.judged.ahead.tolist()}
        is_refused = np.zeros(len(part.judged), np.bool_)
        is_refused[list(whys)] = True
        goes_on[which == number] &= ~is_refused[rows[which == number]]
        refused += [
            Refusal(_message(part.judged.read.segment.messages, row), why)
            for row, why in sorted(whys.items())
            if part.begin <= row < part.end
        ]
    which, rows = which[goes_on], rows[goes_on]
    listed = [part.judged.read.segment.messages for part in parts]
    if all(isinstance(one, MessageList) for one in listed):
        return Taken(
            MessageList.chosen([one for one in listed if isinstance(one, MessageList)], which, rows), refused, size
        )
    taken = [_message(listed[list_], row) for list_, row in zip(which.tolist(), rows.tolist(), strict=True)]
    return Taken(taken, refused, size)


def _message(listed: MessageList | Sequence[Message], row: int) -> Message:
    return Message(*listed.message(row)) if isinstance(listed, MessageList) else listed[row]


def _ahead_detail(lateness_us: int) -> str:
    return (
        f"the event time is more than {format_duration(lateness_us)} after those of the rows around it in its file; a"
        " wrong clock, probably, which would have made the user's next rows too late"
    )
