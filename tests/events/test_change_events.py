"""Change events (CDC) as Debezium writes them with Avro: fields of the row by path, in Confluent's format.

The schema is that of Debezium's documentation: an envelope with the row before and after, its source and the operation.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.events.encodings import bare, confluent
from tests.events.test_encodings import batch_of
from tests.servers.registry import TestRegistry, running_registry
from user_state.errors import SpecError
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.spec import parse_spec
from user_state.state.events import Events

VALUE = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "user_id", "type": "int"},
        {"name": "action", "type": "string"},
        {"name": "created_at", "type": {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"}},
        {"name": "price", "type": ["null", "double"], "default": None},
    ],
    "connect.name": "shop.public.acts.Value",
}
SOURCE = {
    "type": "record",
    "name": "Source",
    "namespace": "io.debezium.connector.postgresql",
    "fields": [{"name": "ts_ms", "type": "long"}, {"name": "lsn", "type": ["null", "long"], "default": None}],
}
ENVELOPE: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "namespace": "shop.public.acts",
    "fields": [
        {"name": "before", "type": ["null", VALUE], "default": None},
        {"name": "after", "type": ["null", "Value"], "default": None},
        {"name": "source", "type": SOURCE},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": ["null", "long"], "default": None},
    ],
}
SPEC = {
    "name": "acts",
    "events": {
        "schema": "acts.avsc",
        "encoding": "confluent",
        "user": "after.user_id",
        "id": "after.id",
        "time": "after.created_at",
        "time_unit": "us",
    },
    "allowed_lateness": "1d",
    "max_clock_skew": "5m",
    "retention": "90d",
    "features": {"bought": {"aggregate": "sum", "of": "after.price", "where": {"op": ["c", "r"]}, "windows": "7d"}},
}
T0 = 1_700_000_000_000_000


def change(op: str, before: Any = None, after: Any = None) -> dict[str, Any]:
    return {"before": before, "after": after, "source": {"ts_ms": T0 // 1000, "lsn": 9}, "op": op, "ts_ms": None}


def row(**changed: Any) -> dict[str, Any]:
    return {"id": 1, "user_id": 236238, "action": "buy", "created_at": T0, "price": 2.5, **changed}


@pytest.fixture
def registry() -> Iterator[TestRegistry]:
    with running_registry() as server:
        yield server


@pytest.fixture
def decoder(tmp_path: Path, registry: TestRegistry) -> EventDecoder:
    (tmp_path / "acts.avsc").write_text(json.dumps(ENVELOPE))
    text = yaml.safe_dump({**SPEC, "events": {**SPEC["events"], "registry": registry.url}})  # type: ignore[dict-item]
    spec = parse_spec(text, beside=tmp_path)
    return EventDecoder(compile_plan(spec), spec.schema)


def test_the_row_after_a_change_is_the_event(decoder: EventDecoder, registry: TestRegistry) -> None:
    number = registry.register(ENVELOPE)
    changes = [change("c", after=row()), change("u", row(), row(price=None)), change("r", after=row(id=2, user_id=7))]
    decoded = batch_of(decoder, *[confluent(one, number, ENVELOPE) for one in changes])
    assert decoded.refused == []
    events = Events.of_batch(decoded.batch)
    assert [events.users[user] for user in events.user] == ["236238", "236238", "7"]
    assert list(events.time_us) == [T0] * 3
    assert events.id_hash[0] == events.id_hash[1] != events.id_hash[2]  # an update has its row's id: a duplicate


def test_a_delete_is_no_event_and_says_which_field_is_null(decoder: EventDecoder, registry: TestRegistry) -> None:
    """apache/pulsar#5876: every delete ended the consumer. Here it is a dead letter; the connector can leave it out."""
    number = registry.register(ENVELOPE)
    decoded = batch_of(decoder, confluent(change("d", before=row()), number, ENVELOPE))
    [(_, error)] = decoded.refused
    assert error.reason == "invalid"
    assert error.detail == (
        "expected after.user_id of 1 to 1024 bytes, got null; after is null, as of a deleted row: set events.deletes:"
        " ignore to have such ignored"
    )


def decoder_that_ignores(folder: Path, **events: Any) -> EventDecoder:
    (folder / "acts.avsc").write_text(json.dumps(ENVELOPE))
    text = yaml.safe_dump({**SPEC, "events": {**SPEC["events"], "deletes": "ignore", **events}})  # type: ignore[dict-item]
    spec = parse_spec(text, beside=folder)
    return EventDecoder(compile_plan(spec), spec.schema)


def test_deletes_and_tombstones_are_ignored_where_the_spec_says_so(tmp_path: Path, registry: TestRegistry) -> None:
    decoder = decoder_that_ignores(tmp_path, registry=registry.url)
    number = registry.register(ENVELOPE)
    deleted = confluent(change("d", before=row()), number, ENVELOPE)
    decoded = batch_of(decoder, deleted, confluent(change("c", after=row()), number, ENVELOPE), b"")
    assert len(decoded.batch) == 1
    assert decoded.refused_at == [0, 2]
    assert [(error.reason, error.detail) for _, error in decoded.refused] == [
        ("ignored", "after is null: a deleted row"),
        ("ignored", "an empty body: the tombstone of a deleted row"),
    ]


def test_what_is_wrong_for_another_reason_than_a_delete_stays_a_dead_letter(
    tmp_path: Path, registry: TestRegistry
) -> None:
    decoder = decoder_that_ignores(tmp_path, registry=registry.url)
    number = registry.register(ENVELOPE)
    early = confluent(change("c", after=row(created_at=0)), number, ENVELOPE)
    cut = confluent(change("d", before=row()), number, ENVELOPE)[:-1]
    decoded = batch_of(decoder, early, cut, b"\0")
    assert [error.reason for _, error in decoded.refused] == ["invalid", "undecodable", "undecodable"]


CONNECT: dict[str, Any] = {
    "type": "record",
    "name": "Message",
    "fields": [{"name": "payload", "type": ["null", ENVELOPE], "default": None}],
}


def test_deletes_in_json_with_schema_and_payload_are_ignored(tmp_path: Path) -> None:
    """Kafka Connect's JsonConverter puts a schema beside each payload, and writes a tombstone as a null payload."""
    (tmp_path / "connect.avsc").write_text(json.dumps(CONNECT))
    paths = {part: f"payload.after.{SPEC['events'][part].partition('.')[2]}" for part in ("user", "id", "time")}  # type: ignore[index]
    events = {**paths, "schema": "connect.avsc", "time_unit": "us", "encoding": "json", "deletes": "ignore"}
    features = {"bought": {"aggregate": "sum", "of": "payload.after.price", "windows": "7d"}}
    spec = parse_spec(yaml.safe_dump({**SPEC, "events": events, "features": features}), beside=tmp_path)
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    payloads = [change("c", after=row()), change("d", before=row()), None, {**change("d"), "after": "x"}]
    decoded = batch_of(
        decoder, *[json.dumps({"schema": {"type": "struct"}, "payload": one}).encode() for one in payloads]
    )
    assert len(decoded.batch) == 1
    assert [(at, error.reason) for at, (_, error) in zip(decoded.refused_at, decoded.refused, strict=True)] == [
        (1, "ignored"),
        (2, "ignored"),
        (3, "undecodable"),
    ]


def test_ignoring_deletes_needs_a_user_in_a_record_that_may_be_null(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"expected a `user` within a record that may be null, such as after.user_id"):
        decoder_that_ignores(tmp_path, registry="http://localhost:1", user="op")
    with pytest.raises(SpecError, match=r"refuse, ignore|refuse or ignore"):
        decoder_that_ignores(tmp_path, registry="http://localhost:1", deletes="drop")


def test_a_tombstone_is_called_an_empty_body(decoder: EventDecoder) -> None:
    """MaterializeInc/materialize#5239: what a message without a value means, which follows each delete."""
    [(_, error)] = batch_of(decoder, b"").refused
    assert error.reason == "undecodable"
    assert "looks like an empty body" in error.detail


def test_a_table_that_gets_a_column_goes_on(decoder: EventDecoder, registry: TestRegistry) -> None:
    """Debezium registers a new schema with the table's change, whose events come with an id that nobody has met."""
    newer = copy.deepcopy(ENVELOPE)
    newer["fields"][0]["type"][1]["fields"].insert(2, {"name": "coupon", "type": ["null", "string"], "default": None})
    one, two = registry.register(ENVELOPE), registry.register(newer)
    changed = change("c", after=row(coupon="x"))
    decoded = batch_of(decoder, confluent(change("c", after=row()), one, ENVELOPE), confluent(changed, two, newer))
    assert (len(decoded.batch), decoded.refused) == (2, [])


def test_a_change_event_read_raw_is_told_what_it_is(tmp_path: Path, decoder: EventDecoder) -> None:
    text = yaml.safe_dump({**SPEC, "events": {**SPEC["events"], "encoding": "raw"}})  # type: ignore[dict-item]
    spec = parse_spec(text, beside=tmp_path)
    raw = EventDecoder(compile_plan(spec), spec.schema)
    [(_, error)] = batch_of(raw, confluent(change("c", after=row()), 5, ENVELOPE)).refused
    assert "looks like Confluent's wire format with schema id 5: set events.encoding: confluent" in error.detail
    assert len(batch_of(raw, bare(change("c", after=row()), ENVELOPE)).batch) == 1
