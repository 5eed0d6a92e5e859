"""What a registry answers, and what is only said to be an answer: over real HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.registry import TYPE, Answer, TestRegistry, running_registry
from user_state.errors import InputError, RegistryUnavailable
from user_state.schema_registry import http
from user_state.schema_registry.http import MOST_BYTES, PASSWORD, PASSWORD_FILE, TRIES, USER, NotThere, Registry

AVRO = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def registry() -> Iterator[TestRegistry]:
    with running_registry() as server:
        yield server


def client(server: TestRegistry, timeout_s: float = 5.0, **environment: str) -> Registry:
    return Registry(server.url, timeout_s, environment)


def unavailable(server: TestRegistry, timeout_s: float = 5.0, **environment: str) -> str:
    with pytest.raises(RegistryUnavailable) as caught:
        client(server, timeout_s, **environment).get("/schemas/ids/1")
    return str(caught.value)


def test_a_schema_is_had_by_its_id_and_an_id_by_its_schema(registry: TestRegistry) -> None:
    number = registry.register(AVRO)
    assert json.loads(client(registry).get(f"/schemas/ids/{number}")["schema"]) == AVRO
    assert client(registry).post("/subjects/events-value", {"schema": json.dumps(AVRO)})["id"] == number
    client(registry).check()
    assert registry.authorizations == [None] * 3


def test_that_a_schema_does_not_exist_is_an_answer(registry: TestRegistry) -> None:
    """confluentinc/kafka-connect-elasticsearch#59: "Schema not found; error code: 40403"."""
    with pytest.raises(NotThere, match="Schema not found"):
        client(registry).get("/schemas/ids/9")
    assert registry.asked == ["GET /schemas/ids/9"]


def test_another_404_is_a_wrong_url_and_not_a_missing_schema(registry: TestRegistry) -> None:
    """edenhill/kcat#212, hortonworks-spark/spark-schema-registry#8: a path of the URL was missing or too much."""
    said = b'{"error_code":404,"message":"HTTP 404 Not Found javax.ws.rs.NotFoundException"}'
    for body, kind in ((said, TYPE), (b"<html>nginx</html>", "text/html"), (b"", "text/plain")):
        registry.answers = [Answer(404, body, {"Content-Type": kind})]
        assert "with 404 Not Found: is the URL of the registry complete?" in unavailable(registry)


def test_html_instead_of_json_is_no_schema(registry: TestRegistry) -> None:
    registry.always = Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
    assert "expected JSON from the schema registry" in unavailable(registry)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_be_over_soon_is_tried_again(registry: TestRegistry, code: int) -> None:
    registry.register(AVRO, number=1)
    registry.answers = [Answer(code, b"busy")] * (TRIES - 1)
    assert "schema" in client(registry).get("/schemas/ids/1")
    registry.answers = [Answer(code, b"busy")] * TRIES
    assert f"cannot be reached: it answers {code}" in unavailable(registry)


def test_a_connection_that_breaks_is_tried_again(registry: TestRegistry) -> None:
    """confluentinc/confluent-kafka-python#1334: one reset connection every two weeks ended the consumer."""
    registry.register(AVRO, number=1)
    registry.answers = [Answer(200, cut=True)]
    assert "schema" in client(registry).get("/schemas/ids/1")
    assert len(registry.asked) == 2


def test_a_registry_that_says_nothing_is_not_waited_for(registry: TestRegistry) -> None:
    registry.always = Answer(200, b"{}", wait_s=60)
    assert "timed out" in unavailable(registry, timeout_s=0.1)
    assert len(registry.asked) == TRIES


def test_where_nobody_listens_is_said(registry: TestRegistry) -> None:
    with pytest.raises(RegistryUnavailable, match=r"cannot be reached: .*refused"):
        Registry("http://127.0.0.1:1", environment={}).get("/schemas/ids/1")
    with pytest.raises(RegistryUnavailable, match="cannot be reached"):
        Registry(registry.url.replace("http:", "https:"), environment={}).get("/schemas/ids/1")


def test_user_and_password_come_from_the_environment(registry: TestRegistry, tmp_path: Path) -> None:
    registry.user = ("key", "hush")
    client(registry, **{USER: "key", PASSWORD: "hush"}).check()
    file = tmp_path / "password"
    file.write_text("hush\n")
    client(registry, **{USER: "key", PASSWORD_FILE: str(file)}).check()
    with pytest.raises(InputError, match="got both"):
        client(registry, **{USER: "key", PASSWORD: "a", PASSWORD_FILE: str(file)}).check()
    assert "cannot read the file" in unavailable(registry, **{USER: "key", PASSWORD_FILE: str(tmp_path / "none")})


@pytest.mark.parametrize("environment", [{}, {USER: "key", PASSWORD: "wrong"}])
def test_a_refusal_in_plain_text_names_the_variable_and_no_password(
    registry: TestRegistry, environment: dict[str, str]
) -> None:
    """confluentinc/schema-registry#733: a 401 is plain text, and was told as a failure to parse it."""
    registry.user = ("key", "hush")
    said = unavailable(registry, **environment)
    assert USER in said
    assert "(401)" in said
    assert "wrong" not in said
    assert "wrong" not in repr(client(registry, **environment))
    assert len(registry.asked) == 1


def test_a_redirection_is_not_followed_with_the_password(registry: TestRegistry) -> None:
    with running_registry() as elsewhere:
        registry.always = Answer(302, b"", {"Location": f"{elsewhere.url}/schemas/ids/1"})
        assert "sends us elsewhere (302" in unavailable(registry, **{USER: "key", PASSWORD: "hush"})
        assert elsewhere.asked == []


def test_an_answer_without_end_is_cut(registry: TestRegistry) -> None:
    registry.always = Answer(200, b"[" * (MOST_BYTES + 10))
    assert f"more than {MOST_BYTES:,} bytes" in unavailable(registry)
    registry.always = Answer(200, b"[" * 100_000)
    assert "expected JSON" in unavailable(registry)
