"""What a body looks like: told for what people send instead of Avro, and for nothing else."""

import base64
import gzip
import io
import json

import fastavro
import pytest

from user_state.events.avro_files import SingleObject, interaction_schema
from user_state.events.looks_like import looks_like

EVENT = {"event_id": "e", "user_id": "u", "item_id": "i", "action": "view", "event_time": 1_700_000_000_000_000}
AVRO = SingleObject(interaction_schema()).encode(EVENT)


def container() -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, interaction_schema(), [EVENT])
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "an empty body"),
        (json.dumps(EVENT).encode(), "JSON"),
        (b' [{"a": 1}]\n', "JSON"),
        (b'{"a": 1', None),
        (gzip.compress(b"{}", mtime=0), "gzip"),
        (container(), "a whole Avro file"),
        (AVRO, f"Avro of a schema with the fingerprint {AVRO[2:10].hex()}"),
        (base64.b64encode(AVRO), f"base64 of Avro of a schema with the fingerprint {AVRO[2:10].hex()}"),
        (base64.b64encode(json.dumps(EVENT).encode()), "base64 of JSON"),
        (b"\0" + (41).to_bytes(4, "big") + AVRO[10:], "Confluent's wire format with schema id 41"),
        (AVRO[10:], None),
        (b"hello, this is text", None),
        (b"\xc3\x01", None),
        (b"{" * 5000, None),
        (b"[" * 100_000, None),
    ],
)
def test_a_body_is_recognised_by_its_first_bytes_and_by_trying(body, expected):
    found = looks_like(body)
    assert (None if found is None else found.words) == expected
