"""What travels between the steps, as bytes: batches of events by key, and dead letters.

Elements cost a runner more than bytes do, so a pull travels as one packet a shard: the events of an `EventBatch`, whose
bytes `native/events/event_batch.hpp` describes. Packets live between two steps of one running pipeline, written and
read by the same code, and are never stored. Dead letters are few; they travel as an Avro array.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, NamedTuple

import fastavro
from apache_beam.typehints import Tuple

from user_state.events.message import Message

KEYED_PACKETS = Tuple[int, bytes]
"""Beam's type of (shard, packet): fixed coders, and a key that every runner can partition by."""

USERS_PACKETS = Tuple[str, bytes]
"""Beam's type of (user, packet), where state is kept a user: likewise."""

_LENIENT = "surrogatepass"
"""Names of files may have bytes that are no UTF-8, which Python keeps as lone surrogates."""
_LETTERS = fastavro.parse_schema(
    {
        "type": "array",
        "items": {
            "type": "record",
            "name": "DeadLetter",
            "fields": [
                {"name": "data", "type": "bytes"},
                {"name": "attributes", "type": {"type": "map", "values": "bytes"}},
                {"name": "publish_us", "type": ["null", "long"]},
                {"name": "ack_id", "type": ["null", "string"]},
                {"name": "origin", "type": "bytes"},
                {"name": "reason", "type": "string"},
                {"name": "detail", "type": "bytes"},
            ],
        },
    }
)


class DeadLetter(NamedTuple):
    """A message that will not be folded, and why."""

    message: Message
    reason: str
    detail: str


def pack_dead(letters: Iterable[DeadLetter]) -> bytes:
    """Return dead letters as bytes."""
    packed = io.BytesIO()
    fastavro.schemaless_writer(packed, _LETTERS, [_as_record(letter) for letter in letters])
    return packed.getvalue()


def unpack_dead(packet: bytes) -> list[DeadLetter]:
    """Return what `pack_dead` packed."""
    letters: Any = fastavro.schemaless_reader(io.BytesIO(packet), _LETTERS, None)
    return [_of_record(letter) for letter in letters]


def _as_record(letter: DeadLetter) -> dict[str, Any]:
    data, attributes, publish_us, ack_id, origin, *_ = letter.message
    return {
        "data": data,
        "attributes": {name: value.encode(errors=_LENIENT) for name, value in attributes.items()},
        "publish_us": publish_us,
        "ack_id": ack_id,
        "origin": origin.encode(errors=_LENIENT),
        "reason": letter.reason,
        "detail": letter.detail.encode(errors=_LENIENT),
    }


def _of_record(record: dict[str, Any]) -> DeadLetter:
    attributes = {name: value.decode(errors=_LENIENT) for name, value in record["attributes"].items()}
    origin = record["origin"].decode(errors=_LENIENT)
    message = Message(record["data"], attributes, record["publish_us"], record["ack_id"], origin)
    return DeadLetter(message, record["reason"], record["detail"].decode(errors=_LENIENT))
