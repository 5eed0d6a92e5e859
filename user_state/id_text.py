r"""The text of an id: under which text an event's user, event id or item is kept, whatever type its field has.

    the field's Avro type            its text                                an example
    string, enum                     as it is                                "u1"
    string with logicalType uuid     as it is, as the producer wrote it      "0f8fad5b-d9cb-469f-a165-70867728950e"
    int, long                        in decimal                              236238 -> "236238"
    fixed of 16 bytes, uuid          36 characters, lower case, with hyphens "0f8fad5b-d9cb-469f-a165-70867728950e"
    bytes, other fixed               two lower-case hexadecimal digits a byte  b"\x00\xff" -> "00ff"

The same text stands in Redis keys, in what the client takes and gives, in dead letters and in tables. So the number 7
and the text "7" are one id. Floats, booleans, decimals and nested values are no ids.

The compiled decoder (`native/events/event_decoder.cpp`) and the brute force (`user_state/oracle`) have this rule each
on their own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from uuid import UUID

from user_state.errors import InputError, shorten

OfBytes = Callable[[bytes], str]


def id_text(value: object) -> str:
    r"""Return the text of an id that somebody has as a Python value.

    >>> id_text("u1"), id_text(236238), id_text(b"\x00\xff")
    ('u1', '236238', '00ff')
    >>> id_text(UUID("0F8FAD5B-D9CB-469F-A165-70867728950E"))
    '0f8fad5b-d9cb-469f-a165-70867728950e'

    Raises:
        InputError: a value of a type that no id has.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, bool):
        try:
            return str(operator.index(value))  # type: ignore[arg-type]  # numpy's integers too
        except TypeError:
            pass
    raise InputError(f"expected an id as a text, a whole number, bytes or a UUID, got {shorten(value)}")


def of_bytes(avro_type: str) -> OfBytes | None:
    r"""Return what gives the text of ids whose field has this type, in words as EventField has it; None if no bytes.

    >>> of_bytes("bytes")(b"\x00\xff"), of_bytes("fixed (uuid)")(bytes(16)), of_bytes("string")
    ('00ff', '00000000-0000-0000-0000-000000000000', None)
    """
    return _OF_BYTES.get(avro_type)


def _uuid_text(value: bytes) -> str:
    if len(value) != 16:
        raise InputError(f"expected a UUID of 16 bytes, got {len(value)} bytes")
    return str(UUID(bytes=value))


_OF_BYTES: dict[str, OfBytes] = {"bytes": bytes.hex, "fixed": bytes.hex, "fixed (uuid)": _uuid_text}
