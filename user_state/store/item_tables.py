"""Tables of item vectors in Redis: written beside the version in use, swapped by one key, expired.

    {name}:items:{table}                     the pointer: the version in use
    {name}:{{name}:items:{table}}:used       hash: time of the server, microseconds -> the version in use from then on
    {name}:items:{table}:lock                held while somebody changes the table
    {name}:items:{table}:{version}           what the version is (`Manifest`), JSON
    {name}:items:{table}:{version}:gram      D x D float64, little-endian: the sum of z z^T
    {name}:items:{table}:{version}:{chunk}   hash of some 500 items: id -> row (uint32), then D float32, little-endian;
                                             the empty id holds how many items there are, in decimal

An item's chunk is crc32(id as UTF-8) mod the number of chunks. Every key lies in a cluster slot of its own, but the
pointer and its history, which lie in one and change in one step. The history never expires: it is what tells a training
set which version a label of the past was served with. It grows by some 40 bytes each time another version is used.

A version that is being written expires a day later, should its writer die. When all of it is there, it is made to stay,
the pointer is set, and the version that it replaces is given its expiry: readers that are in the middle of it have so
long to finish.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from user_state.embeddings.activation import Activation
from user_state.embeddings.item_vectors import F64
from user_state.embeddings.table import ItemTable
from user_state.errors import InputError, StoreError, shorten
from user_state.store.connection import connect, masked, translated
from user_state.store.keys import (
    item_activations_key,
    item_chunk_key,
    item_gram_key,
    item_lock_key,
    item_pointer_key,
    item_version_key,
)
from user_state.store.script import Script

CHUNK_ITEMS = 512
CHUNKS_AT_ONCE = 8
UNFINISHED_S = 86_400
LOCK_S = 60
ACTIVATION_READS = 3
COUNT_FIELD = b""
"""No item has an empty id."""
Watch = Callable[[Iterable[int]], Iterable[int]]
"""Passes the numbers of chunks on, for progress."""


@dataclass(frozen=True)
class Manifest:
    """What a version in Redis is.

    Attributes:
        version: its name.
        items, dimensions, chunks: how much of what.
        loaded_at_us: when it was written, microseconds UTC.
        replaces: the version in use before it; empty for the first.
    """

    version: str
    items: int
    dimensions: int
    chunks: int
    loaded_at_us: int
    replaces: str

    def to_json(self) -> str:
        """Return it as Redis holds it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Manifest:
        """Return what `to_json` made.

        Raises:
            StoreError: it is no manifest.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as exc:
            raise StoreError(f"invalid manifest of a table version in {where}: {shorten(text)}") from exc


def chunk_of(item: str, chunks: int) -> int:
    """Return the chunk that holds an item."""
    return zlib.crc32(item.encode()) % chunks


def vector_type(dimensions: int) -> np.dtype[Any]:
    """Return the layout of an item's value."""
    return np.dtype([("row", "<u4"), ("vector", "<f4", (dimensions,))])


class ItemTableStore:
    """The item tables of one spec in one Redis, for those who change them; every method raises as `translated` says."""

    def __init__(self, url: str, name: str, *, timeout_s: float = 10.0) -> None:
        self._url = url
        self._name = name
        self._redis: Any = connect(url, timeout_s)
        self._use_table = Script("use_table.lua")

    def __enter__(self) -> ItemTableStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def load(
        self, table: str, vectors: ItemTable, *, at_us: int, grace_s: int = 600, watch: Watch = iter
    ) -> tuple[Manifest, Manifest | None]:
        """Write a table beside the version in use, then swap; return what is in use now, and what was before.

        Args:
            table: its name in the spec.
            vectors: checked by `checked_table`.
            at_us: now, microseconds UTC.
            grace_s: how long the replaced version stays for readers in the middle of it.
            watch: told the numbers of the chunks as they are written.

        Raises:
            InputError: somebody else is changing the table.
        """
        with self._locked(table) as refresh:
            before = self.current(table)
            replaces = "" if before is None or before.version == vectors.version else before.version
            chunks = -(-len(vectors) // CHUNK_ITEMS)
            made = Manifest(vectors.version, len(vectors), vectors.dimensions, chunks, at_us, replaces)
            self._write(table, made, vectors, refresh, watch)
            self._swap(table, made, before, grace_s)
        return made, before

    def use(self, table: str, version: str, *, grace_s: int = 600) -> Manifest:
        """Go back to a version that is still there.

        Raises:
            InputError: there is no such version, or it is no longer whole.
        """
        with self._locked(table):
            before = self.current(table)
            wanted = self.manifest(table, version)
            if wanted is None:
                held = "none is in use" if before is None else f"{before.version} is in use"
                raise InputError(
                    f"expected a version of table {table} that is in {self._where}, got {shorten(version)}: {held};"
                    " a replaced version expires, load its file again"
                )
            missing = self.missing_chunks(table, wanted)
            if missing:
                raise InputError(
                    f"expected all {wanted.chunks} chunks of version {version} of table {table} in {self._where}, got"
                    f" {wanted.chunks - len(missing)}, chunk {missing[0]} missing: load its file again"
                )
            if before is not None and before.version != version:
                wanted = replace(wanted, replaces=before.version)
            self._swap(table, wanted, before, grace_s)
        return wanted

    def current(self, table: str) -> Manifest | None:
        """Return what is in use; None if nothing is."""
        with translated(self._url):
            version = self._redis.get(item_pointer_key(self._name, table))
        return None if version is None else self.manifest(table, version.decode(errors="replace"))

    def manifest(self, table: str, version: str) -> Manifest | None:
        """Return what a version is; None if it is not there."""
        key = item_version_key(self._name, table, version)
        with translated(self._url):
            text = self._redis.get(key)
        return None if text is None else Manifest.from_json(text, key)

    def versions(self, table: str) -> list[tuple[Manifest, int | None]]:
        """Return what is in use and the versions before it that are still there, each with its seconds to live."""
        found: list[tuple[Manifest, int | None]] = []
        at = self.current(table)
        while at is not None and at.version not in {manifest.version for manifest, _ in found}:
            with translated(self._url):
                left = self._redis.ttl(item_version_key(self._name, table, at.version))
            found.append((at, None if left < 0 else left))
            at = self.manifest(table, at.replaces) if at.replaces else None
        return found

    def activations(self, table: str) -> list[Activation]:
        """Return since when which version was in use, the earliest first; none of a table never loaded.

        Raises:
            StoreError: the last of them is not what is in use: somebody else wrote one of both.
        """
        key, version = item_activations_key(self._name, table), b""
        found: list[Activation] = []
        for _ in range(ACTIVATION_READS):  # another version may come into use between the two
            with translated(self._url):
                held = self._redis.hgetall(key)
                version = self._redis.get(item_pointer_key(self._name, table)) or b""
            try:
                found = sorted(Activation(int(at), used.decode("ascii")) for at, used in held.items())
            except ValueError as exc:
                raise StoreError(f"expected times and versions in {key} in {self._where}, got others") from exc
            if not found or found[-1].version.encode() == version:
                return found
        raise StoreError(
            f"expected version {found[-1].version} of table {table} in use in {self._where}, as {key} says, got"
            f" {shorten(version) if version else 'none'}: load the table again"
        )

    def missing_chunks(self, table: str, manifest: Manifest) -> list[int]:
        """Return which chunks of a version are not there, or not whole."""
        missing, items = [], 0
        for batch in _batches(range(manifest.chunks)):
            with translated(self._url):
                pipeline = self._redis.pipeline(transaction=False)
                for chunk in batch:
                    key = item_chunk_key(self._name, table, manifest.version, chunk)
                    pipeline.hget(key, COUNT_FIELD)
                    pipeline.hlen(key)
                answers = pipeline.execute()
            for chunk, count, held in zip(batch, answers[::2], answers[1::2], strict=True):
                if count is None or int(count) != held - 1:
                    missing.append(chunk)
                else:
                    items += int(count)
        return missing if missing or items == manifest.items else [manifest.chunks]

    @property
    def _where(self) -> str:
        return f"Redis at {masked(self._url)}"

    @contextmanager
    def _locked(self, table: str) -> Iterator[Callable[[], None]]:
        """Hold the table's lock; yields what keeps it from expiring."""
        key, token = item_lock_key(self._name, table), uuid.uuid4().hex.encode()
        with translated(self._url):
            if not self._redis.set(key, token, nx=True, ex=LOCK_S):
                raise InputError(
                    f"table {table} in {self._where} is locked by another writer; if it crashed, try again in"
                    f" {LOCK_S} s"
                )

        def refresh() -> None:
            with translated(self._url):
                if self._redis.get(key) != token:
                    raise StoreError(f"lost the lock of table {table} in {self._where} while loading it; try again")
                self._redis.expire(key, LOCK_S)

        try:
            yield refresh
        finally:
            with translated(self._url):
                if self._redis.get(key) == token:
                    self._redis.delete(key)

    def _write(self, table: str, made: Manifest, vectors: ItemTable, refresh: Callable[[], None], watch: Watch) -> None:
        members: list[list[int]] = [[] for _ in range(made.chunks)]
        for row, item in enumerate(vectors.ids):
            members[chunk_of(item, made.chunks)].append(row)
        pipeline = self._redis.pipeline(transaction=False)
        for number, chunk in enumerate(watch(range(made.chunks))):
            key = item_chunk_key(self._name, table, made.version, chunk)
            # The same version means the same bytes, so that readers of it may go on reading meanwhile.
            pipeline.hset(key, mapping=_chunk_fields(vectors, members[chunk]))
            pipeline.expire(key, UNFINISHED_S)
            if number % CHUNKS_AT_ONCE == CHUNKS_AT_ONCE - 1:
                with translated(self._url):
                    pipeline.execute()
                refresh()
        version, gram = self._of_version(table, made)[:2]
        pipeline.set(gram, vectors.gram().astype("<f8").tobytes(), ex=UNFINISHED_S)
        pipeline.set(version, made.to_json(), ex=UNFINISHED_S)
        with translated(self._url):
            pipeline.execute()
        refresh()

    def _swap(self, table: str, made: Manifest, before: Manifest | None, grace_s: int) -> None:
        self._for_each(self._of_version(table, made), lambda pipeline, key: pipeline.persist(key))
        with translated(self._url):
            self._redis.set(item_version_key(self._name, table, made.version), made.to_json())
            keys = item_pointer_key(self._name, table), item_activations_key(self._name, table)
            self._use_table.run(self._redis, keys, made.version)
        if before is not None and before.version != made.version:
            self._for_each(self._of_version(table, before), lambda pipeline, key: pipeline.expire(key, grace_s))

    def _of_version(self, table: str, manifest: Manifest) -> list[str]:
        """Return every key of a version: what it is, its gram matrix, its chunks."""
        version = manifest.version
        chunks = (item_chunk_key(self._name, table, version, chunk) for chunk in range(manifest.chunks))
        return [item_version_key(self._name, table, version), item_gram_key(self._name, table, version), *chunks]

    def _for_each(self, keys: Sequence[str], ask: Callable[[Any, str], Any]) -> None:
        with translated(self._url):
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                ask(pipeline, key)
            pipeline.execute()


def _chunk_fields(vectors: ItemTable, rows: list[int]) -> dict[bytes, bytes]:
    values = np.empty(len(rows), vector_type(vectors.dimensions))
    values["row"], values["vector"] = rows, vectors.vectors[rows]
    fields = {vectors.ids[row].encode(): value.tobytes() for row, value in zip(rows, values, strict=True)}
    return {COUNT_FIELD: str(len(rows)).encode(), **fields}


def read_gram(held: bytes | None, dimensions: int, where: str) -> F64:
    """Return a gram matrix as `load` wrote it.

    Raises:
        StoreError: it is none.
    """
    if held is None or len(held) != 8 * dimensions**2:
        got = "nothing" if held is None else f"{len(held)} bytes"
        raise StoreError(f"expected a matrix of {dimensions} x {dimensions} numbers in {where}, got {got}")
    return np.frombuffer(held, "<f8").reshape(dimensions, dimensions)


def _batches(numbers: range) -> Iterator[range]:
    for begin in range(0, len(numbers), 64):
        yield numbers[begin : begin + 64]
