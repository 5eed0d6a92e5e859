"""What the bytes of a message look like, when they are no event: in words, for whoever has to mend the sender.

By their first bytes and by trying, never by what the spec says. It is a guess, and is told as one.

    C3 01                    Avro's single-object encoding, bytes 2 to 9 the schema's fingerprint
    00, 4 bytes, ...         Confluent's wire format: the schema's id, big-endian
    Obj 01                   a whole Avro file
    1F 8B; 28 B5 2F FD       gzip; zstandard
    { or [                   JSON, if it is
    text of A-Z a-z 0-9 +/=  base64, if what it stands for is one of the others
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple

LONGEST_PARSED = 1_000_000
LARGEST_SCHEMA_ID = 10_000_000


class Looks(NamedTuple):
    """What a body looks like.

    Attributes:
        kind: `json`, `gzip`, `zstandard`, `confluent`, `avro file`, `single object`, `base64` or `empty`.
        words: the same in words.
    """

    kind: str
    words: str


def looks_like(body: bytes) -> Looks | None:
    r"""Return what a message body looks like, None if it looks like nothing that is known here.

    >>> looks_like(b'{"user": "u"}').words, looks_like(b"\x00\x00\x00\x00\x07rest").words
    ('JSON', "Confluent's wire format with schema id 7")
    """
    if not body:
        return Looks("empty", "an empty body")
    if body.startswith(b"\xc3\x01") and len(body) >= 10:
        return Looks("single object", f"Avro of a schema with the fingerprint {body[2:10].hex()}")
    if body.startswith(b"\x1f\x8b"):
        return Looks("gzip", "gzip")
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        return Looks("zstandard", "zstandard")
    if body.startswith(b"Obj\x01"):
        return Looks("avro file", "a whole Avro file")
    if _is_json(body):
        return Looks("json", "JSON")
    decoded = _from_base64(body)
    inner = None if decoded is None else looks_like(decoded)
    if inner is not None:
        return Looks("base64", f"base64 of {inner.words}")
    schema_id = int.from_bytes(body[1:5], "big")
    if body[0] == 0 and len(body) > 5 and schema_id <= LARGEST_SCHEMA_ID:
        return Looks("confluent", f"Confluent's wire format with schema id {schema_id}")
    return None


def _is_json(body: bytes) -> bool:
    if body.lstrip()[:1] not in (b"{", b"[") or len(body) > LONGEST_PARSED:
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _from_base64(body: bytes) -> bytes | None:
    if len(body) < 12 or len(body) > LONGEST_PARSED:
        return None
    try:
        return base64.b64decode(body.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
