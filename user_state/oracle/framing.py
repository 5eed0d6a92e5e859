"""What a message's body holds: which schema the event was written with, and its bytes. Written down a second time.

    single object   C3 01, fingerprint (8 bytes), event
    container       an Avro file with one record, read by fastavro
    confluent       00, schema id (4 bytes, big-endian), event
    raw, json       the event

A body in single-object encoding of a schema that is known is read whatever the encoding. Attributes: `content-encoding`
gzip; `googclient_schemaencoding`, which has to go with the encoding.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import fastavro

MOST_BYTES = 10_000_000
OF_PUBSUB = {"BINARY": "raw", "JSON": "json"}


class Framed(NamedTuple):
    """An event's bytes, and by what its schema is known.

    Attributes:
        event: the bytes.
        fingerprint: of the schema, where the body has one.
        schema: as the body has it, or as its id stands for; None where it is the spec's own.
    """

    event: bytes
    fingerprint: bytes | None = None
    schema: Any = None


JSON = "JSON"


def opened(
    body: bytes,
    attributes: Mapping[str, str],
    encoding: str,
    fingerprints: Collection[bytes],
    schema_of: Callable[[int], Any],
    revisions: Mapping[str, Any],
) -> Framed:
    """Return what a body holds.

    Args:
        body: as it came.
        attributes: the message's.
        encoding: the spec's.
        fingerprints: of the schemas that the spec names.
        schema_of: the schema of an id, None if there is none; JSON of one whose bodies are JSON.
        revisions: the schemas of a Pub/Sub topic by revision; none where they are not told apart.

    Raises:
        ValueError: no event of the encoding.
    """
    body = _unpacked(body, {name.lower(): value for name, value in attributes.items()}, encoding)
    if body[:2] == b"\xc3\x01" and body[2:10] in fingerprints:
        return Framed(body[10:], body[2:10])
    if encoding == "json":
        return Framed(body)
    if encoding == "raw":
        revision = attributes.get("googclient_schemarevisionid")
        if not revisions or not revision:
            return Framed(body)
        if revision not in revisions:
            raise ValueError("a revision of no schema")
        return Framed(body, schema=revisions[revision])
    if encoding == "confluent":
        if len(body) < 6 or body[0] != 0:
            raise ValueError("no id")
        schema = schema_of(int.from_bytes(body[1:5], "big"))
        if schema is None:
            raise ValueError("an id of no schema")
        return Framed(body[5:], schema=schema)
    if encoding == "container":
        return _contained(body)
    raise ValueError(f"no body of {encoding}")


def _unpacked(body: bytes, attributes: Mapping[str, str], encoding: str) -> bytes:
    checked = attributes.get("googclient_schemaencoding")
    if checked and OF_PUBSUB.get(checked) != encoding:
        raise ValueError("Pub/Sub says otherwise")
    packing = attributes.get("content-encoding", "").lower()
    if packing in ("", "identity"):
        return body
    if packing not in ("gzip", "x-gzip"):
        raise ValueError("another compression")
    try:
        with gzip.open(io.BytesIO(body)) as file:
            found = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as exc:
        raise ValueError("no gzip") from exc
    if len(found) > MOST_BYTES:
        raise ValueError("too large")
    return found


def _contained(body: bytes) -> Framed:
    if body[:4] != b"Obj\x01":  # fastavro does not look
        raise ValueError("no Avro file")
    try:
        file = fastavro.block_reader(io.BytesIO(body))
        blocks = [(block.num_records, block.bytes_.read()) for block in file]
        schema: Any = json.loads(file.metadata["avro.schema"])
    except Exception as exc:  # fastavro promises no type of error
        raise ValueError("no Avro file") from exc
    if sum(number for number, _ in blocks) != 1 or any(number < 0 for number, _ in blocks):
        raise ValueError("not one event")
    return Framed(next(data for number, data in blocks if number), schema=schema)
