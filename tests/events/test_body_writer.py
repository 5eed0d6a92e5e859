"""Events as bodies in the spec's encoding: read back by the decoder and by brute force, which also agree on damage."""

from __future__ import annotations

import copy
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.events.encodings import ID, SCHEMA, WRITERS, bare, spec_in
from tests.events.test_encodings import READ
from tests.servers.registry import running_registry
from tests.trying import T0, event
from user_state.errors import EventError, InputError
from user_state.events.avro_files import SingleObject
from user_state.events.body_writer import BodyWriter
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.spec.event_schema import EventSchema, parse_event_schema

EVENT = event(T0, "someone", "some-id", item_id="tea", value=1.5)
NEWER: dict[str, Any] = copy.deepcopy(SCHEMA)
NEWER["fields"].append({"name": "later", "type": "int"})


def brute_force(spec: LoadedSpec) -> SingleObject:
    return SingleObject(spec.schema.original, [one.original for one in spec.schema.versions], spec.schema.bodies)


def newer_in(folder: Path) -> EventSchema:
    (folder / "newer.avsc").write_text(json.dumps(NEWER))
    return parse_event_schema(NEWER)


@pytest.mark.parametrize("encoding", [None, *READ])
def test_a_written_body_is_read_back_by_both(tmp_path: Path, encoding: str | None) -> None:
    spec = spec_in(tmp_path, encoding)
    body = BodyWriter(spec.schema).body(spec.schema, bare(EVENT))
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    assert decoder.decode(body) == brute_force(spec).decode(body)
    if encoding in ("raw", "single_object", "confluent"):
        assert body == WRITERS[encoding](EVENT)
    if encoding is None:
        assert body == WRITERS["single_object"](EVENT)


@pytest.mark.parametrize(
    ("encoding", "tells"), [(None, True), ("raw", False), ("single_object", True), ("container", True)]
)
def test_which_versions_a_body_can_tell(tmp_path: Path, encoding: str | None, tells: bool) -> None:
    newer = newer_in(tmp_path)
    spec = spec_in(tmp_path, encoding, versions="newer.avsc")
    bodies = BodyWriter(spec.schema)
    assert bodies.tells(spec.schema)
    assert bodies.tells(newer) == tells
    other = parse_event_schema({**NEWER, "name": "Other"})
    assert bodies.tells(other) == (encoding == "container")
    if tells:
        body = bodies.body(newer, bare({**EVENT, "later": 3}, NEWER))
        assert EventDecoder(compile_plan(spec), spec.schema).decode(body)["event_id"] == "some-id"


def test_ids_of_a_folder_are_those_of_its_files_and_the_latest_counts(tmp_path: Path) -> None:
    spec = spec_in(tmp_path, "confluent", {3: SCHEMA, 9: SCHEMA, 11: NEWER})
    bodies = BodyWriter(spec.schema)
    assert bodies.body(spec.schema, b"x") == b"\0\0\0\0\x09x"
    assert bodies.body(parse_event_schema(NEWER), b"x") == b"\0\0\0\0\x0bx"
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"the folder of `registry:` has no id for the schema .*: register it there"):
        BodyWriter(spec_in(tmp_path / "other", "confluent", {11: NEWER}).schema)


def test_ids_of_a_registry_are_asked_by_subject_and_nothing_is_registered(tmp_path: Path) -> None:
    with running_registry() as registry:
        spec = spec_in(tmp_path, "confluent", registry=registry.url)
        subjects = ("clicks-value", spec.schema.name)
        with pytest.raises(InputError, match=r"has no id for the schema .* under clicks-value or tests\.Tried"):
            BodyWriter(spec.schema, subjects)
        registry.register(SCHEMA, "clicks-value", 300)
        assert BodyWriter(spec.schema, subjects).body(spec.schema, b"x") == b"\0\0\0\x01\x2cx"
        assert not [asked for asked in registry.asked if asked.startswith("POST") and asked.endswith("/versions")]


def damaged(rng: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randrange(1, 4)):
        match rng.randrange(4):
            case 0:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            case 1:
                del changed[rng.randrange(len(changed)) :]
            case 2:
                at = rng.randrange(len(changed) + 1)
                changed[at:at] = rng.randbytes(rng.randrange(1, 6))
            case _:
                del changed[: rng.randrange(1, 12)]
        if not changed:
            break
    return bytes(changed)


def judged(decode: Any, body: bytes, attributes: dict[str, str]) -> Any:
    try:
        return decode(body, attributes)
    except EventError as exc:
        return exc.reason


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", READ)
def test_brute_force_and_the_decoder_judge_damaged_bodies_alike(tmp_path: Path, encoding: str, packed: bool) -> None:
    newer_in(tmp_path)
    spec = spec_in(tmp_path, encoding, {ID: SCHEMA, 300: NEWER}, versions="newer.avsc")
    decoder, reference = EventDecoder(compile_plan(spec), spec.schema), brute_force(spec)
    rng = random.Random(f"{encoding} {packed}")
    read = 0
    for _ in range(1_500):
        written_as = encoding if rng.random() < 0.8 else rng.choice(list(WRITERS))
        body = WRITERS[written_as](event(T0, f"u{rng.randrange(9)}", item_id=rng.choice([None, "tea"])))
        body = damaged(rng, body) if rng.random() < 0.8 else body
        attributes = {}
        if packed:
            body = gzip.compress(body, 1)
            body = damaged(rng, body) if rng.random() < 0.1 else body
            attributes = {"Content-Encoding": "gzip"}
        mine, theirs = (judged(one.decode, body, attributes) for one in (decoder, reference))
        assert mine == theirs
        read += isinstance(mine, dict)
    assert 150 < read < 1_400
