"""Schemas of a registry by id, as a decoder meets them: asked for once, with those that they refer to."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.events.encodings import SCHEMA, as_json, bare, confluent, decoder_in, spec_in
from tests.events.test_encodings import EVENT, batch_of, ids_of, told
from tests.servers.registry import Answer, TestRegistry, running_registry
from user_state.errors import RegistryUnavailable
from user_state.events.avro_files import SingleObject
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.schema_registry import http
from user_state.schema_registry.http import Registry
from user_state.schema_registry.schemas import UNKNOWN_S, RegisteredSchemas, schemas_of
from user_state.spec.event_schema import EventSchema, parse_event_schema


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def registry() -> Iterator[TestRegistry]:
    with running_registry() as server:
        yield server


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_schema_is_asked_for_once_however_many_events_have_it(registry: TestRegistry, tmp_path: Path) -> None:
    newer = copy.deepcopy(SCHEMA)
    newer["fields"].append({"name": "later", "type": "string"})
    one, two = registry.register(SCHEMA), registry.register(newer)
    bodies = [confluent(EVENT, one), confluent({**EVENT, "later": "x"}, two, newer)]
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        decoder = decoder_in(tmp_path / folder, "confluent", registry=registry.url)
        for _ in range(3):
            assert ids_of(decoder, *bodies * 5) == ["someone"]
    assert sorted(registry.asked) == [f"GET /schemas/ids/{one}", f"GET /schemas/ids/{two}"]


def test_a_registry_that_is_down_makes_no_dead_letter_of_a_good_message(registry: TestRegistry, tmp_path: Path) -> None:
    """ansible/event-driven-ansible#528: an outage was taken for "skip this record", and messages were lost."""
    decoder = decoder_in(tmp_path, "confluent", registry=registry.url)
    number = registry.register(SCHEMA)
    registry.always = Answer(503, b"down")
    for _ in range(2):
        with pytest.raises(RegistryUnavailable, match="503"):
            batch_of(decoder, confluent(EVENT, number), b"bad")
    registry.always = None
    decoded = batch_of(decoder, confluent(EVENT, number), b"bad")
    assert (len(decoded.batch), len(decoded.refused)) == (1, 1)
    registry.always = Answer(503, b"down")
    assert ids_of(decoder, confluent(EVENT, number)) == ["someone"]  # what is known needs no registry


def test_an_id_that_does_not_exist_is_told_and_asked_again_after_a_while(registry: TestRegistry) -> None:
    """Registries that follow another may be behind it: an id may come to exist."""
    clock = Clock()
    schemas = RegisteredSchemas(Registry(registry.url, environment={}), clock)
    assert "schema id 5 does not exist in the schema registry" in str(schemas.schema(5))
    registry.register(SCHEMA, number=5)
    assert isinstance(schemas.schema(5), str)
    clock.now_s = UNKNOWN_S + 1
    assert isinstance(schemas.schema(5), EventSchema)
    assert registry.asked == ["GET /schemas/ids/5"] * 2


def test_a_body_with_such_an_id_is_a_dead_letter_that_says_so(registry: TestRegistry, tmp_path: Path) -> None:
    decoder = decoder_in(tmp_path, "confluent", registry=registry.url)
    said = told(decoder, confluent(EVENT, 77))
    assert f"schema id 77 does not exist in the schema registry {registry.url}: 'Schema not found'" in said
    assert "looks like" not in said
    assert "schema id 808464432 does not exist" in told(decoder, b"\x000000" + bare(EVENT))


@pytest.mark.parametrize(
    ("schema", "more", "said"),
    [
        ('syntax = "proto3";', {"schemaType": "PROTOBUF"}, "schema id 3 is of type 'PROTOBUF', and events are read as"),
        ('"string"', {}, "schema id 3: expected an Avro schema of type record, got 'string'"),
        ("{", {}, "schema id 3: "),
        (
            {"type": "record", "name": "O", "fields": [{"name": "a", "type": "int"}]},
            {},
            "(O) cannot be read as tests.Tried",
        ),
    ],
)
def test_a_schema_that_no_event_could_have_is_told(
    registry: TestRegistry, tmp_path: Path, schema: Any, more: dict[str, Any], said: str
) -> None:
    registry.register(schema, number=3, **more)
    decoder = decoder_in(tmp_path, "confluent", registry=registry.url)
    assert said in told(decoder, confluent(EVENT, 3))
    assert registry.asked == ["GET /schemas/ids/3"]


def test_bodies_of_a_json_schema_are_json_behind_their_id(registry: TestRegistry, tmp_path: Path) -> None:
    """Confluent's JSON Schema serializer writes the same five bytes before JSON."""
    registry.register("{}", number=3, schemaType="JSON")
    avro = registry.register(SCHEMA)
    spec = spec_in(tmp_path, "confluent", registry=registry.url)
    decoder, reference = EventDecoder(compile_plan(spec), spec.schema), SingleObject(SCHEMA, [], spec.schema.bodies)
    body = b"\0\0\0\0\3" + as_json(EVENT)
    assert ids_of(decoder, body, confluent(EVENT, avro), body) == ["someone"]
    assert reference.decode(body) == decoder.decode(body)
    assert "cannot decode" in told(decoder, body[:-1])
    assert "cannot decode" in told(decoder, b"\0\0\0\0\3" + bare(EVENT))
    assert "cannot decode" in told(decoder, b"\0" + avro.to_bytes(4, "big") + as_json(EVENT))


def test_an_answer_that_is_no_schema_is_the_registrys_fault(registry: TestRegistry, tmp_path: Path) -> None:
    registry.always = Answer(200, b'{"id": 3}')
    with pytest.raises(RegistryUnavailable, match="got none"):
        batch_of(decoder_in(tmp_path, "confluent", registry=registry.url), confluent(EVENT, 3))


OS = {"type": "enum", "name": "Os", "namespace": "shop", "symbols": ["ios", "android"]}
DEVICE: dict[str, Any] = {
    "type": "record",
    "name": "shop.Device",
    "fields": [{"name": "os", "type": "Os"}, {"name": "before", "type": ["null", "shop.Os"], "default": None}],
}
CIRCLE = [{"subject": "events-value", "version": 1}]


class TestReferences:
    """Schemas that refer to others: apache/beam#32620, and in turn: confluentinc/schema-registry#1524."""

    def whole(self) -> Any:
        """Return the schema with all definitions in it, as the events are really written."""
        inner = copy.deepcopy(DEVICE)
        inner["fields"][0]["type"] = OS
        schema = copy.deepcopy(SCHEMA)
        schema["fields"] += [{"name": "device", "type": inner}, {"name": "other", "type": ["null", "shop.Device"]}]
        return schema

    def register(self, registry: TestRegistry) -> int:
        referring = copy.deepcopy(SCHEMA)
        referring["fields"] += [
            {"name": "device", "type": "shop.Device"},
            {"name": "other", "type": ["null", "shop.Device"]},
        ]
        registry.register(OS, "shop.Os")
        to_os = [{"name": "shop.Os", "subject": "shop.Os", "version": 1}]
        registry.register(DEVICE, "shop/Device", references=to_os)
        to_device = [{"name": "shop.Device", "subject": "shop/Device", "version": 1}]
        return registry.register(referring, references=to_device)

    def test_they_are_followed_and_asked_for_once(self, registry: TestRegistry, tmp_path: Path) -> None:
        number = self.register(registry)
        found = schemas_of(registry.url).schema(number)
        assert isinstance(found, EventSchema)
        assert found.fingerprint == parse_event_schema(self.whole()).fingerprint
        made = {**EVENT, "device": {"os": "ios", "before": None}, "other": {"os": "android", "before": "ios"}}
        decoder = decoder_in(tmp_path, "confluent", registry=registry.url)
        assert ids_of(decoder, confluent(made, number, self.whole())) == ["someone"]
        assert len(registry.asked) == 3

    def test_one_that_is_not_there_is_told(self, registry: TestRegistry) -> None:
        nowhere = [{"name": "shop.Device", "subject": "nowhere", "version": 1}]
        number = registry.register(SCHEMA, references=nowhere)
        said = RegisteredSchemas(Registry(registry.url, environment={})).schema(number)
        assert "refers to a schema that does not exist: \"Subject 'nowhere' not found.\"" in str(said)

    @pytest.mark.parametrize(
        "references", [[{}], [{"subject": "events-value", "version": 1}], [{"subject": "a", "version": "x"}]]
    )
    def test_circles_and_strange_ones_end(self, registry: TestRegistry, references: Any) -> None:
        number = registry.register(SCHEMA, references=references)
        said = RegisteredSchemas(Registry(registry.url, environment={})).schema(number)
        assert f"schema id {number}: " in str(said)


def test_the_id_of_a_schema_is_asked_by_subject(registry: TestRegistry) -> None:
    schemas, schema = RegisteredSchemas(Registry(registry.url, environment={})), parse_event_schema(SCHEMA)
    assert schemas.id_of(schema, ["nowhere", "events-value"]) is None
    number = registry.register(SCHEMA, "a/b-value")
    assert schemas.id_of(schema, ["nowhere", "a/b-value"]) == number
    assert json.loads(registry.schemas[number]["schema"]) == schema.original
