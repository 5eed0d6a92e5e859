"""Publishing files to the real emulator: bodies to the byte, stamps to the microsecond, mistakes in words."""

import time
import uuid
from pathlib import Path

import fastavro
import pytest

from beam_pipelines.publish import Published, publish_file
from user_state.errors import InputError
from user_state.events.avro_files import SingleObject, interaction_schema, message_schema
from user_state.spec import parse_spec

SPEC_TEXT = """\
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {views: {aggregate: count, windows: 1h}}
"""
SPEC = parse_spec(SPEC_TEXT, beside=Path(__file__).parent)
TOPIC = "projects/local-dev/topics/events"


@pytest.fixture
def channel(pubsub):
    name = f"publish-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    return topic, pubsub.create_subscription(name, topic, ack_deadline_s=60)


def _events(count):
    return [
        {
            "event_id": f"e{n}",
            "user_id": f"u{n % 7}",
            "item_id": f"i{n}",
            "action": "view",
            "event_time": 1_600_000_000_000_001 + n,
            "value": n / 3,
            "published_at": None if n % 2 else 1_700_000_000_000_003 + n,
        }
        for n in range(count)
    ]


def _write(path, schema, records, codec="deflate"):
    with path.open("wb") as file:
        fastavro.writer(file, schema, records, codec=codec)
    return str(path)


def _received(pubsub, subscription):
    return {m.message.data: dict(m.message.attributes) for m in pubsub.pull_all(subscription)}


@pytest.mark.pubsub
@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_events_go_out_in_single_object_encoding_stamped_with_published_or_else_event_time(
    pubsub, channel, tmp_path, codec
):
    topic, subscription = channel
    events = _events(2500)
    path = _write(tmp_path / "events.avro", interaction_schema(), events, codec)
    progress = []

    counts = publish_file(SPEC, path, f"pubsub://{topic}", None, "published_us", progress.append)

    bodies = SingleObject(interaction_schema())
    expected = {
        bodies.encode(event): {"published_us": str(event["published_at"] or event["event_time"])} for event in events
    }
    assert counts == Published(files=1, messages=2500, body_bytes=sum(map(len, expected)), empty=0)
    assert progress == [1000, 2000, 2500]
    assert _received(pubsub, subscription) == expected


def test_the_fingerprint_is_little_endian_as_the_avro_specification_has_it():
    """The specification's own algorithm, written out."""
    empty = 0xC15D213AA4D7A795
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (empty & -(n & 1))
        table.append(n)
    crc = empty
    for byte in fastavro.schema.to_parsing_canonical_form(interaction_schema()).encode():
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    assert SingleObject(interaction_schema()).header == b"\xc3\x01" + crc.to_bytes(8, "little")


@pytest.mark.pubsub
def test_messages_go_out_untouched_and_empty_ones_are_counted(pubsub, channel, tmp_path):
    topic, subscription = channel
    records = [
        {"data": b"\x00broken\xff", "attributes": {"why": "test"}, "publish_time": 1_700_000_000_000_007},
        {"data": b"no time", "attributes": {}, "publish_time": None},
        {"data": b"", "attributes": {}, "publish_time": None},
    ]
    path = _write(tmp_path / "messages.avro", message_schema(), records)
    counts = publish_file(SPEC, path, topic, publish_time_attribute="at_us")
    assert counts == Published(files=1, messages=2, body_bytes=15, empty=1)
    assert _received(pubsub, subscription) == {
        b"\x00broken\xff": {"why": "test", "at_us": "1700000000000007"},
        b"no time": {},
    }


@pytest.mark.pubsub
def test_a_glob_publishes_each_file_and_a_rate_paces(pubsub, channel, tmp_path):
    topic, subscription = channel
    events = _events(60)
    _write(tmp_path / "a.avro", interaction_schema(), events[:30])
    _write(tmp_path / "b.avro", interaction_schema(), events[30:])
    started_s = time.monotonic()
    counts = publish_file(SPEC, str(tmp_path / "*.avro"), topic, rate=40)
    assert time.monotonic() - started_s > 1.2
    assert (counts.files, counts.messages) == (2, 60)
    bodies = SingleObject(interaction_schema())
    assert _received(pubsub, subscription) == {bodies.encode(event): {} for event in events}


@pytest.mark.pubsub
def test_a_topic_that_does_not_exist_is_named(pubsub, tmp_path):
    path = _write(tmp_path / "events.avro", interaction_schema(), _events(1))
    with pytest.raises(InputError, match=r"cannot publish to projects/local-dev/topics/nowhere, .* accepted 0 .*404"):
        publish_file(SPEC, path, "projects/local-dev/topics/nowhere")


@pytest.mark.pubsub
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "matches no file"),
        (b"", "which is empty"),
        (b"{}\n" * 100, "expected an Avro file, got "),
        ("no records", "expected events, got none"),
        ("cut", "damaged or cut short"),
        ("other events", "got Other: record Other cannot be read as record user_state.Interaction"),
    ],
)
def test_a_file_that_cannot_be_published_says_why(pubsub, channel, tmp_path, content, problem):
    path: Path = tmp_path / "events.avro"
    if content == "no records":
        _write(path, interaction_schema(), [])
    elif content == "cut":
        _write(path, interaction_schema(), _events(50))
        path.write_bytes(path.read_bytes()[:-30])
    elif content == "other events":
        schema = {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "string"}]}
        _write(path, schema, [{"x": "y"}])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=problem):
        publish_file(SPEC, str(path), channel[0], publish_time_attribute="at_us")


@pytest.mark.parametrize("rate", [0, -1.0, float("nan")])
def test_a_rate_must_be_above_zero(rate):
    with pytest.raises(InputError, match="expected a rate above 0"):
        publish_file(SPEC, "events.avro", TOPIC, rate=rate)
