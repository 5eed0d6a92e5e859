"""Bodies as producers in Java write them: Avro's own encoders and files, and Confluent's header before Avro's bytes.

Confluent's artifacts are in a repository of its own, which tests do not reach: its five bytes are written as its
documentation has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.events.encodings import SCHEMA, decoder_in
from tests.events.java_avro import JavaAvro, java_avro, java_missing
from user_state.oracle.body import read_body
from user_state.spec.event_schema import parse_event_schema

NUMBER = 0x01020304


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaAvro]:
    reason = java_missing()
    if reason is not None:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, and {reason}")
        pytest.skip(reason)
    with java_avro(tmp_path_factory.mktemp("java")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["raw", "single_object", "container", "confluent"])
def test_what_java_frames_is_read_in_every_encoding(java: JavaAvro, tmp_path: Path, encoding: str) -> None:
    framed = java.framed(SCHEMA, seed=5, count=200, number=NUMBER)
    parsed = parse_event_schema(SCHEMA).parsed
    decoder = decoder_in(tmp_path, encoding, {NUMBER: SCHEMA})
    assert len(framed[encoding]) == 200
    for plain, body in zip(framed["raw"], framed[encoding], strict=True):
        assert decoder.decode(body) == read_body(parsed, plain)
