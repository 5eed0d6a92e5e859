"""Bodies in other framings and encodings than Avro's: each a dead letter that says what it looks like."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import random
import zlib

import fastavro
import pytest

from tests.trying import T0, event, plan_of, spec_of
from user_state.events.decode import EventDecoder
from user_state.events.looks_like import looks_like
from user_state.events.message import Message

SCHEMA = spec_of().schema
DECODER = EventDecoder(plan_of(), SCHEMA)
SINGLE = DECODER.encode(event(T0, "someone", "some-id", item_id="tea"))
BARE = SINGLE[10:]


def container() -> bytes:
    written = io.BytesIO()
    fastavro.writer(written, SCHEMA.parsed, [event(T0)])
    return written.getvalue()


def told(body: bytes) -> str:
    decoded = DECODER.batch([Message(body, {}, T0, None, "test")])
    assert len(decoded.batch) == 0
    [(message, error)] = decoded.refused
    assert (message.data, error.reason) == (body, "undecodable")
    return error.detail


@pytest.mark.parametrize("body", [SINGLE, BARE])
def test_events_are_asked_nothing(body: bytes) -> None:
    assert len(DECODER.batch([Message(body, {}, T0, None, "test")]).batch) == 1


JSON = json.dumps(event(T0, "someone")).encode()
CHANGE = {"before": None, "after": event(T0, "someone"), "op": "c"}


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b"\0\0\0\0\7" + BARE, "Confluent's wire format with schema id 7"),
        (b"\0\1\0\0\7" + BARE, "Confluent's wire format with schema id 16777223"),
        (b"\1" + bytes(range(16)) + BARE, "Confluent's wire format with a GUID"),
        (bytes(7) + b"\3" + BARE, "an event behind 8 bytes, as Pulsar's schema version"),
        (SINGLE[:2] + SINGLE[2:10][::-1] + BARE, "the fingerprint's bytes reversed"),
        (container(), "a whole Avro file"),
        (gzip.compress(BARE, mtime=0), "gzip"),
        (gzip.compress(SINGLE, mtime=0), "gzip"),
        (zlib.compress(SINGLE), "zlib"),
        (bz2.compress(SINGLE), "bzip2"),
        (lzma.compress(SINGLE), "xz"),
        (base64.b64encode(SINGLE), "base64 of an event"),
        (base64.urlsafe_b64encode(BARE).rstrip(b"="), "base64 of an event"),
        (base64.b64encode(gzip.compress(SINGLE, mtime=0)), "base64 of gzip"),
        (base64.b64encode(JSON), "base64 of JSON"),
        (JSON, "JSON: set events.encoding: json"),
        (b"\xef\xbb\xbf\n " + JSON, "JSON: set"),
        (b"[" + JSON + b"]", "JSON: publish one event a message, and set events.encoding: json"),
        (json.dumps({"schema": {"type": "struct"}, "payload": {}}).encode(), "Kafka Connect's JSON"),
        (json.dumps(CHANGE).encode(), "a change event (CDC) in JSON"),
        (json.dumps({"payload": CHANGE}).encode(), "a change event (CDC) in JSON"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "JSON"),
    ],
)
def test_a_body_in_another_framing_is_named(body: bytes, seen: str) -> None:
    """Messages told of as invalid bytes alone, of which nobody knew what they were.

    dasch/avro_turf#84 (five bytes before the event), confluentinc/cli#2028 (which magic byte),
    confluentinc/kafka-connect-hdfs#202 (text in place of Avro).
    """
    detail = told(body)
    assert f"; looks like {seen}" in detail or seen in detail.partition("; looks like ")[2]
    assert "someone" not in detail
    assert "tea" not in detail


def test_an_empty_body_is_called_so() -> None:
    assert told(b"").endswith("; looks like an empty body")


def test_what_is_cut_or_damaged_is_named_nothing_else() -> None:
    """A wrong name would send people to the wrong place."""
    rng = random.Random(1)
    for at in range(11, len(SINGLE)):
        assert "looks like" not in told(SINGLE[:at])
    named = 0
    for _ in range(2_000):
        noise = bytes([rng.randrange(3, 0x60) | 1]) + rng.randbytes(rng.randrange(4, 60))
        named += looks_like(noise, DECODER._is_event) is not None
    assert named < 10


def test_a_bomb_is_not_unpacked_to_be_named() -> None:
    """A small body that becomes a large one (EDCD/EDDN#171)."""
    bomb = base64.b64encode(gzip.compress(bytes(10_000_000)))
    assert told(bomb).endswith("looks like base64 of gzip: publish the bytes themselves")
    assert looks_like(b"[" * 60_000, lambda body: False) is None
