"""Any bytes give a value or the one documented error: never another exception, a warning or a hang.

Seeded loops over 100,000 strings: random ones, and true ones damaged in every way that storage and senders know.
What decodes must also be of use: it can be read, folded into and written again.
"""

import io
import json
import random
import struct

import fastavro
import numpy as np
import pytest

from tests.packed import apply, features
from tests.trying import T0, VERSION, D, H, S, batch, event, plan_of, record_of, spec_of
from user_state.codec.record import MARKER, Outer, decode_records, encode_records, open_record
from user_state.codec.seen import decode_seen, encode_seen
from user_state.core.admission import Seen
from user_state.core.layout import Layout
from user_state.errors import CodecError, EventError
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


def some_plan(small: bool):
    if small:
        return plan_of()
    return plan_of(
        timezone="Europe/Berlin",
        features={
            "counts": {"aggregate": "count", "windows": ["10m", "1d", "lifetime"]},
            "moments": {"aggregate": ["kurtosis", "sum"], "of": "value", "windows": ["1d"]},
            "times": {"aggregate": ["recency", "gap_mean", "min"], "of": "amount", "windows": ["1d"]},
            "decayed": {"aggregate": ["decayed_count"], "half_life": ["1h", "7d"]},
            "distinct": {"aggregate": ["distinct"], "of": "item_id", "cap": 3, "windows": ["1d", "lifetime"]},
            "days": {"aggregate": ["streak_days", "active_days"], "windows": ["lifetime"]},
            "hours": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": ["1h", "7d"]},
            "seen": {"aggregate": "approx_distinct", "of": "item_id", "error": 0.1, "windows": ["1d", "lifetime"]},
            "spread": {
                "aggregate": ["approx_distinct", "approx_quantiles"],
                "of": "amount",
                "error": 0.1,
                "quantiles": [0, 0.5, 1],
                "windows": ["1h"],
            },
            "visits": {"aggregate": ["session_count", "current_session_length"], "gap": "1h", "windows": ["1d"]},
            "likes": {
                "aggregate": ["session_events_mean", "session_length_mean"],
                "gap": "8h",
                "where": {"action": "like"},
                "windows": ["lifetime"],
            },
            "keyed": {
                "aggregate": ["count_by", "sum_by"],
                "by": "item_id",
                "of": "value",
                "windows": ["1h", "lifetime"],
            },
            "composite": {
                "aggregate": ["share_by", "entropy_by"],
                "by": ["amount", "action", "item_id"],
                "keys": 3,
                "k": 3,
                "windows": ["1d", "lifetime"],
            },
            "fading": {
                "aggregate": "decayed_count_by",
                "by": ["action", "amount"],
                "keys": 3,
                "half_life": ["1h", "7d"],
            },
        },
        sequences={
            "s": {"fields": ["item_id", "value"], "last": 4},
            "t": {"fields": ["bought", "item_id"], "last": 3, "where": {"action": "like"}},
        },
        embeddings={"e": {"kind": "decayed_mean", "of": "item_id", "dimensions": 3, "half_life": ["1h", "7d"]}},
    )


def some_records(plan):
    made = [
        event(T0 + n * 7 * H, item_id=f"\u00e9{n % 4}", value=n / 3, amount=n, action="like" if n % 2 else "view")
        for n in range(9)
    ] + [event(T0 + 60 * H) for _ in range(300)]
    made += [event(T0 + 60 * H, item_id=f"{n}", amount=n * n) for n in range(60)]
    return [record_of(plan, made[:1]), record_of(plan, made), record_of(plan, [made[0], event(T0 + 20_000 * D)])]


def assert_of_use(plan, records) -> None:
    """What decoded can be read, folded into and written."""
    for at_us in (T0, T0 + 60 * H):
        features(plan, records, at_us)
    folded = apply(plan, records, batch(plan, [event(T0 + 61 * H, item_id="new", value=1.5, action="like")]))
    for written in (records, folded):
        blob = encode_records(written, plan.layout, [VERSION])[0]
        decode_records([open_record(blob)], plan.layout)


@pytest.mark.slow
@pytest.mark.parametrize("small", [True, False])
def test_records(small):
    rng = random.Random(1)
    plan = some_plan(small)
    blobs = [encode_records(one, plan.layout, [VERSION])[0] for one in some_records(plan)]
    decoded = 0
    for n in range(10_000):
        blob = rng.randbytes(rng.randrange(60)) if n % 10 == 0 else damaged(rng, rng.choice(blobs))
        if n % 20 == 0:
            blob = MARKER + VERSION + plan.layout.fingerprint + blob
        try:
            records = decode_records([open_record(blob)], plan.layout)
        except CodecError:
            continue
        decoded += 1
        if n % 8 == 0:
            assert_of_use(plan, records)
    assert 100 < decoded < 9_900


@pytest.mark.slow
def test_sections_of_records():
    """The outer record is whole, so that damage gets as far as the packed columns."""
    rng = random.Random(2)
    plan = some_plan(small=False)
    outers = [open_record(encode_records(one, plan.layout, [VERSION])[0]) for one in some_records(plan)]
    decoded = 0
    for n in range(20_000):
        outer = rng.choice(outers)
        sections = list(outer.sections)
        at = rng.randrange(len(sections))
        sections[at] = rng.randbytes(rng.randrange(40)) if n % 10 == 0 else damaged(rng, sections[at])
        try:
            records = decode_records([Outer(VERSION, outer.layout, outer.longs, tuple(sections))], plan.layout)
        except CodecError:
            continue
        decoded += 1
        if n % 8 == 0:
            assert_of_use(plan, records)
    assert 200 < decoded < 19_000


@pytest.mark.slow
def test_a_damaged_record_is_refused_beside_whole_ones_or_changes_none_of_them():
    """Columns of a batch are cut from one array: one record's damage must not be made up for by its neighbour."""
    rng = random.Random(3)
    plan = some_plan(small=False)
    whole = [open_record(encode_records(one, plan.layout, [VERSION])[0]) for one in some_records(plan)]
    expected = features(plan, decode_records([whole[0], whole[1]], plan.layout), T0).values
    refused = 0
    for _ in range(5_000):
        sections = list(whole[1].sections)
        at = rng.randrange(len(sections))
        sections[at] = damaged(rng, sections[at])
        middle = Outer(VERSION, plan.layout.fingerprint, whole[1].longs, tuple(sections))
        try:
            found = decode_records([whole[0], middle, whole[1]], plan.layout)
        except CodecError:
            refused += 1
            with pytest.raises(CodecError):
                decode_records([middle], plan.layout)
            continue
        np.testing.assert_array_equal(features(plan, found, T0).values[[0, 2]], expected)
    assert refused > 1_000


def test_remembered_ids():
    rng = random.Random(4)
    seen = Seen(np.zeros(5, np.int64), np.arange(5, dtype=np.uint64), np.arange(5) + T0 // S)
    blob = encode_seen(seen, 1)[0]
    decoded = 0
    for n in range(20_000):
        found = rng.randbytes(rng.randrange(40)) if n % 4 == 0 else damaged(rng, blob)
        try:
            ids = decode_seen([blob, found, None, blob])
        except CodecError:
            continue
        decoded += 1
        assert (ids.user[:5].tolist(), ids.user[-5:].tolist()) == ([0] * 5, [3] * 5)
        assert encode_seen(ids, 4)[1] == found
    assert 100 < decoded < 19_000


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


def test_layouts():
    rng = random.Random(6)
    text = some_plan(small=False).layout.to_json()
    words = ["[", "]", "{", "}", ",", '"', "null", "1e400", "-1", "9" * 30, "NaN", "Infinity", "\\ud800", "\0", "true"]
    decoded = 0
    for _ in range(5_000):
        out = text
        for _ in range(rng.choice([1, 2])):
            at, end = rng.randrange(len(out) + 1), rng.randrange(3)
            out = out[:at] + rng.choice(["", rng.choice(words)]) + out[at + end :]
        try:
            layout = Layout.from_json(out)
        except CodecError:
            continue
        decoded += 1
        assert isinstance(layout, Layout)
    assert 10 < decoded < 4_900
    for strange in ("", "[", "[" * 100_000, "null", "1", '"abcd"', '["","","",""]', '{"a":1,"b":2,"c":3,"d":4}'):
        try:
            Layout.from_json(strange)
        except CodecError:
            continue
        assert strange == '["","","",""]'
    with pytest.raises(CodecError):
        Layout.from_json(b"\xff\xfe")
    assert json.loads(text)


def test_a_length_far_beyond_the_end_costs_no_memory():
    """A few bytes that claim gigabytes are refused before anything is made for them."""
    plan = some_plan(small=False)
    head = MARKER + VERSION + plan.layout.fingerprint + bytes(4)
    for length in (2**31, 2**40, 2**62, -1, -(2**62)):
        claim = io.BytesIO()
        fastavro.schemaless_writer(claim, "long", length)
        with pytest.raises(CodecError):
            open_record(head + claim.getvalue())
    for size in (2**32 - 1, 2**16 - 1):
        blob = struct.pack("<HII", size & 0xFFFF, size, size) * 2
        outer = open_record(encode_records(some_records(plan)[0], plan.layout, [VERSION])[0])
        for at in range(len(outer.sections)):
            sections = (*outer.sections[:at], blob, *outer.sections[at + 1 :])
            with pytest.raises(CodecError):
                decode_records([Outer(VERSION, outer.layout, outer.longs, sections)], plan.layout)
