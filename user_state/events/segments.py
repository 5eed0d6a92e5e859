"""What every kind of event file gives to whoever reads it: its messages, a stretch of the file at a time."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Protocol, cast

from user_state.errors import InputError
from user_state.events.message import Message
from user_state.events.stored_files import open_stored
from user_state.state.event_batch import MessageList

OpenFile = Callable[[str], BinaryIO]
"""Opens a path to be read; raises OSError."""


class Why(NamedTuple):
    """The reason and the detail of a dead letter."""

    reason: str
    detail: str


class Refusal(NamedTuple):
    """A message that its source refuses, and why."""

    message: Message
    why: Why


@dataclass(frozen=True)
class Segment:
    """Consecutive messages of a file.

    Attributes:
        messages: in the file's order; at least one.
        size: about how many bytes they have.
        next_place: where the next segment begins.
        refused: by index, those that hold what was found in place of an event.
    """

    messages: MessageList | Sequence[Message]
    size: int
    next_place: int
    refused: Mapping[int, Why] = field(default_factory=dict)


class EventFile(Protocol):
    """One open file."""

    def segments(self, place: int, most_messages: int, most_bytes: int) -> Iterator[Segment]:
        """Yield segments from `place` on: 0, or a segment's `next_place`. Each has as much as was asked for, or a bit
        more.

        Raises:
            InputError: the file is damaged; says where.
        """

    def close(self) -> None:
        """Close the file."""


def open_named(path: str) -> BinaryIO:
    """Open a file of this machine or of an object store; one whose name ends in `.gz` is decompressed as it is read."""
    return decompressed(path, open_stored(path))


def decompressed(path: str, file: BinaryIO) -> BinaryIO:
    """Return what a file holds, by its name."""
    return cast(BinaryIO, _Gzip(file)) if path.lower().endswith(".gz") else file


class _Gzip(gzip.GzipFile):
    """Closes the file that it reads, too."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._file = file

    def close(self) -> None:
        super().close()
        self._file.close()


def opened(path: str, open_file: OpenFile) -> BinaryIO:
    """Return the open file.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return open_file(path)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
