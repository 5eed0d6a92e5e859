"""What travels between the steps: event rows and messages packed into one element of bytes.

Elements cost a runner more than bytes do, so a pull travels as one packet a shard. Packets live between two steps of
one running pipeline, written and read by the same code; they are never stored, so pickle is safe and fastest here.
"""

from __future__ import annotations

import pickle
from typing import NamedTuple

from apache_beam.typehints import Tuple

from user_state.core.events import EventRow
from user_state.events.message import Message

KEYED_PACKETS = Tuple[int, bytes]
"""Beam's type of (shard, packet): fixed coders, and a key that every runner can partition by."""

USERS_PACKETS = Tuple[str, bytes]
"""Beam's type of (user, packet), where state is kept a user: likewise."""


class Decoded(NamedTuple):
    """Decoded messages of one shard: rows and the messages they came from, side by side."""

    rows: list[EventRow]
    messages: list[Message]


class DeadLetter(NamedTuple):
    """A message that will not be folded, and why."""

    message: Message
    reason: str
    detail: str


def pack_decoded(rows: list[EventRow], messages: list[Message]) -> bytes:
    """Return rows and their messages as bytes."""
    return pickle.dumps((rows, [tuple(message[:5]) for message in messages]), protocol=5)


def unpack_decoded(packet: bytes) -> Decoded:
    """Return what `pack_decoded` packed."""
    rows, messages = pickle.loads(packet)  # noqa: S301 - written by this pipeline, see above
    return Decoded(rows, [Message(*message) for message in messages])


def pack_dead(letters: list[DeadLetter]) -> bytes:
    """Return dead letters as bytes."""
    return pickle.dumps([(tuple(letter.message[:5]), letter.reason, letter.detail) for letter in letters], protocol=5)


def unpack_dead(packet: bytes) -> list[DeadLetter]:
    """Return what `pack_dead` packed."""
    return [
        DeadLetter(Message(*message), reason, detail)
        for message, reason, detail in pickle.loads(packet)  # noqa: S301 - written by this pipeline, see above
    ]
