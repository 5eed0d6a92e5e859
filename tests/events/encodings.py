"""Bodies in every encoding, written by hand beside fastavro: nothing here is the product's but the spec."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro

from tests.trying import text_of
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec

TRIED = Path(__file__).parents[1] / "tried.avsc"
SCHEMA: Any = json.loads(TRIED.read_text())
EVENTS = {"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"}
FINGERPRINT = bytes.fromhex(
    fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(fastavro.parse_schema(SCHEMA)), "CRC-64-AVRO")
)
ID = 7


def bare(event: dict[str, Any], schema: Any = SCHEMA) -> bytes:
    """Return an event alone."""
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(schema), event)
    return written.getvalue()


def single_object(event: dict[str, Any]) -> bytes:
    return b"\xc3\x01" + FINGERPRINT + bare(event)


def container(*events: dict[str, Any], schema: Any = SCHEMA, codec: str = "null") -> bytes:
    written = io.BytesIO()
    fastavro.writer(written, fastavro.parse_schema(schema), list(events), codec=codec)
    return written.getvalue()


def confluent(event: dict[str, Any], number: int = ID, schema: Any = SCHEMA) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + bare(event, schema)


def as_json(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


WRITERS = {
    "raw": bare,
    "single_object": single_object,
    "container": container,
    "confluent": confluent,
    "json": as_json,
}


def spec_in(folder: Path, encoding: str | None, schemas: dict[int, Any] | None = None, **events: Any) -> LoadedSpec:
    """Return a spec whose bodies are in an encoding; `confluent` has a folder of schemas unless it has a registry."""
    (folder / "tried.avsc").write_text(TRIED.read_text())
    if encoding == "confluent" and "registry" not in events:
        (folder / "schemas").mkdir(exist_ok=True)
        for number, schema in ({ID: SCHEMA} if schemas is None else schemas).items():
            (folder / "schemas" / f"{number}.avsc").write_text(json.dumps(schema))
        events["registry"] = "schemas"
    declared = {} if encoding is None else {"encoding": encoding}
    return parse_spec(text_of(events={**EVENTS, **declared, **events}), beside=folder)


def decoder_in(
    folder: Path, encoding: str | None, schemas: dict[int, Any] | None = None, **events: Any
) -> EventDecoder:
    """Return the decoder of such a spec."""
    spec = spec_in(folder, encoding, schemas, **events)
    return EventDecoder(compile_plan(spec), spec.schema)
