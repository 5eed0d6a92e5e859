"""`events.encoding` and `events.registry`: what a spec accepts, and that neither changes what is stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.spec.written import HEAD, VIEWS, message_of
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.spec.bodies import ENCODINGS, Bodies

INTERACTION = Path(__file__).parents[2] / "avro" / "interaction.avsc"


def text_with(**events: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in events.items())
    return HEAD.replace("time: event_time", f"time: event_time{more}") + VIEWS


def load(beside: Path, **events: str) -> LoadedSpec:
    return parse_spec(text_with(**events), beside=beside)


def folder_of(beside: Path, **files: str) -> None:
    (beside / "schemas").mkdir()
    for stem, text in files.items():
        (beside / "schemas" / f"{stem.lstrip('_')}.avsc").write_text(text)


def test_bodies_are_raw_unless_the_spec_says_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path).schema.bodies == Bodies("raw", None, {})
    for encoding in ENCODINGS:
        if encoding != "confluent":
            assert load(tmp_path, encoding=encoding).schema.bodies == Bodies(encoding, None, {}, declared=True)


def test_a_registry_is_a_url_or_a_folder_of_schemas_by_id(tmp_path: Path) -> None:
    by_url = load(tmp_path, encoding="confluent", registry='"https://registry.internal:8081/base/"')
    assert by_url.schema.bodies == Bodies("confluent", "https://registry.internal:8081/base", declared=True)
    newer = json.loads(INTERACTION.read_text())
    newer["fields"].append({"name": "later", "type": "int"})
    folder_of(tmp_path, _7=INTERACTION.read_text(), _12=json.dumps(newer))
    bodies = load(tmp_path, encoding="confluent", registry="schemas").schema.bodies
    assert bodies.registry is None
    assert sorted(bodies.by_id) == [7, 12]
    assert [bodies.by_id[number].file for number in (7, 12)] == ["schemas/7.avsc", "schemas/12.avsc"]
    assert "later" in bodies.by_id[12].fields


def test_how_bodies_are_encoded_has_no_part_in_what_is_stored(tmp_path: Path) -> None:
    """A newer definition fences runs of an older one: changing the transport must not."""
    folder_of(tmp_path, _7=INTERACTION.read_text())
    plans = [compile_plan(load(tmp_path)), compile_plan(load(tmp_path, encoding="confluent", registry="schemas"))]
    assert plans[0].definition == plans[1].definition
    assert plans[0].layout.fingerprint == plans[1].layout.fingerprint


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ({"encoding": "avro"}, "got 'avro'; did you mean `raw`?"),
        ({"encoding": "ocf"}, "got 'ocf'; did you mean `container`?"),
        ({"encoding": "protobuf"}, "expected how message bodies are encoded: raw, single_object, container"),
        ({"encoding": "[raw, json]"}, "expected how message bodies are encoded"),
        ({"format": "json"}, "unknown key; did you mean `encoding`?"),
        ({"encoding": "confluent", "schema_registry": '"http://r"'}, "unknown key; did you mean `registry`?"),
        ({"encoding": "confluent"}, "encoding confluent needs `registry:`, a folder with a file ID.avsc"),
        ({"encoding": "json", "registry": "schemas"}, "`registry:` is for `encoding: confluent`"),
        ({"registry": '"https://registry"'}, "a file REVISION.avsc for each revision of the topic's schema, got a URL"),
        ({"registry": "nowhere"}, "expected a folder with a file REVISION.avsc for each schema, got 'nowhere'"),
        ({"encoding": "confluent", "registry": '"ftp://r"'}, "expected the URL of a registry, such as https://"),
        ({"encoding": "confluent", "registry": '"http://"'}, "expected the URL of a registry, such as https://"),
        ({"encoding": "confluent", "registry": '"http://r:port"'}, "expected the URL of a registry: "),
        ({"encoding": "confluent", "registry": '"http://r/?a=1"'}, "without `?` and `#`"),
        ({"encoding": "confluent", "registry": "nowhere"}, "got 'nowhere', which is no folder"),
        ({"encoding": "confluent", "registry": "7"}, "expected a folder with a file ID.avsc"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(events: dict[str, str], said: str) -> None:
    assert said in message_of(text_with(**events))


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    text = text_with(encoding="confluent", registry='"https://key:hush@registry.internal"')
    said = message_of(text)
    assert "USER_STATE_REGISTRY_PASSWORD" in said
    assert "hush" not in said


def test_revisions_of_pubsubs_schemas_are_files_of_a_folder(tmp_path: Path) -> None:
    folder_of(tmp_path, _0a1b2c3d=INTERACTION.read_text())
    bodies = load(tmp_path, registry="schemas").schema.bodies
    assert list(bodies.by_revision) == ["0a1b2c3d"]
    (tmp_path / "schemas" / "7.avsc").write_text(INTERACTION.read_text())
    said = message_of(text_with(registry="schemas"), tmp_path)
    assert "expected files called by Pub/Sub's revision id, such as 0a1b2c3d.avsc, got '7.avsc'" in said


@pytest.mark.parametrize(
    ("stem", "text", "said"),
    [
        ("view-value", "{}", "expected files called by schema id, such as 7.avsc, got 'view-value.avsc'"),
        ("007", "{}", "got '007.avsc'"),
        ("0", "{}", "got '0.avsc'"),
        ("99999999999", "{}", "got '99999999999.avsc'"),
        ("7", "{", "invalid JSON"),
        ("7", '{"type": "record", "name": "Other", "fields": []}', "expected events of at least one byte"),
        ("7", '{"type": "record", "name": "O", "fields": [{"name": "a", "type": "int"}]}', "events of schemas/7.avsc"),
    ],
)
def test_a_folder_of_other_files_is_refused(tmp_path: Path, stem: str, text: str, said: str) -> None:
    folder_of(tmp_path, **{f"_{stem}": text})
    assert said in message_of(text_with(encoding="confluent", registry="schemas"), tmp_path)
