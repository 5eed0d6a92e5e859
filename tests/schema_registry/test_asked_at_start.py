"""What a run finds out about its schema registry before anything runs, on whatever runner."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.events.encodings import EVENTS, SCHEMA, spec_in
from tests.servers.pipeline import run_command
from tests.servers.registry import Answer, TestRegistry, running_registry
from tests.trying import text_of
from user_state.errors import InputError, RegistryUnavailable, SpecError
from user_state.schema_registry.start import check_registry
from user_state.spec.event_schema import EventSchema


@pytest.fixture
def registry() -> Iterator[TestRegistry]:
    with running_registry() as server:
        yield server


def schema_with(folder: Path, registry: TestRegistry, **events: Any) -> EventSchema:
    return spec_in(folder, "confluent", registry=registry.url, **events).schema


def refused(folder: Path, registry: TestRegistry, subject: str = "events-value") -> str:
    with pytest.raises(InputError) as caught:
        check_registry(schema_with(folder, registry, subject=subject))
    return str(caught.value)


def test_the_latest_schema_of_the_subject_has_to_be_readable(tmp_path: Path, registry: TestRegistry) -> None:
    other = copy.deepcopy(SCHEMA)
    other["fields"] = [field for field in other["fields"] if field["name"] != "user_id"]
    registry.register(other, number=6)
    registry.register(SCHEMA, number=7)
    check_registry(schema_with(tmp_path, registry, subject="events-value"))
    registry.register({**other, "doc": "newer"}, number=8)
    said = refused(tmp_path, registry)
    assert f"the latest schema of subject events-value in the schema registry {registry.url} (id 8) cannot" in said
    assert "user_id" in said


def test_a_subject_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, registry: TestRegistry) -> None:
    registry.register(SCHEMA, "events-value")
    said = refused(tmp_path, registry, "event-value")
    assert "has no subject 'event-value' (events.subject in the spec); did you mean" in said
    assert "events-value" in said
    registry.versions.clear()
    assert refused(tmp_path, registry).endswith("and no other")


def test_a_subject_of_protobuf_is_told(tmp_path: Path, registry: TestRegistry) -> None:
    registry.register("message M {}", schemaType="PROTOBUF")
    assert "'PROTOBUF', and events are read as Avro or JSON" in refused(tmp_path, registry)


def test_without_a_subject_the_registry_has_to_answer(tmp_path: Path, registry: TestRegistry) -> None:
    check_registry(schema_with(tmp_path, registry))
    assert registry.asked == ["GET /schemas/types"]
    registry.always = Answer(401, b"no")
    with pytest.raises(RegistryUnavailable, match="refuses us without a user and password"):
        check_registry(schema_with(tmp_path, registry))


def test_a_subject_needs_a_registry_with_a_url(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="`subject:` is for a `registry:` that is a URL"):
        spec_in(tmp_path, "confluent", subject="events-value")
    with pytest.raises(SpecError, match="`subject:` is for a `registry:` that is a URL"):
        spec_in(tmp_path, "json", subject="events-value")


@pytest.mark.parametrize("runner", ["flink", "dataflow"])
def test_a_job_is_not_submitted_where_the_subject_is_missing(
    tmp_path: Path, registry: TestRegistry, runner: str
) -> None:
    """Nothing listens where Redis and Flink should be: the registry is asked before either."""
    (tmp_path / "tried.avsc").write_text(json.dumps(SCHEMA))
    events = {**EVENTS, "encoding": "confluent", "registry": registry.url, "subject": "events-value"}
    (tmp_path / "spec.yaml").write_text(text_of(events=events))
    done = run_command(
        *("run", "--spec", tmp_path / "spec.yaml", "--redis", "redis://127.0.0.1:1", "--runner", runner),
        *("--input", "pubsub://projects/p/subscriptions/s"),
    )
    assert done.returncode == 2
    assert "has no subject 'events-value'" in done.stderr
    assert "Traceback" not in done.stderr
