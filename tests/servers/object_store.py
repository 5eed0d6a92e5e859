"""An object store on loopback for tests: as much of S3's REST interface as reading needs, over real HTTP.

GET /BUCKET?list-type=2&prefix=P&delimiter=/    the keys that begin with P
HEAD, GET /BUCKET/KEY                           a file, or a range of its bytes
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "bucket"
WHEN = "2025-11-24T16:00:00.000Z"
WHEN_HTTP = "Mon, 24 Nov 2025 16:00:00 GMT"


@dataclass
class ObjectStore:
    """A running store.

    Attributes:
        url: where it listens.
        files: by key, in BUCKET.
        asked: every request, `METHOD path`.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What has clients use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _listing(files: dict[str, bytes], prefix: str, delimiter: str) -> bytes:
    inside, folders = [], set()
    for key, body in sorted(files.items()):
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            continue
        inside.append(
            f"<Contents><Key>{key}</Key><LastModified>{WHEN}</LastModified><Size>{len(body)}</Size></Contents>"
        )
    common = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in sorted(folders))
    count = len(inside) + len(folders)
    return (
        f'<?xml version="1.0"?><ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>'
        f"<KeyCount>{count}</KeyCount>{''.join(inside)}{common}</ListBucketResult>"
    ).encode()


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """Start a store on a free loopback port; it ends with the block."""
    made: ObjectStore

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.asked.append(f"{self.command} {self.path}")
            parts = urlsplit(self.path)
            bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if bucket != BUCKET:
                self._send(404, b"")
            elif "list-type" in asked:
                self._send(200, _listing(made.files, asked.get("prefix", ""), asked.get("delimiter", "")))
            elif not key or key not in made.files:
                self._send(200 if not key else 404, b"")
            else:
                self._file(made.files[key])

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def _file(self, body: bytes) -> None:
            wanted = self.headers.get("Range")
            if wanted is None:
                self._send(200, body)
                return
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = body[int(first) : int(last) + 1 if last else None]
            self._send(206, part, {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"})

        def _send(self, code: int, body: bytes, more: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for name, value in {**(more or {}), "Last-Modified": WHEN_HTTP, "ETag": '"1"'}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = ObjectStore(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
