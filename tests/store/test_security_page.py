"""The rules of docs/security.md on real servers: what each of its two users may do and may not, and TLS."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.servers.pipeline import run_command
from tests.servers.ports import free_port
from tests.servers.redis import running_valkey
from tests.trying import event, spec_of, text_of
from user_state import UserStateClient
from user_state.errors import StoreUnavailable
from user_state.events.avro_files import write_events

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
PARTS = {"name": "feed", "features": {"f": {"aggregate": "count", "windows": ["1h"]}}}
RULES = dict(re.findall(r"^ACL SETUSER (feed-\w+) (.*)$", PAGE.read_text(), re.MULTILINE))
REDIS = shutil.which("redis-server")


@pytest.fixture
def world(tmp_path: Path) -> list[Any]:
    """The words that every command needs, but for Redis."""
    spec, events = tmp_path / "spec.yaml", tmp_path / "events.avro"
    spec.write_text(text_of(**PARTS))
    shutil.copy(Path(__file__).parents[1] / "tried.avsc", tmp_path)
    now_us = time.time_ns() // 1000
    write_events(events, [event(now_us - n, f"u{n % 3}") for n in range(30)], spec_of().schema.original)
    return ["--spec", spec]


def test_a_writer_runs_and_a_reader_reads_and_may_do_nothing_else(world: list[Any], tmp_path: Path) -> None:
    assert set(RULES) == {"feed-writer", "feed-reader"}
    with running_valkey(tmp_path / "valkey", appendonly=True) as server:
        with server.client() as client:
            for user, rules in RULES.items():
                more = ["+waitaof"] if user == "feed-writer" else []
                client.execute_command("ACL", "SETUSER", user, *rules.replace("PASSWORD", user).split(), *more)
        writer, reader = (server.url.replace("://", f"://{user}:{user}@") for user in ("feed-writer", "feed-reader"))
        events = ["--input", tmp_path / "events.avro", "--dead-letters", tmp_path / "dead", "--durability", "fsync"]
        ran = run_command("run", *world, "--redis", writer, *events)
        assert ran.returncode == 0, ran.stderr
        assert "applied 30" in ran.stdout + ran.stderr
        for command in (
            ("get", *world, "--redis", reader, "u0", "nobody"),
            ("check", world[1], "--redis", reader),
            ("verify", *world, "--redis", reader, "--events", tmp_path / "events.avro"),
        ):
            ended = run_command(*command)
            assert ended.returncode == 0, (command, ended.stderr)
        refused = run_command("run", *world, "--redis", reader, *events)
        assert (refused.returncode, "refused us" in refused.stderr) == (2, True)
        for user, others in (("feed-reader", ["SET feed:x 1", "DEL feed:x", "EVAL return 0"]), ("feed-writer", [])):
            with redis.Redis(port=server.port, username=user, password=user) as client:
                for words in [*others, "GET other:key", "FLUSHALL", "CONFIG GET maxmemory", "KEYS *", "ACL LIST"]:
                    with pytest.raises(redis.exceptions.NoPermissionError):
                        client.execute_command(*words.split(" ", 2))


@contextmanager
def redis_with_tls(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run Redis with a certificate for localhost; yields its port, and the certificate of the authority."""
    key, certificate, port = folder / "key.pem", folder / "cert.pem", free_port()
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([*made, *names], check=True, capture_output=True)
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate))
    options = ("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", *files, "--save", "")
    log = folder / "redis.log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(REDIS), *options, "--dir", str(folder)], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while "Ready to accept" not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if "TLS" in log.read_text() and process.poll() is not None:
            pytest.skip("this redis-server has no TLS")
        yield port, certificate
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(REDIS is None or shutil.which("openssl") is None, reason="needs redis-server and openssl")
def test_over_tls_records_are_written_and_read_by_whom_the_certificate_names(world: list[Any], tmp_path: Path) -> None:
    with redis_with_tls(tmp_path) as (port, authority):
        with redis.Redis(port=port, ssl=True, ssl_ca_certs=str(authority)) as plain:
            for user, rules in RULES.items():
                plain.execute_command("ACL", "SETUSER", user, *rules.replace("PASSWORD", "pass").split())
        (tmp_path / "password").write_text("pass\n")
        end = f"localhost:{port}?ssl_ca_certs={authority}&password_file={tmp_path / 'password'}"
        events = ["--input", tmp_path / "events.avro", "--dead-letters", tmp_path / "dead"]
        ran = run_command("run", *world, "--redis", f"rediss://feed-writer@{end}", *events)
        assert ran.returncode == 0, ran.stderr
        with UserStateClient.from_url(f"rediss://feed-reader@{end}", spec_of(**PARTS)) as client:
            assert client.get_many(["u0", "u1"]).values.tolist() == [[10], [10]]
        for wrong in (end.replace("localhost", "127.0.0.1"), end.partition("?")[0]):
            with (
                UserStateClient.from_url(f"rediss://feed-reader@{wrong}", spec_of(**PARTS)) as client,
                pytest.raises(StoreUnavailable, match="certificate"),
            ):
                client.get("u0")
