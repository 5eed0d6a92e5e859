"""A schema registry on loopback for tests: Confluent's REST paths, as its documentation has them, over real HTTP.

    POST /subjects/S/versions               registers a schema, returns its id
    POST /subjects/S                        the id of a schema under a subject
    GET /schemas/ids/N                      a schema by id
    GET /subjects/S/versions/V              a schema by subject and version
    GET /subjects                           their names
    GET /schemas/types

Tests say what goes wrong: `answers` replaces answers one by one, `user` asks for basic authentication. Every request is
in `asked`. Nothing here shares code with the client.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TYPE = "application/vnd.schemaregistry.v1+json"


@dataclass
class Answer:
    """What is sent back instead of what would be."""

    code: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    cut: bool = False
    """Close the connection without a word."""


@dataclass
class TestRegistry:
    """A running registry.

    Attributes:
        url: where it listens.
        schemas: by id, what `GET /schemas/ids/N` answers.
        versions: by subject, the ids of its versions, from version 1.
        asked: every request, `METHOD path`.
        answers: sent first, one a request.
        always: sent to every request, if set.
        user: (user, password) that is asked for.
    """

    __test__ = False
    url: str
    schemas: dict[int, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, list[int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    always: Answer | None = None
    user: tuple[str, str] | None = None

    def register(self, schema: Any, subject: str = "events-value", number: int | None = None, **more: Any) -> int:
        """Register a schema, JSON or its text, and return its id."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        held = {"schema": text, **more}
        found = next((one for one, other in self.schemas.items() if other == held), None)
        number = number or found or 1 + max(self.schemas, default=0)
        self.schemas[number] = held
        versions = self.versions.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def answer(self, method: str, path: str, body: bytes, authorization: str | None) -> Answer:
        """Return what a request is answered."""
        self.asked.append(f"{method} {path}")
        self.authorizations.append(authorization)
        if self.answers:
            return self.answers.pop(0)
        if self.always is not None:
            return self.always
        if self.user is not None:
            expected = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
            if authorization != expected:
                return Answer(401, b"User cannot access the resource.", {"Content-Type": "text/plain"})
        return self._found(method, [unquote(part) for part in path.partition("?")[0].split("/")[1:]], body)

    def _found(self, method: str, parts: list[str], body: bytes) -> Answer:
        match method, parts:
            case "GET", ["schemas", "types"]:
                return _json(["AVRO", "JSON", "PROTOBUF"])
            case "GET", ["schemas", "ids", number] if number.isdigit():
                found = self.schemas.get(int(number))
                return _error(40403, "Schema not found") if found is None else _json(found)
            case "GET", ["subjects"]:
                return _json(sorted(self.versions))
            case "GET", ["subjects", subject, "versions", version] if version.isdigit() or version == "latest":
                versions = self.versions.get(subject)
                if versions is None:
                    return _error(40401, f"Subject '{subject}' not found.")
                version = str(len(versions)) if version == "latest" else version
                if not 0 < int(version) <= len(versions):
                    return _error(40402, f"Version {version} not found.")
                held = versions[int(version) - 1]
                return _json({"subject": subject, "version": int(version), "id": held, **self.schemas[held]})
            case "POST", ["subjects", subject, "versions"]:
                asked = json.loads(body)
                more = {key: asked[key] for key in ("schemaType", "references") if key in asked}
                return _json({"id": self.register(asked["schema"], subject, **more)})
            case "POST", ["subjects", subject]:
                if subject not in self.versions:
                    return _error(40401, f"Subject '{subject}' not found.")
                wanted = json.loads(json.loads(body)["schema"])
                for at, held in enumerate(self.versions[subject]):
                    if json.loads(self.schemas[held]["schema"]) == wanted:
                        return _json({"subject": subject, "version": at + 1, "id": held, **self.schemas[held]})
                return _error(40403, "Schema not found")
        return Answer(404, b'{"error_code":404,"message":"HTTP 404 Not Found"}', {"Content-Type": TYPE})


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": TYPE})


def _error(code: int, message: str) -> Answer:
    return Answer(404, json.dumps({"error_code": code, "message": message}).encode(), {"Content-Type": TYPE})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that did not wait for their answer."""


@contextmanager
def running_registry() -> Iterator[TestRegistry]:
    """Start a registry on a free loopback port; it ends with the block."""
    made: TestRegistry

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = made.answer(self.command, self.path, body, self.headers.get("Authorization"))
            stopping.wait(answer.wait_s)
            if answer.cut:
                return
            self.send_response(answer.code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    stopping = threading.Event()
    server = _Server(("127.0.0.1", 0), Handler)
    made = TestRegistry(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
