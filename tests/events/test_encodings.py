"""`events.encoding`: each body is read as what it is, and refused by name, with what to set, as anything else."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastavro
import pytest

from tests.events.encodings import (
    ID,
    SCHEMA,
    WRITERS,
    bare,
    confluent,
    container,
    decoder_in,
    single_object,
    spec_in,
)
from tests.trying import T0, event
from user_state.errors import EventError
from user_state.events.avro_files import SingleObject
from user_state.events.containers import ContainerWriter
from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.events.unpacking import MOST_UNPACKED_BYTES
from user_state.plan.compile import compile_plan
from user_state.spec.event_schema import parse_event_schema
from user_state.state.events import Events

READ = ("raw", "single_object", "container", "confluent", "json")
"""Encodings whose bodies are Avro."""
EVENT = event(T0, "someone", "some-id", item_id="tea", value=1.5)


def batch_of(decoder: EventDecoder, *bodies: bytes, attributes: Mapping[str, str] | None = None) -> Any:
    return decoder.batch([Message(body, dict(attributes or {}), T0, None, "test") for body in bodies])


def told(decoder: EventDecoder, body: bytes, attributes: Mapping[str, str] | None = None) -> str:
    """Return why a body is refused, whose bytes and attributes stay what they were."""
    decoded = batch_of(decoder, body, attributes=attributes)
    assert len(decoded.batch) == 0
    [(message, error)] = decoded.refused
    assert (message.data, message.attributes, error.reason) == (body, dict(attributes or {}), "undecodable")
    with pytest.raises(EventError) as caught:
        decoder.decode(body, attributes)
    assert caught.value.reason == "undecodable"
    assert "someone" not in error.detail
    return error.detail


def ids_of(decoder: EventDecoder, *bodies: bytes, attributes: Mapping[str, str] | None = None) -> list[str]:
    decoded = batch_of(decoder, *bodies, attributes=attributes)
    assert decoded.refused == []
    assert [decoder.decode(body, attributes)["event_id"] for body in bodies] == [EVENT["event_id"]] * len(bodies)
    messages = [decoded.batch.message(at) for at in range(len(decoded.batch))]
    assert [message[:2] for message in messages] == [(body, dict(attributes or {})) for body in bodies]
    return list(decoded.batch.users)


@pytest.mark.parametrize("encoding", READ)
def test_a_body_of_the_specs_encoding_is_read_and_kept_as_it_came(tmp_path: Path, encoding: str) -> None:
    decoder = decoder_in(tmp_path, encoding)
    assert ids_of(decoder, WRITERS[encoding](EVENT), WRITERS[encoding](EVENT)) == ["someone"]


@pytest.mark.parametrize("encoding", READ)
def test_every_encoding_gives_the_same_columns(tmp_path: Path, encoding: str) -> None:
    decoder, reference = decoder_in(tmp_path, encoding), decoder_in(tmp_path, None)
    many = [event(T0 + n, f"user {n % 7}", item_id=f"item {n % 5}", value=n / 3) for n in range(50)]
    mine = Events.of_batch(batch_of(decoder, *map(WRITERS[encoding], many)).batch)
    theirs = Events.of_batch(batch_of(reference, *map(bare, many)).batch)
    for name in ("users", "user", "id_hash", "time_us", "published_us"):
        assert list(getattr(mine, name)) == list(getattr(theirs, name))


WHAT_TO_SET = {
    "raw": "set events.encoding: raw",
    "container": "set events.encoding: container",
    "confluent": "set events.encoding: confluent",
    "json": "set events.encoding: json",
}


@pytest.mark.parametrize("read_as", READ)
@pytest.mark.parametrize("written_as", WRITERS)
def test_a_body_of_another_encoding_is_refused_with_what_to_set(tmp_path: Path, written_as: str, read_as: str) -> None:
    """confluentinc/confluent-kafka-dotnet#1938: "Magic byte was 48, expecting 0", and nobody knew what it was."""
    decoder = decoder_in(tmp_path, read_as)
    body = WRITERS[written_as](EVENT)
    if written_as in ("single_object", read_as):
        assert ids_of(decoder, body) == ["someone"]  # ten bytes that say which schema it is
        return
    assert WHAT_TO_SET[written_as] in told(decoder, body)


@pytest.mark.parametrize("read_as", READ)
def test_a_fingerprint_that_nobody_knows_is_told_in_hexadecimal(tmp_path: Path, read_as: str) -> None:
    body = b"\xc3\x01" + bytes(range(8)) + bare(EVENT)
    assert "got fingerprint 0001020304050607" in told(decoder_in(tmp_path, read_as), body)


NUMBER_FIRST: dict[str, Any] = copy.deepcopy(SCHEMA)
NUMBER_FIRST["fields"].insert(0, {"name": "first", "type": "double"})


def test_an_event_alone_may_begin_as_a_header_does(tmp_path: Path) -> None:
    """One double in 65,536 begins with C3 01; a text cannot, its length would be negative."""
    (tmp_path / "numbers.avsc").write_text(json.dumps(NUMBER_FIRST))
    decoder = decoder_in(tmp_path, "raw", schema="numbers.avsc")
    number = struct.unpack("<d", b"\xc3\x01" + bytes(5) + b"\x40")[0]
    body = bare({**EVENT, "first": number}, NUMBER_FIRST)
    assert body.startswith(b"\xc3\x01")
    assert ids_of(decoder, body) == ["someone"]
    assert "got fingerprint " + body[2:10].hex() in told(decoder, body[:-1])
    assert "got fingerprint" in told(decoder_in(tmp_path, "raw"), body)


def test_framed_bodies_pass_for_events_alone_in_none_of_many_tries(tmp_path: Path) -> None:
    """Five bytes in front shift every field: an id and a user of no bytes and a time out of range are invalid."""
    decoder = decoder_in(tmp_path, "raw")
    rng = random.Random(3)
    bodies = [
        confluent(event(T0 + n, f"u{n}", f"e{n}", value=rng.random()), rng.randrange(1, 2**31)) for n in range(5_000)
    ]
    assert len(batch_of(decoder, *bodies).batch) == 0


class TestContainer:
    def test_any_schema_that_resolves_is_read_without_being_named(self, tmp_path: Path) -> None:
        newer = copy.deepcopy(SCHEMA)
        newer["fields"].append({"name": "later", "type": "int"})
        newer["fields"].reverse()
        decoder = decoder_in(tmp_path, "container")
        bodies = [container({**EVENT, "later": 1}, schema=newer), container(EVENT), container(EVENT, codec="deflate")]
        assert ids_of(decoder, *bodies) == ["someone"]

    def test_one_that_does_not_resolve_is_told_by_field(self, tmp_path: Path) -> None:
        other = {"type": "record", "name": "Other", "fields": [{"name": "a", "type": "int"}]}
        assert "(Other) cannot be read as" in told(decoder_in(tmp_path, "container"), container({"a": 1}, schema=other))

    @pytest.mark.parametrize("number", [0, 2, 1000])
    def test_a_file_of_no_event_or_of_several_is_refused_whole(self, tmp_path: Path, number: int) -> None:
        said = told(decoder_in(tmp_path, "container"), container(*[EVENT] * number))
        assert f"expected a file of one event in a body, got {number:,}" in said

    def test_every_cut_and_nearly_every_flipped_byte_is_refused(self, tmp_path: Path) -> None:
        decoder, body = decoder_in(tmp_path, "container"), container(EVENT)
        for at in range(len(body)):
            told(decoder, body[:at])
        header = body.index(b"avro.codec")
        wrong = [bytes([*body[:at], body[at] ^ 0x10, *body[at + 1 :]]) for at in range(header, len(body))]
        assert len(batch_of(decoder, *wrong).refused) > 0.5 * len(wrong)

    def test_a_codec_that_is_not_read_is_named(self, tmp_path: Path) -> None:
        body = container(EVENT, codec="bzip2")
        assert "of codec null or deflate in a body, got 'bzip2'" in told(decoder_in(tmp_path, "container"), body)

    def test_a_block_that_becomes_gigabytes_is_not_unpacked(self, tmp_path: Path) -> None:
        packed = zlib.compressobj(9, wbits=-15)
        block = packed.compress(bytes(100_000_000)) + packed.flush()
        small = container(EVENT, codec="deflate")
        sync = small[-16:]
        head = small[: small.index(sync) + 16]
        size = len(block) << 1
        varint = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F])
        said = told(decoder_in(tmp_path, "container"), head + b"\x02" + varint + block + sync)
        assert "expected at most 10,000,000 bytes once unpacked" in said

    def test_what_we_write_fastavro_reads(self) -> None:
        body = ContainerWriter(parse_event_schema(SCHEMA)).body(bare(EVENT))
        [read] = fastavro.reader(io.BytesIO(body))
        assert read["event_id"] == EVENT["event_id"]

    def test_many_schemas_in_one_pull_and_in_many_are_each_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("user_state.events.known_writers.MOST_MET", 3)
        decoder = decoder_in(tmp_path, "container")

        def body(number: int) -> bytes:
            fields = [*SCHEMA["fields"], {"name": f"more_{number}", "type": "int"}]
            return container({**EVENT, f"more_{number}": 1}, schema={**SCHEMA, "fields": fields})

        for begin in (0, 5, 2, 9):
            assert ids_of(decoder, *[body(begin + n) for n in range(10)]) == ["someone"]


class TestConfluentFromAFolder:
    def test_the_id_says_which_schema_an_event_was_written_with(self, tmp_path: Path) -> None:
        newer = copy.deepcopy(SCHEMA)
        newer["fields"].insert(0, {"name": "later", "type": "string"})
        decoder = decoder_in(tmp_path, "confluent", {7: SCHEMA, 300: newer})
        bodies = [confluent(EVENT), confluent({**EVENT, "later": "x"}, 300, newer)]
        assert ids_of(decoder, *bodies) == ["someone"]

    def test_an_id_that_the_folder_has_no_file_of_is_told(self, tmp_path: Path) -> None:
        said = told(decoder_in(tmp_path, "confluent"), confluent(EVENT, 8))
        assert "expected a schema id that `registry:` has a file of: 7; got 8" in said

    def test_an_id_of_eight_bytes_is_called_apicurios(self, tmp_path: Path) -> None:
        """Apicurio/apicurio-registry#2547: 8 bytes read for 4 gave the id 65034875748; here 4 of 8 are read."""
        said = told(decoder_in(tmp_path, "confluent"), b"\0" + ID.to_bytes(8, "big") + bare(EVENT))
        assert "schema id 0, which no registry gives" in said
        assert "Apicurio" in said

    @pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\0\0\7", b"\1\0\0\0\7x"])
    def test_what_is_too_short_or_begins_otherwise_is_refused(self, tmp_path: Path, body: bytes) -> None:
        assert "a zero byte and a schema id of 4 bytes before the event" in told(
            decoder_in(tmp_path, "confluent"), body
        )

    def test_a_guid_in_front_is_called_so(self, tmp_path: Path) -> None:
        said = told(decoder_in(tmp_path, "confluent"), b"\1" + bytes(range(16)) + bare(EVENT))
        assert "Confluent's wire format with a GUID" in said


GZIP = {"Content-Encoding": "gzip"}


class TestGzip:
    @pytest.mark.parametrize("encoding", READ)
    @pytest.mark.parametrize("name", ["content-encoding", "Content-Encoding", "CONTENT-ENCODING"])
    def test_a_body_is_unpacked_where_an_attribute_says_so(self, tmp_path: Path, encoding: str, name: str) -> None:
        """influxdata/telegraf#9157 and paolosalvatori/ServiceBusExplorer#622: the attribute is HTTP's."""
        decoder = decoder_in(tmp_path, encoding)
        body = gzip.compress(WRITERS[encoding](EVENT))
        assert ids_of(decoder, body, attributes={"trace": "1", name: "gzip"}) == ["someone"]
        assert ids_of(decoder, gzip.compress(single_object(EVENT)), attributes={name: "x-gzip"}) == ["someone"]

    def test_several_members_are_one_body(self, tmp_path: Path) -> None:
        plain = bare(EVENT)
        body = gzip.compress(plain[:9]) + gzip.compress(plain[9:])
        assert ids_of(decoder_in(tmp_path, "raw"), body, attributes=GZIP) == ["someone"]

    def test_texts_outlive_the_body_that_they_were_unpacked_from(self, tmp_path: Path) -> None:
        decoder = decoder_in(tmp_path, "raw")
        users = [f"a user with a long name, number {n}" for n in range(500)]
        bodies = [gzip.compress(bare(event(T0, user, item_id=f"{user}'s item"))) for user in users]
        batch = batch_of(decoder, *bodies, attributes=GZIP).batch
        bytes(1_000_000)
        assert list(batch.users) == users

    @pytest.mark.parametrize("value", ["identity", ""])
    def test_no_compression_may_be_said_too(self, tmp_path: Path, value: str) -> None:
        assert ids_of(decoder_in(tmp_path, "raw"), bare(EVENT), attributes={"Content-Encoding": value}) == ["someone"]

    def test_another_compression_is_named(self, tmp_path: Path) -> None:
        said = told(decoder_in(tmp_path, "raw"), bare(EVENT), {"content-encoding": "zstd"})
        assert "expected content-encoding gzip or identity, got 'zstd'" in said

    def test_a_body_that_is_not_what_the_attribute_says_is_refused(self, tmp_path: Path) -> None:
        decoder = decoder_in(tmp_path, "raw")
        assert "expected a body of gzip, got other or damaged bytes" in told(decoder, bare(EVENT), GZIP)
        packed = gzip.compress(bare(EVENT))
        for at in range(1, len(packed)):
            told(decoder, packed[:at], GZIP)

    def test_a_gzip_body_without_the_attribute_is_told_which_to_set(self, tmp_path: Path) -> None:
        said = told(decoder_in(tmp_path, "raw"), gzip.compress(bare(EVENT)))
        assert "looks like gzip: set the attribute content-encoding: gzip" in said

    def test_a_bomb_is_refused_and_one_of_the_limit_is_read(self, tmp_path: Path) -> None:
        """mozilla/gcp-ingestion#324: what is unpacked may be larger than any message."""
        decoder = decoder_in(tmp_path, "raw")
        most = f"expected at most {MOST_UNPACKED_BYTES:,} bytes once unpacked, got more"
        assert most in told(decoder, gzip.compress(bytes(200_000_000)), GZIP)
        assert most in told(decoder, gzip.compress(bytes(MOST_UNPACKED_BYTES + 1)), GZIP)
        assert most not in told(decoder, gzip.compress(bytes(MOST_UNPACKED_BYTES)), GZIP)
        halves = gzip.compress(bytes(MOST_UNPACKED_BYTES // 2 + 1))
        assert most in told(decoder, halves + halves, GZIP)


SAYS = {"googclient_schemaname": "projects/p/schemas/s", "googclient_schemarevisionid": "0a1b2c3d"}


class TestPubSubsSchemas:
    """A topic with a schema: Pub/Sub says in attributes what it has checked.

    GoogleCloudPlatform/DataflowTemplates#617: Pub/Sub "decouples the schema format from the encoding format".
    """

    def test_binary_is_an_event_alone(self, tmp_path: Path) -> None:
        said = {**SAYS, "googclient_schemaencoding": "BINARY"}
        assert ids_of(decoder_in(tmp_path, "raw"), bare(EVENT), attributes=said) == ["someone"]
        assert ids_of(decoder_in(tmp_path, None), bare(EVENT), attributes=said) == ["someone"]

    @pytest.mark.parametrize("read_as", ["single_object", "container", "confluent", "json"])
    def test_binary_goes_with_no_other_encoding(self, tmp_path: Path, read_as: str) -> None:
        said = {**SAYS, "googclient_schemaencoding": "BINARY"}
        detail = told(decoder_in(tmp_path, read_as), WRITERS[read_as](EVENT), said)
        assert f"messages are 'BINARY' (googclient_schemaencoding), and the spec that they are {read_as}" in detail
        assert "set events.encoding: raw" in detail

    def test_the_revision_says_which_schema_an_event_alone_was_written_with(self, tmp_path: Path) -> None:
        """Read as the spec's schema, two texts that changed places would be each other without a word."""
        swapped = copy.deepcopy(SCHEMA)
        swapped["fields"][0], swapped["fields"][1] = swapped["fields"][1], swapped["fields"][0]
        (tmp_path / "schemas").mkdir()
        for revision, schema in (("0a1b2c3d", SCHEMA), ("00000002", swapped)):
            (tmp_path / "schemas" / f"{revision}.avsc").write_text(json.dumps(schema))
        spec = spec_in(tmp_path, "raw", registry="schemas")
        decoder = EventDecoder(compile_plan(spec), spec.schema)
        reference = SingleObject(SCHEMA, [], spec.schema.bodies)
        for revision, schema in (("0a1b2c3d", SCHEMA), ("00000002", swapped)):
            said = {"googclient_schemaencoding": "BINARY", "googclient_schemarevisionid": revision}
            for body in (bare(EVENT, schema), single_object(EVENT)):
                assert ids_of(decoder, body, attributes=said) == ["someone"]
                assert reference.decode(body, said) == decoder.decode(body, said)
            packed = gzip.compress(bare(EVENT, schema))
            assert ids_of(decoder, packed, attributes={**said, **GZIP}) == ["someone"]
        assert ids_of(decoder, bare(EVENT)) == ["someone"]
        empty = {"googclient_schemaencoding": "", "googclient_schemarevisionid": ""}
        assert ids_of(decoder, bare(EVENT), attributes=empty) == ["someone"]
        assert reference.decode(bare(EVENT), empty) == decoder.decode(bare(EVENT), empty)
        said = {"googclient_schemarevisionid": "ffffffff"}
        assert "`registry:` has a file of: 00000002, 0a1b2c3d; got ffffffff" in told(decoder, bare(EVENT), said)
        with pytest.raises(EventError):
            reference.decode(bare(EVENT), said)

    def test_json_is_an_event_as_json(self, tmp_path: Path) -> None:
        said = {**SAYS, "googclient_schemaencoding": "JSON"}
        assert ids_of(decoder_in(tmp_path, "json"), WRITERS["json"](EVENT), attributes=said) == ["someone"]

    @pytest.mark.parametrize("read_as", [one for one in READ if one != "json"])
    def test_json_is_refused_with_what_to_set(self, tmp_path: Path, read_as: str) -> None:
        """GoogleCloudPlatform/php-docs-samples#1812: one topic's encoding taken for another's."""
        said = {**SAYS, "googclient_schemaencoding": "JSON"}
        assert "set events.encoding: json" in told(decoder_in(tmp_path, read_as), WRITERS["json"](EVENT), said)
