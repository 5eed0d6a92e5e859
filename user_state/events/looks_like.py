r"""What a body looks like that is no event: other framings and encodings, by name and with what to do.

    begins with                     what it is                                                      events.encoding
    an event                        an event alone                                                  raw
    "Obj" 01                        an Avro file                                                    container
    00, id (4 bytes)                Confluent's wire format; an event of the schema follows         confluent
    01, GUID (16 bytes)             the same with a GUID
    version (8 bytes)               a schema version, as Pulsar has it; an event follows
    C3 01, fingerprint reversed     single-object encoding with the fingerprint's bytes in the wrong order
    { or [                          JSON: an event, Avro's JSON encoding, Kafka Connect's, a change event   json
    1F 8B, 28 B5 2F FD, ...         gzip, zstandard, zlib, snappy
    letters and digits alone        base64, of an event or of one of these

Asked only of bodies that were refused: an Avro event may begin with any of these bytes. It is a guess, and is told as
one. Nothing of what a body holds gets into it but the id or the fingerprint of a schema.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from user_state.spec.bodies import Encoding

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
LARGEST_SCHEMA_ID = 10_000_000
"""Of Confluent's format, where it cannot be tried whether an event follows."""
_STRIP = "publish the event alone, or with Avro's single-object header"
_AS_IT_WAS = "publish it as it was before"
_SET: dict[Encoding, str] = {
    "raw": "set events.encoding: raw",
    "container": "set events.encoding: container",
    "confluent": "set events.encoding: confluent, and events.registry",
    "json": "set events.encoding: json",
}

IsEvent = Callable[[bytes], bool] | None


class Looks(NamedTuple):
    """What a body looks like.

    Attributes:
        kind: `raw`, `json`, `cdc`, `compressed`, `confluent`, `pulsar`, `avro file`, `single object`, `reversed`,
            `base64` or `empty`.
        words: the same in words.
        advice: what to do; empty if that depends.
        encoding: the spec's encoding that is read so, if there is one.
    """

    kind: str
    words: str
    advice: str = ""
    encoding: Encoding | None = None


def looks_like(
    body: bytes, is_event: IsEvent = None, known: Collection[bytes] = (), encoding: Encoding = "raw"
) -> Looks | None:
    r"""Return what a refused body probably is and what to do about it, None if that cannot be said.

    Args:
        body: what is no event.
        is_event: whether bytes are one, alone; None where that cannot be tried.
        known: fingerprints of the schemas that events may have, as they stand in a header.
        encoding: the spec's, which a body does not look like if it is refused as one.

    >>> looks_like(b'{"eid": "e1"}').words, looks_like(b"\x00\x00\x00\x00\x07rest").words
    ('JSON', "Confluent's wire format with schema id 7")
    """
    if not body:
        return Looks("empty", "an empty body")
    if encoding != "raw" and is_event is not None and not body.startswith(SINGLE_OBJECT) and is_event(body):
        return Looks("raw", "an event alone", _SET["raw"], "raw")
    seen = (
        _headed(body, known)
        or _compressed(body)
        or _json(body)
        or _base64(body, is_event, known)
        or _prefixed(body, is_event)
    )
    return None if seen is None or seen.encoding == encoding else seen


def _headed(body: bytes, known: Collection[bytes]) -> Looks | None:
    if body.startswith(b"Obj\x01"):
        return Looks("avro file", "a whole Avro file", _SET["container"], "container")
    end = len(SINGLE_OBJECT) + FINGERPRINT_BYTES
    if not body.startswith(SINGLE_OBJECT) or len(body) < end:
        return None
    fingerprint = body[len(SINGLE_OBJECT) : end]
    if fingerprint[::-1] in known:
        words = "Avro's single-object encoding with the fingerprint's bytes reversed"
        return Looks("reversed", words, "write the least significant one first")
    return Looks("single object", f"Avro of a schema with the fingerprint {fingerprint.hex()}")


def _prefixed(body: bytes, is_event: IsEvent) -> Looks | None:
    schema_id = int.from_bytes(body[1 : 1 + ID_BYTES], "big")
    rest = body[1 + ID_BYTES :]
    if body[0] == 0 and rest and (schema_id <= LARGEST_SCHEMA_ID if is_event is None else is_event(rest)):
        return Looks("confluent", f"Confluent's wire format with schema id {schema_id}", _SET["confluent"], "confluent")
    if is_event is None:
        return None
    if body[0] == 1 and is_event(body[1 + GUID_BYTES :]):
        return Looks("confluent", "Confluent's wire format with a GUID", _STRIP)
    # Versions are small numbers: without the zeros, any eight bytes before what may pass for an event would do.
    zeros = VERSION_BYTES - 2
    if body[:zeros].count(0) == zeros and is_event(body[VERSION_BYTES:]):
        return Looks("pulsar", f"an event behind {VERSION_BYTES} bytes, as Pulsar's schema version", _STRIP)
    return None


def _compressed(body: bytes) -> Looks | None:
    for begin, name in _COMPRESSED.items():
        if body.startswith(begin):
            how = "set the attribute content-encoding: gzip" if name == "gzip" else _AS_IT_WAS
            return Looks("compressed", name, how)
    # Two bytes are little: texts begin with "x" too.
    return Looks("compressed", "zlib", _AS_IT_WAS) if body.startswith(_ZLIB) and not body[:16].isascii() else None


def _json(body: bytes) -> Looks | None:
    begin = body[:MOST_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if begin[:1] not in (b"{", b"["):
        return None
    if len(body) > MOST_BYTES:
        return Looks("json", "JSON", _SET["json"], "json") if begin[:2] in (b'{"', b"[{") else None
    try:
        value: Any = json.loads(begin)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        return Looks("json", "JSON", f"publish one event a message, and {_SET['json']}")
    if value.keys() == {"schema", "payload"}:
        how = f"switch that off (value.converter.schemas.enable=false), and {_SET['json']}"
        return Looks("json", "Kafka Connect's JSON, with a schema in each message", how)
    inner = value.get("payload", value)
    if isinstance(inner, dict) and {"after", "op"} <= inner.keys():
        how = f"{_SET['json']}, and name its fields by path, such as after.user_id"
        return Looks("cdc", "a change event (CDC) in JSON", how, "json")
    return Looks("json", "JSON", _SET["json"], "json")


def _base64(body: bytes, is_event: IsEvent, known: Collection[bytes]) -> Looks | None:
    if len(body) > MOST_BYTES or not _BASE64.fullmatch(body):
        return None
    text = body.strip().replace(b"-", b"+").replace(b"_", b"/")
    try:
        inside = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
    if is_event is not None and is_event(inside):
        return Looks("base64", "base64 of an event", "publish the bytes themselves")
    within = _headed(inside, known) or _compressed(inside) or _json(inside) or _prefixed(inside, is_event)
    return None if within is None else Looks("base64", f"base64 of {within.words}", "publish the bytes themselves")
