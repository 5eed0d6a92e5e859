"""Any bytes of an event give a value or the one documented error: never another exception, a warning or a hang.

Seeded loops over 100,000 strings: random ones, and true ones damaged in every way that storage and senders know.
What decodes must also be of use: it can be read, folded into and written again.
"""

import random
import struct

import fastavro
import pytest

from tests.trying import T0, event, plan_of, spec_of
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject
from user_state.events.decode import EventDecoder
from user_state.spec.event_schema import parse_event_schema

EDGES = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF]
NUMBERS = [0, 1, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def damaged(rng: random.Random, blob: bytes) -> bytes:
    """Return the bytes with up to four things done to them."""
    out = bytearray(blob)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(8):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(out):
                out[at] = rng.choice(EDGES)
            case 2:
                del out[at:]
            case 3:
                out[at:at] = rng.randbytes(rng.choice([1, 2, 8]))
            case 4:
                del out[at : at + rng.choice([1, 2, 8])]
            case 5:
                out[at : at + 8] = struct.pack("<Q", rng.choice(NUMBERS))
            case 6:
                out[at : at + 4] = struct.pack("<I", rng.choice(NUMBERS) & 0xFFFFFFFF)
            case _:
                end = at + rng.randrange(16)
                out[at:at] = out[at:end]
    return bytes(out)


NESTED = {
    "type": "record",
    "name": "Nested",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "user_id", "type": "string"},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "published_at", "type": ["null", "long"]},
        {"name": "action", "type": {"type": "enum", "name": "Action", "symbols": ["view", "like"]}},
        {"name": "item_id", "type": ["string", "null"]},
        {"name": "value", "type": ["null", "float", "double"]},
        {"name": "amount", "type": ["null", "int"]},
        {"name": "bought", "type": ["null", "boolean"]},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "more", "type": {"type": "map", "values": {"type": "fixed", "name": "Four", "size": 4}}},
        {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "bytes"}]}},
    ],
}
EVENT = event(T0, event_id="id", item_id="\u00e9\U0001f389", value=1.5, amount=-7, bought=True)
NESTED_EVENT = {**EVENT, "tags": ["a", "b"], "more": {"k": b"four"}, "inner": {"x": b"\0"}}


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
def test_event_bodies(nested):
    """Decoder and brute force, which share no code, agree on what is an event and on what it says."""
    rng = random.Random(5)
    schema = parse_event_schema(NESTED) if nested else spec_of().schema
    plan = plan_of(
        features={
            f: {"aggregate": "last_k", "of": f, "k": 1, "windows": ["1h"]} for f in ("item_id", "amount", "bought")
        }
    )
    decoder = EventDecoder(plan, schema)
    reference = SingleObject(fastavro.parse_schema(schema.parsed))
    body = decoder.encode(NESTED_EVENT if nested else EVENT)
    bare = body[10:]
    decoded = rows = 0
    reasons = set()
    for n in range(20_000):
        match n % 8:
            case 0:
                data = rng.randbytes(rng.randrange(60))
            case 1:
                data = body[:10] + rng.randbytes(rng.randrange(60))
            case 2:
                data = damaged(rng, body)
            case 3:
                data = damaged(rng, bare)
            case _:
                data = body[:10] + damaged(rng, bare)
        try:
            found = decoder.decode(data)
        except EventError as exc:
            reasons.add(exc.reason)
            with pytest.raises(EventError):
                reference.decode(data)
            continue
        decoded += 1
        assert repr(found) == repr(reference.decode(data))
        try:
            row = decoder.row(found, rng.choice([None, T0]))
        except EventError as exc:
            reasons.add(exc.reason)
            continue
        rows += 1
        assert len(row) == 4 + len(plan.fields)
        assert 0 <= row[1] < 2**64
    assert 100 < rows < decoded < 19_000
    assert reasons == {"undecodable", "invalid"}
