"""Records in Redis, or whatever speaks its protocol: one pipelined read, one pipelined compare-and-set a batch.

The compare-and-set is a Lua script a user (replace.lua): record and remembered ids change together or not at all.
With durability `fsync` the batch ends with WAITAOF, with `replica` with WAIT, on the same connection; a server that
does not confirm in time counts as unavailable, and the batch is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from user_state.core.layout import Layout
from user_state.errors import StoreError, StoreUnavailable
from user_state.store.connection import connect, masked, translate_response, translated
from user_state.store.keys import fence_key, layouts_key, record_key, seen_key
from user_state.store.layouts import fetch_layout
from user_state.store.script import Script
from user_state.store.store import Replacement, Stored

Durability = Literal["none", "fsync", "replica"]
CONFIRM_MS = 5000
FENCE_MS = 60_000


class RedisStateStore:
    """The records of one spec in one Redis."""

    def __init__(self, url: str, name: str, *, durability: Durability = "none", timeout_s: float = 10.0) -> None:
        self._url = url
        self._where = f"Redis at {masked(url)}"
        self._name = name
        self._durability = durability
        self._redis: Any = connect(url, timeout_s)
        self._script = Script("replace.lua")

    def __repr__(self) -> str:
        return f"RedisStateStore({masked(self._url)!r}, {self._name!r}, durability={self._durability!r})"

    def check(self) -> None:
        """Find out whether the server can do what will be asked of it.

        Raises:
            StoreUnavailable, StoreError: it cannot; the message says why.
        """
        if self._durability != "none" and urlsplit(self._url).scheme.endswith("-cluster"):
            raise StoreError(
                f"{self._where} is a cluster, where --durability {self._durability} would have to wait for every node;"
                " that is not supported yet: use --durability none"
            )
        with translated(self._url):
            self._redis.ping()
            info = self._redis.info("server")
            if self._durability == "fsync":
                self._check_fsync()
            if self._durability == "replica" and not self._redis.info("replication").get("connected_slaves"):
                raise StoreUnavailable(f"{self._where} has no connected replica, which --durability replica waits for")
        version = str(info.get("redis_version", "0")) if isinstance(info, dict) else "0"
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < (6, 2) and "." in version:
            raise StoreError(f"expected Redis 6.2 or newer (SET with PXAT), got {version} at {masked(self._url)}")

    def _check_fsync(self) -> None:
        if not self._redis.info("persistence").get("aof_enabled"):
            raise StoreError(
                f"{self._where} keeps no append-only file, which --durability fsync needs:"
                " set `appendonly yes`, or use --durability none"
            )
        self._redis.execute_command("WAITAOF", 0, 0, 1)

    def read(self, users: Sequence[str]) -> list[Stored]:
        """See `StateStore.read`."""
        with translated(self._url):
            pipeline = self._redis.pipeline(transaction=False)
            for user in users:
                pipeline.get(record_key(self._name, user))
                pipeline.get(seen_key(self._name, user))
            answers = pipeline.execute()
        return [Stored(record, seen) for record, seen in zip(answers[::2], answers[1::2], strict=True)]

    def replace(self, replacements: Sequence[Replacement]) -> list[bool]:
        """See `StateStore.replace`."""
        answers = self._run(replacements)
        # Those that ran have run; running them again is refused by their versions, so only the others are repeated.
        if again := self._script.forgotten(answers):
            for index, answer in zip(again, self._run([replacements[i] for i in again]), strict=True):
                answers[index] = answer
        for answer in answers:
            if isinstance(answer, RedisError):
                raise translate_response(self._where, answer) from answer
        return [answer == 1 for answer in answers]

    def _run(self, replacements: Sequence[Replacement]) -> list[Any]:
        with translated(self._url):
            self._script.load(self._redis)
            pipeline = self._redis.pipeline(transaction=False)
            for r in replacements:
                keys = (record_key(self._name, r.user), seen_key(self._name, r.user))
                self._script.call(pipeline, keys, r.expected, r.record, r.seen, r.expire_at_ms)
            self._await_durability(pipeline)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        if self._durability != "none":
            self._check_confirmed(answers.pop())
        return answers

    def confirm(self) -> None:
        """See `StateStore.confirm`."""
        if self._durability == "none":
            return
        with translated(self._url):
            pipeline = self._redis.pipeline(transaction=False)
            # A connection waits for its own last write, so it makes one; whatever was read had been written before.
            pipeline.set(fence_key(self._name), b"", px=FENCE_MS)
            self._await_durability(pipeline)
            written, confirmed = pipeline.execute(raise_on_error=False)
        if isinstance(written, RedisError):
            raise translate_response(self._where, written) from written
        self._check_confirmed(confirmed)

    def _await_durability(self, pipeline: Any) -> None:
        if self._durability == "fsync":
            pipeline.execute_command("WAITAOF", 1, 0, CONFIRM_MS)
        elif self._durability == "replica":
            pipeline.execute_command("WAIT", 1, CONFIRM_MS)

    def _check_confirmed(self, answer: Any) -> None:
        if isinstance(answer, RedisError):
            raise translate_response(self._where, answer) from answer
        confirmed = answer[0] if isinstance(answer, list) else answer
        if confirmed < 1:
            raise StoreUnavailable(f"{self._where} did not confirm {self._durability} within {CONFIRM_MS} ms")

    def layout(self, fingerprint: bytes) -> Layout | None:
        """See `StateStore.layout`."""
        return fetch_layout(self._redis, self._url, self._name, fingerprint)

    def register(self, layout: Layout) -> None:
        """See `StateStore.register`."""
        with translated(self._url):
            self._redis.hset(layouts_key(self._name), layout.fingerprint.hex(), layout.to_json())

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
