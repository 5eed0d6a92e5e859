r"""What a body looks like that is no event: other framings and encodings, by name and with what to do.

    begins with                     what it is
    "Obj" 01                        an Avro file
    00, id (4 bytes)                Confluent's wire format; an event of the schema follows
    01, GUID (16 bytes)             the same with a GUID
    version (8 bytes)               a schema version, as Pulsar has it; an event follows
    C3 01, fingerprint reversed     single-object encoding with the fingerprint's bytes in the wrong order
    { or [                          JSON: an event, Avro's JSON encoding, Kafka Connect's, a change event
    1F 8B, 28 B5 2F FD, ...         gzip, zstandard, zlib, snappy
    letters and digits alone        base64, of an event or of one of these

Asked only of bodies that were refused: an Avro event may begin with any of these bytes. Nothing of what a body holds
gets into the answer but the id of a schema.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection
from typing import Any

MOST_BYTES = 1 << 16
"""Of a larger body only the beginning is looked at."""
SINGLE_OBJECT = b"\xc3\x01"
FINGERPRINT_BYTES, VERSION_BYTES, GUID_BYTES, ID_BYTES = 8, 8, 16, 4
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\xff\x06\x00\x00sNaPpY": "framed snappy",
    b"\x04\x22\x4d\x18": "LZ4",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}={0,2}\s*")
_STRIP = "publish the event alone, or with Avro's single-object header"
_AVRO = "publish it as Avro"


def looks_like(body: bytes, is_event: Callable[[bytes], bool], known: Collection[bytes] = ()) -> str | None:
    r"""Return what a refused body probably is and what to do about it, None if that cannot be said.

    Args:
        body: what is no event.
        is_event: whether bytes are one.
        known: fingerprints of the schemas that events may have, as they stand in a header.

    >>> looks_like(b'{"eid": "e1"}', lambda body: False)
    'looks like JSON: publish it as Avro'
    >>> looks_like(b"\x00\x00\x00\x00\x07event", lambda body: body == b"event")
    "looks like Confluent's wire format, schema id 7: publish the event alone, or with Avro's single-object header"
    """
    if not body:
        return "the body is empty"
    found = _framed(body, is_event, known) or _compressed(body) or _json(body) or _base64(body, is_event, known)
    return None if found is None else f"looks like {found}"


def _framed(body: bytes, is_event: Callable[[bytes], bool], known: Collection[bytes]) -> str | None:
    if body.startswith(b"Obj\x01"):
        return "an Avro file: publish its events one by one, or read it with `run --input`"
    if body.startswith(SINGLE_OBJECT):
        end = len(SINGLE_OBJECT) + FINGERPRINT_BYTES
        turned = body[len(SINGLE_OBJECT) : end][::-1]
        if turned in known:
            return "single-object encoding with the fingerprint's bytes reversed: write the least significant one first"
        return None
    if body[0] == 0 and is_event(body[1 + ID_BYTES :]):
        number = int.from_bytes(body[1 : 1 + ID_BYTES], "big")
        return f"Confluent's wire format, schema id {number}: {_STRIP}"
    if body[0] == 1 and is_event(body[1 + GUID_BYTES :]):
        return f"Confluent's wire format with a GUID: {_STRIP}"
    # Versions are small numbers: without the zeros, any eight bytes before what may pass for an event would do.
    if body[: VERSION_BYTES - 2].count(0) == VERSION_BYTES - 2 and is_event(body[VERSION_BYTES:]):
        return f"an event behind {VERSION_BYTES} bytes, as Pulsar's schema version: {_STRIP}"
    return None


def _compressed(body: bytes) -> str | None:
    for begin, name in _COMPRESSED.items():
        if body.startswith(begin):
            return f"{name}: publish it as it was before"
    # Two bytes are little: texts begin with "x" too.
    return "zlib: publish it as it was before" if body.startswith(_ZLIB) and not body[:16].isascii() else None


def _json(body: bytes) -> str | None:
    begin = body.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if begin[:1] not in (b"{", b"["):
        return None
    if len(body) > MOST_BYTES:
        return f"JSON: {_AVRO}"
    try:
        value: Any = json.loads(begin)
    except (ValueError, RecursionError):
        return f"JSON, but is none: {_AVRO}" if begin[:2] in (b'{"', b"[{") else None
    if isinstance(value, list):
        return f"JSON, a list of {len(value)}: {_AVRO}, one event a message"
    if value.keys() == {"schema", "payload"}:
        return f"Kafka Connect's JSON, with a schema in each message: {_AVRO}"
    inner = value.get("payload", value)
    if isinstance(inner, dict) and {"after", "op"} <= inner.keys():
        return f"a change event (CDC) in JSON: take the event out of `after`, and {_AVRO.replace('it', 'that')}"
    return f"JSON: {_AVRO}"


def _base64(body: bytes, is_event: Callable[[bytes], bool], known: Collection[bytes]) -> str | None:
    if len(body) > MOST_BYTES or not _BASE64.fullmatch(body):
        return None
    text = body.strip().replace(b"-", b"+").replace(b"_", b"/")
    try:
        inside = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
    if is_event(inside):
        return "base64 of an event: publish the bytes themselves"
    within = _framed(inside, is_event, known) or _compressed(inside) or _json(inside)
    return None if within is None else f"base64 of {within}"
