"""A record is Avro, names its families, and is not read once a bit of it has changed."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings

from tests.golden.write_user_state_v2 import PATH as GOLDEN
from tests.packed import VERSION, Records, apply, from_events
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, H, M, S, batch, event, plan_of
from user_state import _native
from user_state.errors import CodecError
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.plan.layout import Layout
from user_state.plan.plan import Plan
from user_state.reading.features import Reader
from user_state.state.envelope import LAYOUT, MARKER, heads_of
from user_state.state.envelope import VERSION as AT
from user_state.state.events import Events
from user_state.state.records import PackedRecords

SCHEMA = fastavro.parse_schema(json.loads((Path(__file__).parents[2] / "avro" / "user_state.avsc").read_text()))
FINGERPRINT = bytes.fromhex(
    fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO")
)
LONGS = ("clock_us", "last_event_us", "horizon_us", "applied")
KEPT = [bytes.fromhex(one["record"]) for one in json.loads(GOLDEN.read_text("utf-8"))["users"]]
PLAN = plan_of(
    features={
        "seen": {"aggregate": ["count", "sum"], "of": "amount", "windows": ["1h"]},
        "keyed": {"aggregate": ["count_by"], "by": "item_id", "windows": ["1h"]},
    }
)


def crc32c(data: bytes) -> int:
    """The checksum bit by bit, as RFC 3720 defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sealed(data: bytes) -> bytes:
    """Return bytes with their checksum."""
    return data + crc32c(data).to_bytes(4, "little")


def fields_of(blob: bytes) -> dict[str, Any]:
    """Return what Avro says of a record."""
    buffer = io.BytesIO(blob[10:])
    fields = fastavro.schemaless_reader(buffer, SCHEMA, None)
    assert buffer.read() == b""
    assert isinstance(fields, dict)
    return fields


def record_with(fields: dict[str, Any]) -> bytes:
    """Return the record of these fields, with a checksum of its own."""
    written = io.BytesIO()
    fastavro.schemaless_writer(written, SCHEMA, {**fields, "checksum": bytes(4)})
    return sealed(b"\xc3\x01" + FINGERPRINT + written.getvalue()[:-4])


def one(plan: Plan = PLAN, events: int = 3) -> bytes:
    made = [event(T0 + n * S, item_id=f"i{n}", amount=n) for n in range(events)]
    (blob,) = from_events(plan, batch(plan, made)).blobs
    assert blob is not None
    return blob


@pytest.mark.slow
@given(worlds(most=20, duplicates=False))
@settings(QUICK, max_examples=50)
def test_any_record_is_read_and_written_alike_by_fastavro(world: World) -> None:
    plan = compile_plan(world.spec)
    decoder = EventDecoder(plan, world.spec.schema)
    events = Events.from_rows(plan, [decoder.row(a.event or {}, a.published_us) for a in world.arrivals])
    records = from_events(plan, events)
    for at, blob in enumerate(records.blobs):
        assert blob is not None
        assert blob[:10] == b"\xc3\x01" + FINGERPRINT == MARKER
        fields = fields_of(blob)
        assert (fields["version"], fields["layout"]) == (VERSION, plan.layout.fingerprint) == (blob[AT], blob[LAYOUT])
        assert [fields[name] for name in LONGS] == [getattr(records.heads, name)[at] for name in LONGS]
        assert set(fields["sections"]) <= set(json.loads(plan.layout.to_json())) | {"tiles"}
        assert b"" not in fields["sections"].values()
        assert record_with(fields) == blob


def test_a_family_that_holds_nothing_has_no_entry():
    blob = one(plan_of(features={"likes": {"aggregate": "count", "where": {"action": "like"}, "windows": ["1h"]}}))
    assert fields_of(blob)["sections"] == {}
    assert set(fields_of(one())["sections"]) == {"tiles", "keyed_tiles"}


@pytest.mark.parametrize("size", [*range(20), 255, 767, 768, 769, 3_000, 20_001])
def test_the_checksum_is_crc_32c_with_the_processors_instruction_and_without(size):
    data = random.Random(size).randbytes(size)
    assert _native.crc32c(data) == _native.crc32c_portable(data) == crc32c(data)
    assert _native.crc32c(b"123456789") == 0xE3069283


@pytest.mark.slow
def test_no_flipped_bit_is_read_as_a_value():
    """Of the first 26 bytes too, which a compare-and-set looks at without opening the record."""
    flips = 0
    records = PackedRecords(PLAN)
    for blob in (*KEPT, one(), one(events=400), one(events=1_500)):
        damaged = []
        for bit in range(8 * len(blob)):
            flipped = bytearray(blob)
            flipped[bit // 8] ^= 1 << bit % 8
            damaged.append(bytes(flipped))
        flips += len(damaged)
        heads, wrong = heads_of(damaged)
        assert len(wrong) == len(damaged)
        assert not heads.applied.any()
        migrated, wrong = records.migrate(damaged)
        assert len(wrong) == len(damaged)
        assert migrated == [None] * len(damaged)
        assert sum("the record's checksum does not match" in text for text in wrong.values()) > 0.9 * len(damaged)
    assert flips > 100_000


def test_damage_is_told_to_whoever_reads_and_folds():
    sound = one()
    bad = bytearray(sound)
    bad[-20] ^= 8
    text = f"the record's checksum does not match: its {len(sound)} bytes are damaged"
    reader = Reader(PLAN, PackedRecords(PLAN))
    found = reader.features([bytes(bad), sound], T0 + M)
    assert found.errors == {0: text}
    assert found.present.tolist() == [False, True]
    events = batch(PLAN, [event(T0 + M, item_id="a", amount=1)])
    folded, wrong = PackedRecords(PLAN).fold([bytes(bad)], events, np.zeros(1, np.int64), [VERSION])
    assert (folded, wrong) == ([None], {0: text})


def test_a_record_cut_off_or_continued_anywhere_is_refused():
    sound = one()
    shorter = [sound[:end] for end in range(len(sound))]
    longer = [sound + bytes(more) for more in range(1, 40)]
    assert len(heads_of([*shorter, *longer])[1]) == len(shorter) + len(longer)


def test_a_family_that_this_release_does_not_know_is_read_past_and_never_written_over():
    fields = fields_of(one())
    newer = record_with({**fields, "sections": {**fields["sections"], "of_tomorrow": b"state"}})
    reader = Reader(PLAN, PackedRecords(PLAN))
    found, expected = (reader.features([blob], T0 + M) for blob in (newer, one()))
    assert found.errors == {}
    np.testing.assert_array_equal(found.values, expected.values)
    assert heads_of([newer])[0].applied.tolist() == [3]
    events = batch(PLAN, [event(T0 + M, item_id="a", amount=1)])
    folded, wrong = PackedRecords(PLAN).fold([newer], events, np.zeros(1, np.int64), [VERSION])
    assert folded == [None]
    assert wrong == {0: "expected a record of families that this release knows, got one with of_tomorrow"}


def test_a_layout_with_a_family_of_tomorrow_is_read_without_it_and_migrated():
    text = PLAN.layout.to_json()[:-1] + ',"of_tomorrow":[["key",3]]}'
    newer = Layout.from_json(text)
    assert newer.to_json() == text
    assert newer.fingerprint != PLAN.layout.fingerprint
    fields = fields_of(one())
    stored = record_with(
        {**fields, "layout": newer.fingerprint, "sections": {**fields["sections"], "of_tomorrow": b"state"}}
    )

    class Registered:
        def layout(self, fingerprint: bytes) -> Layout | None:
            return newer if fingerprint == newer.fingerprint else None

    packed = PackedRecords(PLAN, Registered())
    assert packed.migrate([stored]) == ([one()], {})
    found = Reader(PLAN, packed).features([stored], T0 + M)
    assert found.errors == {}
    events = batch(PLAN, [event(T0 + M, item_id="a", amount=1)])
    (folded,), wrong = packed.fold([stored], events, np.zeros(1, np.int64), [VERSION])
    assert wrong == {}
    assert folded == apply(PLAN, Records(PLAN, [one()]), events).blobs[0]


@pytest.mark.parametrize(
    ("family", "piece", "named"),
    [
        ("tracks", ["key", "median"], "tiles of a kind"),
        ("last_seen", ["key", "weeks"], "last_seen of a kind"),
        ("logs", ["key", [["name", "decimal"]]], "log columns of a kind"),
        ("keyed_tiles", ["key", ["float"], False], "keys of a kind"),
    ],
)
def test_a_kind_that_this_release_does_not_know_is_refused_by_name(family, piece, named):
    with pytest.raises(CodecError, match=f"expected {named} .* written by a newer release"):
        Layout.from_json(json.dumps({family: [piece]}))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sections": {"tiles": b"x"}}, "invalid section tiles of a record: cut off"),
        ({"sections": {"logs": b"x"}}, "invalid section logs of a record: state of which the record's layout has none"),
        ({"sections": {"Tiles!": b"x"}}, "a family whose name is none"),
        ({"strings": b"\1\0\0\0\1\0\xff"}, "invalid section strings of a record: a string that is not UTF-8"),
        ({"clock_us": -1}, "a number that is not from 0 to 2^62"),
        ({"clock_us": 2**61}, "a time that is not before 2^61 us"),
        ({"last_event_us": 2**62 - 1}, "a time that is not before 2^61 us"),
    ],
)
def test_what_is_wrong_with_a_record_that_has_a_right_checksum_is_said_by_section(changed, said):
    damaged = record_with({**fields_of(one()), **changed})
    events = batch(PLAN, [event(T0 + H, item_id="a", amount=1)])
    _, wrong = PackedRecords(PLAN).fold([damaged], events, np.zeros(1, np.int64), [VERSION])
    assert said in wrong[0]
    found = Reader(PLAN, PackedRecords(PLAN)).features([damaged], T0 + M)
    assert said in found.errors[0]


def test_a_family_that_comes_twice_is_refused():
    fields = fields_of(one())
    twice = record_with({**fields, "sections": {**fields["sections"], "tilez": fields["sections"]["tiles"]}})
    twice = sealed(twice[:-4].replace(b"tilez", b"tiles"))
    assert "a family that it has twice" in heads_of([twice])[1][0]


@pytest.mark.parametrize("claim", [2**31, 2**40, 2**61, -1])
def test_a_length_far_beyond_the_end_costs_no_memory(claim):
    number = io.BytesIO()
    fastavro.schemaless_writer(number, "long", claim)
    head = MARKER + VERSION + PLAN.layout.fingerprint + bytes(4)
    for body in (number.getvalue(), b"\0" + number.getvalue(), b"\0\2\x0atiles" + number.getvalue()):
        assert heads_of([sealed(head + body)])[1].keys() == {0}
