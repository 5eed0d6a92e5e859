"""What travels from a source to the decoder: one message, as it stood on the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

MESSAGE_SCHEMA = Path(__file__).parent.parent / "schemas" / "message.avsc"
"""What messages look like in files of dead letters."""


class Message(NamedTuple):
    """One message of an input.

    Attributes:
        data: the body as received; empty where `event` holds the event already.
        attributes: the message's attributes.
        publish_us: when the broker accepted it, microseconds UTC; None if the input does not know.
        ack_id: what to acknowledge once the message's fate is stored; None for inputs that need no acknowledgement.
        origin: the subscription or file it came from, for dead letters.
        event: the event, for inputs that had to decode it to find its end (Avro files of events).
    """

    data: bytes
    attributes: dict[str, str]
    publish_us: int | None
    ack_id: str | None
    origin: str
    event: dict[str, Any] | None = None
