"""Message bodies made undecodable, in the four ways that really happen.

    cut         the end is missing
    noise       other bytes altogether
    flipped     some bits of some bytes are wrong
    mislabelled whole, but with the fingerprint of a schema nobody knows

A damaged body must be refused by every decoder, so it is damaged again until even a lenient one (fastavro, with
trailing bytes allowed, and with or without the ten bytes in front) cannot read it. What has no such ten bytes is read
with one schema, whichever the event was written with.
Nothing here keeps state: the caller's generator makes it repeatable.
"""

from __future__ import annotations

import io
import random

import fastavro

from user_state.events.avro_files import MARKER, Schema

HEADER_BYTES = 10
TRIES = 200


def damage(body: bytes, schema: Schema, rng: random.Random, bare_schema: Schema | None = None) -> bytes:
    """Return `body`, a single-object encoding of `schema`, damaged in one of the four ways; never empty.

    `bare_schema` is what is read without the ten bytes in front; `schema` if not given.
    """
    bare_schema = schema if bare_schema is None else bare_schema
    kind = (_cut, _noise, _flipped, _mislabelled)[rng.randrange(4)]
    for _ in range(TRIES):
        damaged = kind(body, rng)
        known = damaged[:HEADER_BYTES] == body[:HEADER_BYTES]
        if not (known and _can_be_read(damaged[HEADER_BYTES:], schema)) and not _can_be_read(damaged, bare_schema):
            return damaged
    # A schema in which nearly any bytes are an event: a marker with nothing behind it never is
    return MARKER


def _cut(body: bytes, rng: random.Random) -> bytes:
    return body[: rng.randrange(1, len(body))]


def _noise(_: bytes, rng: random.Random) -> bytes:
    # A byte that is not the marker's first, so that noise cannot begin like a body
    return bytes([rng.randrange(MARKER[0])]) + rng.randbytes(rng.randrange(200))


def _flipped(body: bytes, rng: random.Random) -> bytes:
    flipped = bytearray(body)
    for _ in range(rng.randrange(1, 5)):
        flipped[rng.randrange(len(body))] ^= rng.randrange(1, 256)
    return bytes(flipped)


def _mislabelled(body: bytes, _: random.Random) -> bytes:
    return MARKER + bytes(b ^ 0xFF for b in body[2:HEADER_BYTES]) + body[HEADER_BYTES:]


def _can_be_read(body: bytes, schema: Schema) -> bool:
    """Return whether fastavro makes anything of `body`, even if it is not all of it, or its time out of range."""
    try:
        fastavro.schemaless_reader(io.BytesIO(body), schema, None)
    except OverflowError:
        return True  # a decoder that reads times as integers would call this an invalid event, not bytes that are none
    except Exception:  # fastavro promises no type of error for bytes that are no event
        return False
    return True
