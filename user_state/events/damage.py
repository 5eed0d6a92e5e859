"""Message bodies made undecodable, in the four ways that really happen.

    cut         the end is missing
    noise       other bytes altogether
    flipped     some bits of some bytes are wrong
    mislabelled whole, but with the fingerprint of a schema nobody knows

A damaged body must be refused by every decoder, so bits are flipped until even a lenient one (fastavro, with
trailing bytes allowed) cannot read it. Nothing here keeps state: the caller's generator makes it repeatable.
"""

from __future__ import annotations

import io
import random

import fastavro

from user_state.events.avro_files import MARKER, Schema

HEADER_BYTES = 10
FLIPS_BEFORE_GIVING_UP = 200


def damage(body: bytes, schema: Schema, rng: random.Random) -> bytes:
    """Return `body`, a single-object encoding of `schema`, damaged in one of the four ways; never empty."""
    kind = rng.randrange(4)
    if kind == 0:
        return body[: rng.randrange(1, len(body))]
    if kind == 1:
        # A byte that is not the marker's first, so that noise cannot begin like a body
        return bytes([rng.randrange(0xC3)]) + rng.randbytes(rng.randrange(200))
    if kind == 2:
        return _flipped(body, schema, rng)
    return MARKER + bytes(b ^ 0xFF for b in body[2:HEADER_BYTES]) + body[HEADER_BYTES:]


def _flipped(body: bytes, schema: Schema, rng: random.Random) -> bytes:
    for _ in range(FLIPS_BEFORE_GIVING_UP):
        flipped = bytearray(body)
        for _ in range(rng.randrange(1, 5)):
            flipped[rng.randrange(len(body))] ^= rng.randrange(1, 256)
        if flipped[:HEADER_BYTES] != body[:HEADER_BYTES] or not _can_be_read(bytes(flipped[HEADER_BYTES:]), schema):
            return bytes(flipped)
    # A schema in which nearly any bytes are an event: spoil what says that this is one
    return bytes([body[0] ^ 0xFF]) + body[1:]


def _can_be_read(body: bytes, schema: Schema) -> bool:
    """Return whether fastavro makes anything of `body`, even if it is not all of it, or its time out of range."""
    try:
        fastavro.schemaless_reader(io.BytesIO(body), schema, None)
    except OverflowError:
        return True  # a decoder that reads times as integers would call this an invalid event, not bytes that are none
    except Exception:  # fastavro promises no type of error for bytes that are no event
        return False
    return True
