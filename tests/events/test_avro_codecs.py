"""Every codec of Avro's specification is read; any other is named before anything runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import fastavro
import pytest

from user_state.errors import InputError
from user_state.events import avro_codecs
from user_state.events.avro_blocks import BlockReader, each_message
from user_state.events.avro_codecs import CODECS
from user_state.events.avro_files import SingleObject
from user_state.spec.event_schema import parse_event_schema

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Ride",
    "fields": [{"name": "id", "type": "string"}, {"name": "km", "type": ["null", "double"]}],
}
EVENTS = [{"id": f"ride-{n % 7}-{n}", "km": None if n % 3 else n / 4} for n in range(3000)]


@pytest.mark.parametrize("codec", CODECS)
def test_blocks_of_every_codec_are_read(tmp_path: Path, codec: str) -> None:
    """fastavro/fastavro#71, MaterializeInc/materialize#3811, apache/paimon#7833: valid files that readers refuse."""
    path = tmp_path / "rides.avro"
    with path.open("wb") as file:
        fastavro.writer(file, SCHEMA, EVENTS, codec=codec, sync_interval=2000)
    reader = BlockReader(str(path), parse_event_schema(SCHEMA))
    found = [one for part in reader.segments(0, 500, 1 << 20) for one in each_message(part.messages)]
    reader.close()
    encode = SingleObject(SCHEMA).encode
    assert [one.data for one in found] == [encode(event) for event in EVENTS]


def header(path: Path, codec: str) -> Path:
    """Write a file whose header names a codec, without blocks."""
    written = io.BytesIO()
    fastavro.writer(written, SCHEMA, [], codec="null")
    path.write_bytes(written.getvalue().replace(b"\x08null", bytes([2 * len(codec)]) + codec.encode(), 1))
    return path


def test_a_codec_that_nobody_reads_is_named_before_anything_runs(tmp_path: Path) -> None:
    path = header(tmp_path / "a.avro", "brotli")
    with pytest.raises(
        InputError, match=r"compressed with codec 'brotli'; write it again with one of null, deflate, .*zst"
    ):
        BlockReader(str(path), parse_event_schema(SCHEMA))


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fastavro/fastavro#376: a run that went well for hundreds of files stopped at the first of another codec."""
    monkeypatch.setitem(avro_codecs._MODULES, "snappy", ("no_such_module",))
    path = header(tmp_path / "a.avro", "snappy")
    with pytest.raises(
        InputError, match=r"codec snappy needs the package cramjam; install it with pip install cramjam"
    ):
        BlockReader(str(path), parse_event_schema(SCHEMA))


@pytest.mark.parametrize("codec", sorted({*CODECS} - {"null"}))
def test_a_damaged_block_says_where(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "rides.avro"
    with path.open("wb") as file:
        fastavro.writer(file, SCHEMA, EVENTS, codec=codec)
    bytes_ = bytearray(path.read_bytes())
    for at in range(len(bytes_) // 2, len(bytes_) // 2 + 40):
        bytes_[at] ^= 0xA5
    path.write_bytes(bytes(bytes_))
    reader = BlockReader(str(path), parse_event_schema(SCHEMA))
    with pytest.raises(InputError, match=r"rides\.avro: damaged near byte \d+: "):
        list(reader.segments(0, 10**6, 1 << 30))
    reader.close()
