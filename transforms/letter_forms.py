"""How a dead letter goes to a Pub/Sub topic, so that every one can, and how it comes back from there as it was.

Pub/Sub takes 100 attributes a message, keys of 1 to 256 bytes that do not begin with `goog`, values of up to 1,024, and
10 MB a request. What it delivered keeps to that, but a letter has attributes of its own beside the message's, and a
message from a file keeps to nothing. The first of these forms that Pub/Sub takes is sent:

    plain    body and attributes untouched, with `dead_letter_reason`, `dead_letter_detail`, `dead_letter_origin` beside
    packed   body and all attributes in an Avro `user_state.Message` in single-object encoding; ours beside it, with
             `dead_letter_packed`: where there are too many attributes, or one is too long or has a name of ours
    bare     as it came, without anything of ours: where those few bytes are too many
    cut      the beginning of the body, with our attributes and `dead_letter_cut`, which says how much there was: only
             of what was never on a topic with a name of this length, such as a message of more than 10 MB from a file

Attributes that begin with `goog` are Pub/Sub's own, which it adds to what it delivers and takes from nobody: they are
left out but where the message is packed. `opened` undoes plain and packed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import fastavro

from transforms.packet import DeadLetter
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject
from user_state.events.message import MESSAGE_SCHEMA

MOST_ATTRIBUTES = 100
KEY_BYTES = 256
VALUE_BYTES = 1024
REQUEST_BYTES = 10_000_000
PUBSUBS_OWN = "goog"
REASON, DETAIL, ORIGIN = "dead_letter_reason", "dead_letter_detail", "dead_letter_origin"
PACKED, CUT = "dead_letter_packed", "dead_letter_cut"
_OURS = frozenset((REASON, DETAIL, ORIGIN, PACKED, CUT))
_CLIENTS = frozenset(("self", "topic", "data", "ordering_key", "retry", "timeout"))
"""Names that the client library's `publish` has for itself."""
_CUT_ROOM = 16_384
"""What is left for our attributes, and for what surrounds them, where a body is cut."""


class Outgoing(NamedTuple):
    """What is published of a dead letter."""

    data: bytes
    attributes: dict[str, str]


def forms(letter: DeadLetter, topic: str, dead_us: int) -> Iterator[Outgoing]:
    """Yield the forms of a letter that Pub/Sub takes, as far as its limits are known; the first is the best.

    Args:
        letter: the letter.
        topic: the full path of the topic.
        dead_us: now, microseconds UTC.
    """
    message = letter.message
    theirs = {name: value for name, value in message.attributes.items() if not name.startswith(PUBSUBS_OWN)}
    ours = {
        REASON: cut_text(letter.reason),
        DETAIL: cut_text(letter.detail),
        ORIGIN: cut_text(message.origin),
    }
    if not _OURS & theirs.keys() and _is_taken(plain := Outgoing(message.data, {**theirs, **ours}), topic):
        yield plain
    packed = Outgoing(_messages().encode(envelope(letter, dead_us)), {**ours, PACKED: "user_state.Message"})
    if _is_taken(packed, topic):
        yield packed
    bare = Outgoing(message.data, theirs)
    if (bare.data or theirs) and _is_taken(bare, topic):
        yield bare
    beginning = message.data[: REQUEST_BYTES - _CUT_ROOM]
    there_were = f"{len(message.data)} bytes and {len(message.attributes)} attributes"
    yield Outgoing(beginning, {**ours, CUT: there_were})


def envelope(letter: DeadLetter, dead_us: int) -> dict[str, object]:
    """Return a letter as a `user_state.Message`, which any text fits."""
    message = letter.message
    return {
        "data": message.data,
        "attributes": {_text(name): _text(value) for name, value in message.attributes.items()},
        "publish_time": message.publish_us,
        "reason": _text(letter.reason),
        "detail": _text(letter.detail),
        "origin": _text(message.origin),
        "dead_at": dead_us,
    }


def opened(data: bytes, attributes: dict[str, str]) -> Outgoing:
    """Return body and attributes of a message; of a dead letter those that it had when it died."""
    if not {REASON, DETAIL, ORIGIN} <= attributes.keys():
        return Outgoing(data, attributes)
    if PACKED in attributes:
        try:
            found = _messages().decode(data)
        except EventError:  # somebody else's, then
            return Outgoing(data, attributes)
        return Outgoing(found["data"], found["attributes"])
    return Outgoing(data, {name: value for name, value in attributes.items() if name not in _OURS})


def cut_text(text: str) -> str:
    """Return as much of a text as an attribute's value holds."""
    return _text(text).encode()[:VALUE_BYTES].decode(errors="ignore")


def _text(text: str) -> str:
    """Return a text that can be UTF-8: names of files may have bytes that are none."""
    return text.encode(errors="backslashreplace").decode()


@cache
def _messages() -> SingleObject:
    return SingleObject(fastavro.parse_schema(json.loads(MESSAGE_SCHEMA.read_text())))


def _is_taken(outgoing: Outgoing, topic: str) -> bool:
    """Return whether a request of this message alone keeps to the limits."""
    from google.pubsub_v1 import PublishRequest, PubsubMessage

    attributes = outgoing.attributes
    if len(attributes) > MOST_ATTRIBUTES or _CLIENTS & attributes.keys():
        return False
    try:
        for name, value in attributes.items():
            if not 0 < len(name.encode()) <= KEY_BYTES or len(value.encode()) > VALUE_BYTES:
                return False
    except UnicodeEncodeError:
        return False
    # Exactly what the client library counts, and refuses to send.
    message = PubsubMessage.pb()(data=outgoing.data, attributes=attributes)
    return int(PublishRequest.pb()(topic=topic, messages=[message]).ByteSize()) <= REQUEST_BYTES
