"""A record is Avro: any reader of `avro/user_state.avsc` reads the outer fields, and would write the same bytes."""

import io
import json
from pathlib import Path

import fastavro
import pytest
from hypothesis import given, settings

from tests.packed import Records, apply
from tests.random_worlds import QUICK, worlds
from tests.trying import T0, VERSION, H, event, plan_of, record_of
from user_state.codec.record import encode_records, open_record
from user_state.core.compile import compile_plan
from user_state.core.events import Events
from user_state.events.decode import EventDecoder

SCHEMA = fastavro.parse_schema(json.loads((Path(__file__).parents[2] / "avro" / "user_state.avsc").read_text()))
FINGERPRINT = bytes.fromhex(
    fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO")
)
LONGS = ("clock_us", "last_event_us", "horizon_us", "applied")
SECTIONS = tuple(field["name"] for field in SCHEMA["fields"] if field["type"] == "bytes")


def assert_is_avro(blob: bytes) -> None:
    assert blob[:10] == b"\xc3\x01" + FINGERPRINT
    buffer = io.BytesIO(blob[10:])
    fields = fastavro.schemaless_reader(buffer, SCHEMA, None)
    assert buffer.read() == b""
    outer = open_record(blob)
    assert fields["version"] == outer.version
    assert fields["layout"] == outer.layout
    assert tuple(fields[name] for name in LONGS) == outer.longs
    assert tuple(fields[name] for name in SECTIONS) == outer.sections
    written = io.BytesIO()
    fastavro.schemaless_writer(written, SCHEMA, fields)
    assert written.getvalue() == blob[10:]


def test_the_schema_has_nothing_but_what_the_codec_writes_by_hand():
    assert [field["name"] for field in SCHEMA["fields"]] == ["version", "layout", *LONGS, *SECTIONS]


@pytest.mark.slow
@given(worlds(most=20, duplicates=False))
@settings(QUICK, max_examples=75)
def test_any_record_is_read_and_written_alike_by_fastavro(world):
    plan = compile_plan(world.spec)
    decoder = EventDecoder(plan, world.spec.schema)
    events = Events.from_rows(plan, [decoder.row(a.event or {}, a.published_us) for a in world.arrivals])
    records = apply(plan, Records.empty(plan, len(events.users)), events)
    for blob in encode_records(records, plan.layout, [VERSION] * len(records)):
        assert_is_avro(blob)


@pytest.mark.parametrize("rows", [0, 1, 9, 200, 3000])
def test_sections_of_any_length_are(rows):
    """Their lengths take one, two and three bytes."""
    plan = plan_of(sequences={"s": {"fields": ["item_id", "value"], "last": 3000}})
    made = [event(T0 + n, item_id=f"item{n}", value=n / 3) for n in range(rows)] or [event(T0 - H)]
    assert_is_avro(encode_records(record_of(plan, made), plan.layout, [VERSION])[0])


def test_an_empty_record_is():
    plan = plan_of()
    assert_is_avro(encode_records(Records.empty(plan, 1), plan.layout, [bytes(8)])[0])
