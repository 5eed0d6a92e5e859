"""Records in Redis, or whatever speaks its protocol: one pipelined read, one pipelined compare-and-set a batch.

The compare-and-set is a Lua script (replace.lua): record and remembered ids change together or not at all, and only
while no newer spec writes. On a cluster, where the registry lies on another node than most users, the spec's
epoch is compared by the epoch beside each user's ids, and once more for the batch when it is written.

Every batch also counts itself (`user_state.store.beat`), which tells whether the server has lost data.

With durability `fsync` the batch ends with WAITAOF, with `replica` with WAIT, on the same connection; a server that
does not confirm in time counts as unavailable, and the batch is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from redis.exceptions import RedisError, ResponseError

from user_state.errors import CodecError, StoreError, StoreUnavailable
from user_state.plan.layout import Layout
from user_state.state.envelope import version_of
from user_state.state.remembered_ids import LostIdsError, ids_beside
from user_state.store.beat import Beat
from user_state.store.connection import broke_off, connect, masked, translate_response, translated
from user_state.store.keys import probe_keys, record_and_seen_keys
from user_state.store.registry import SUPERSEDED, UNREGISTERED, Registry, Writer
from user_state.store.replace_script import TURN_TAKEN, ReplaceScript
from user_state.store.store import Answer, Refused, Replaced, Replacement, Stored

Durability = Literal["none", "fsync", "replica"]
CONFIRM_MS = 5000
KEYS_A_READ = 128
"""Keys of one command, which the server does not interrupt."""
SINGLY_AFTER = 3
"""Batches in a row whose connection broke; then users are written one by one, to find the one that breaks it."""
SUSPICIOUS_BYTES = 64 << 10
"""No server or proxy breaks off because of less; then it is the network."""


class RedisStateStore:
    """The records of one spec in one Redis.

    Args:
        url: where.
        name: of the spec.
        durability: what a batch waits for.
        timeout_s: longest a call takes.
        client: what to call instead of connecting to `url`.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        durability: Durability = "none",
        timeout_s: float = 10.0,
        client: Any = None,
    ) -> None:
        self._url = url
        self._where = f"Redis at {masked(url)}"
        self._name = name
        self._durability = durability
        self._redis: Any = connect(url, timeout_s) if client is None else client
        self._cluster = urlsplit(url).scheme.endswith("-cluster")
        self._registry = Registry(self._redis, url, name)
        self._beat = Beat(self._redis, name)
        self._script = ReplaceScript(name, self._beat.worker, None if self._cluster else self._registry.key)
        self._failed = 0

    def __repr__(self) -> str:
        return f"RedisStateStore({masked(self._url)!r}, {self._name!r}, durability={self._durability!r})"

    @property
    def beat_key(self) -> str:
        """Where the server keeps, for some days, how many batches this store has written."""
        return self._beat.key

    @property
    def registry(self) -> Registry:
        """Where specs and layouts are registered."""
        return self._registry

    def check(self, *, may_evict: bool = False) -> None:
        """Find out whether the server can do what will be asked of it.

        Args:
            may_evict: take a server that may evict records to make room.

        Raises:
            StoreUnavailable, StoreError: it cannot; the message says why.
        """
        if self._durability != "none" and self._cluster:
            raise StoreError(
                f"{self._where} is a cluster, where --durability {self._durability} would have to wait for every node;"
                " that is not supported yet: use --durability none"
            )
        with translated(self._url):
            self._redis.ping()
            info = self._redis.info("server")
            memory = self._redis.info("memory")
            if self._durability == "fsync":
                self._check_fsync()
            if self._durability == "replica" and not self._redis.info("replication").get("connected_slaves"):
                raise StoreUnavailable(f"{self._where} has no connected replica, which --durability replica waits for")
        version = str(info.get("redis_version", "0")) if isinstance(info, dict) else "0"
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < (6, 2) and "." in version:
            raise StoreError(f"expected Redis 6.2 or newer (SET with PXAT), got {version} at {masked(self._url)}")
        policies = {str(node.get("maxmemory_policy", "noeviction")) for node in _nodes(memory)} - {"noeviction"}
        if policies and not may_evict:
            raise StoreError(
                f"expected {self._where} to keep what it is given (maxmemory-policy noeviction), got"
                f" {sorted(policies)[0]}, which drops users' records and remembered ids when memory is full:"
                " `CONFIG SET maxmemory-policy noeviction`, or run with --allow_eviction"
            )

    def _check_fsync(self) -> None:
        try:
            self._redis.execute_command("WAITAOF", 0, 0, 1)
        except ResponseError as exc:
            if "unknown command" not in str(exc).lower():
                raise
            version = self._redis.info("server").get("redis_version", "of an unknown version")
            raise StoreError(
                f"{self._where} is Redis {version}, which has no WAITAOF: --durability fsync needs Redis 7.2 or newer,"
                " or Valkey; use one of these, or --durability none"
            ) from exc
        if not self._redis.info("persistence").get("aof_enabled"):
            raise StoreError(
                f"{self._where} keeps no append-only file, which --durability fsync needs:"
                " set `appendonly yes`, or use --durability none"
            )

    def claim(self, writer: Writer) -> None:
        """See `StateStore.claim`."""
        self._registry.claim(writer)

    def read(self, users: Sequence[str]) -> list[Stored]:
        """See `StateStore.read`."""
        keys = [key for user in users for key in record_and_seen_keys(self._name, user)]
        answers = self._get(keys) if self._cluster else self._get_together(keys)
        self._raise_what_is_no_users_fault(answers)
        return [_stored(record, seen) for record, seen in zip(answers[::2], answers[1::2], strict=True)]

    def _get_together(self, keys: Sequence[str]) -> list[Any]:
        """Read many keys a command, which takes a third of the time.

        MGET takes a key of another type for none, so the keys are counted too. Where the server has more keys than
        values, or refuses a key, each is read by itself, which says whose it is.
        """
        begins = range(0, len(keys), KEYS_A_READ)
        with translated(self._url):
            pipeline = self._redis.pipeline(transaction=False)
            for begin in begins:
                some = keys[begin : begin + KEYS_A_READ]
                pipeline.execute_command("MGET", *some)
                pipeline.execute_command("EXISTS", *some)
            found = pipeline.execute(raise_on_error=False)
        answers: list[Any] = []
        for begin, values, held in zip(begins, found[::2], found[1::2], strict=True):
            is_whole = isinstance(values, list) and held == len(values) - values.count(None)
            answers += values if is_whole else self._get(keys[begin : begin + KEYS_A_READ])
        return answers

    def _get(self, keys: Sequence[str]) -> list[Any]:
        with translated(self._url):
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.get(key)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """See `StateStore.replace`."""
        if not replacements and self._durability == "none" and self._beat.is_known:
            return Replaced([])
        try:
            answers = self._run(replacements)
        except StoreUnavailable as exc:
            self._failed = self._failed + 1 if broke_off(exc) else 0
            if self._failed < SINGLY_AFTER or not replacements:
                raise
            answers = self._run_singly(replacements)
        self._failed = 0
        return Replaced([_meaning(answer) for answer in answers], self._beat.take_went_back())

    def _run(self, replacements: Sequence[Replacement]) -> list[Any]:
        """Return the script's answers, or what the server refused for one user."""
        answers = self._run_once(replacements)
        # What has run has run; running it again is refused by its version, so only the others are repeated.
        self._repeat(self._script.forgotten(answers), replacements, answers)
        self._repeat([i for i, answer in enumerate(answers) if answer == TURN_TAKEN], replacements, answers, turns=True)
        registered = [index for index, answer in enumerate(answers) if answer in (SUPERSEDED, UNREGISTERED)]
        if registered:
            self._registry.restore()
            self._repeat(registered, replacements, answers, turns=True)
            if SUPERSEDED in answers or UNREGISTERED in answers:
                raise self._registry.superseded(max(self._registry.epoch(), self._registry.claimed.epoch))
        self._raise_what_is_no_users_fault(answers)
        return answers

    def _repeat(
        self, indices: Sequence[int], replacements: Sequence[Replacement], answers: list[Any], *, turns: bool = False
    ) -> None:
        if indices:
            again = self._run_once([replacements[i] for i in indices], turns=turns)
            for index, answer in zip(indices, again, strict=True):
                answers[index] = answer

    def _run_once(self, replacements: Sequence[Replacement], *, turns: bool = False) -> list[Any]:
        epoch = self._registry.claimed.epoch
        with translated(self._url):
            self._script.load(self._redis)
            pipeline = self._redis.pipeline(transaction=False)
            sizes = self._script.add(pipeline, replacements, epoch, turns=turns)
            if self._cluster:
                pipeline.hget(self._registry.key, "epoch")
            self._beat.add(pipeline)
            self._await_durability(pipeline)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        confirmed = answers.pop() if self._durability != "none" else [1]
        counted = answers.pop()
        if isinstance(confirmed, RedisError):
            self._plain(counted)  # a server that has become a replica says so here, and that passes
        self._check_confirmed(confirmed)
        with translated(self._url):
            self._beat.check(counted)
        if self._cluster and int(self._plain(answers.pop()) or 0) != epoch:
            # Users on other nodes cannot be compared with the registry while they are written, so that is done after.
            self._registry.restore()
        return self._script.answers(answers, sizes)

    def _run_singly(self, replacements: Sequence[Replacement]) -> list[Any]:
        """Write one by one, to find the user whose bytes break the connection.

        Raises:
            StoreUnavailable: the server is away, whatever is written.
        """
        return [self._run_alone(replacement) for replacement in replacements]

    def _run_alone(self, replacement: Replacement) -> Any:
        for _ in range(SINGLY_AFTER):
            try:
                return self._run([replacement])[0]
            except StoreUnavailable as exc:
                if not broke_off(exc) or len(replacement.record or b"") + len(replacement.seen) < SUSPICIOUS_BYTES:
                    raise
                problem = exc
                self._probe()
        return ResponseError(f"the connection breaks whenever this record is written: {problem}")

    def _raise_what_is_no_users_fault(self, answers: Sequence[Any]) -> None:
        """Raise what was answered for one user and holds for all.

        Raises:
            StoreUnavailable, StoreError: as `translate_response`.
        """
        errors = [answer for answer in answers if isinstance(answer, RedisError)]
        if not errors:
            return
        for error in errors:
            if isinstance(problem := translate_response(self._where, error), StoreUnavailable):
                raise problem from error
        self._probe()

    def _probe(self) -> None:
        """Do what is done for a user with keys of nobody's: what is refused for these too is refused for everybody."""
        keys = probe_keys(self._name)
        with translated(self._url):
            self._redis.get(keys[0])
            soon_ms = int(time.time() * 1000) + 1000
            values = (b"", b"-" * 18, b"-" * 17, soon_ms)
            self._script.run(self._redis, keys, self._registry.epoch_claimed, values)
            self._redis.delete(*keys)

    def _await_durability(self, pipeline: Any) -> None:
        # A connection waits for its own last write, and the beat is one; whatever was read had been written before.
        if self._durability == "fsync":
            pipeline.execute_command("WAITAOF", 1, 0, CONFIRM_MS)
        elif self._durability == "replica":
            pipeline.execute_command("WAIT", 1, CONFIRM_MS)

    def _check_confirmed(self, answer: Any) -> None:
        self._plain(answer)
        confirmed = answer[0] if isinstance(answer, list) else answer
        if confirmed < 1:
            raise StoreUnavailable(f"{self._where} did not confirm {self._durability} within {CONFIRM_MS} ms")

    def _plain(self, answer: Any) -> Any:
        """Return an answer that is no error.

        Raises:
            StoreUnavailable, StoreError: as `translate_response`.
        """
        if isinstance(answer, RedisError):
            raise translate_response(self._where, answer) from answer
        return answer

    def layout(self, fingerprint: bytes) -> Layout | None:
        """See `StateStore.layout`."""
        return self._registry.layout(fingerprint)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def _stored(record: Any, seen: Any) -> Stored:
    """Return what two answers say of a user."""
    for answer in (record, seen):
        if isinstance(answer, RedisError):
            return Stored(None, None, refused=str(answer))
    try:
        return Stored(record, ids_beside(seen, version_of(record)), lost=record is None and seen is not None)
    except LostIdsError:
        return Stored(record, None, lost=True)
    except CodecError as exc:
        return Stored(record, None, refused=str(exc))


def _meaning(answer: Any) -> Answer | Refused:
    return Refused(str(answer)) if isinstance(answer, RedisError) else Answer(answer)


def _nodes(info: Any) -> list[dict[str, Any]]:
    """Return what each server says: one, or all of a cluster's by name."""
    if not isinstance(info, dict):
        return []
    return [node for node in info.values() if isinstance(node, dict)] or [info]
