"""A table of item vectors as a reader holds it: whole, or a bounded cache of the items asked for lately.

The pointer is read along with the records. When it names another version, a table that is held whole is loaded in a
thread of its own beside the one in use, checked (its version is the hash of what is in it), and swapped in by one
assignment; a cache starts anew. No reading waits for that, and an answer is made from one version, whatever happens
meanwhile.

A version that cannot be read, because a chunk is missing or is not what its version says, is not used: the one held
before stays, `problem` says why, and the next look at the pointer tries again. At the start it is an error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.embeddings.item_vectors import F32, F64, Bool, ItemVectors, NoVectors
from user_state.embeddings.table import ItemTable
from user_state.errors import InputError, StoreError, UserStateError, shorten
from user_state.store.connection import connect, masked, translated
from user_state.store.item_tables import (
    CHUNKS_AT_ONCE,
    COUNT_FIELD,
    Manifest,
    chunk_of,
    read_gram,
    vector_type,
)
from user_state.store.keys import item_chunk_key, item_gram_key, item_pointer_key, item_version_key
from user_state.store.recent_vectors import RecentVectors, bytes_of

LOAD_TIMEOUT_S = 10.0
CLOSE_S = 5.0


class _Gone(StoreError):
    """A version, or a part of it, is not there."""


@dataclass(frozen=True)
class TableState:
    """What a reader holds of a table.

    Attributes:
        version: in use; empty while there is no table.
        items: how many it has.
        whole: whether all of it is in memory.
        problem: why a newer version is not in use; None if there is none.
    """

    version: str
    items: int
    whole: bool
    problem: str | None


class ServedTable:
    """A `VectorProvider` of one table in Redis.

    Args:
        url, name: where, and of which spec.
        table, dimensions: as the spec declares it.
        memory_bytes: a table that needs more is not held whole but as a cache of that size.
        refresh_s: how often to look at the pointer; 0 for every reading.
        gram: whether readings will ask for the gram matrix, so that it is fetched along with a version.
        timeout_s: how long a reading may wait for items that a cache lacks; loading a table whole takes its time.
        version: read this one and no other, if set.
    """

    def __init__(
        self,
        url: str,
        name: str,
        table: str,
        dimensions: int,
        *,
        memory_bytes: int,
        refresh_s: float,
        gram: bool = False,
        timeout_s: float = LOAD_TIMEOUT_S,
        version: str | None = None,
    ) -> None:
        self._source = _Source(url, name, table, dimensions, timeout_s)
        self._pointer = item_pointer_key(name, table)
        self._dimensions = dimensions
        self._memory_bytes, self._refresh_s, self._pinned, self._gram = memory_bytes, refresh_s, version, gram
        self._held: ItemTable | _Cache | None = None
        self._problem: str | None = None
        self._look_at_s = 0.0
        self._changing = threading.Lock()
        self._loader: threading.Thread | None = None

    @property
    def state(self) -> TableState:
        """What is held now."""
        held = self._held
        if held is None:
            return TableState("", 0, True, self._problem)
        return TableState(held.version, len(held), isinstance(held, ItemTable), self._problem)

    @property
    def whole(self) -> ItemTable | None:
        """The table, if one is held whole."""
        return self._held if isinstance(self._held, ItemTable) else None

    def start(self) -> None:
        """Load what is in use, before anybody asks.

        Raises:
            InputError: the version asked for is not there.
            StoreUnavailable, StoreError: it cannot be read.
        """
        with self._changing:
            self._take(self._pinned or self._source.pointer())

    def keys(self, now_s: float) -> list[str]:
        """Return the pointer when it is time to look at it."""
        if self._pinned is not None or now_s < self._look_at_s:
            return []
        self._look_at_s = now_s + self._refresh_s
        return [self._pointer]

    def vectors(self, ids: Sequence[str], values: Sequence[bytes | None]) -> ItemVectors:
        """See `VectorProvider.vectors`."""
        if values and values[0] is not None:
            self._follow(values[0].decode(errors="replace"))
        for attempt in range(3):
            held = self._held
            if held is None:
                return NoVectors(self._dimensions)
            try:
                return held if isinstance(held, ItemTable) else held.holding(ids)
            except _Gone:
                with self._changing:
                    now = self._pinned or self._source.pointer()
                    if attempt == 2 or now == held.version or now is None:
                        raise
                    self._take(now)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connections; a load that is under way is given up."""
        self._source.closed = True
        if self._loader is not None:
            self._loader.join(CLOSE_S)
        self._source.close()

    def _follow(self, version: str) -> None:
        """Take another version, beside the one in use."""
        held = self._held
        if held is not None and held.version == version:
            self._problem = None
        elif self._changing.acquire(blocking=False):
            self._loader = threading.Thread(target=self._load_beside, args=(version,), daemon=True)
            self._loader.start()

    def _load_beside(self, version: str) -> None:
        try:
            self._take(version)
        except UserStateError as exc:
            self._problem = str(exc)
        finally:
            self._changing.release()

    def _take(self, version: str | None) -> None:
        """Load a version and put it in use; what is held stays if that fails."""
        for _ in range(2):
            if version is None or (self._held is not None and self._held.version == version):
                return
            try:
                manifest = self._source.manifest(version)
                if bytes_of(manifest.items, manifest.dimensions) > self._memory_bytes:
                    cache = _Cache(self._source, manifest, self._memory_bytes)
                    if self._gram:
                        cache.gram()
                    self._held = cache
                else:
                    self._held = self._source.whole(manifest)
                self._problem = None
            except _Gone as exc:
                if self._pinned is not None:
                    raise InputError(str(exc)) from exc
                # It may have been replaced, and have expired, since we learned of it.
                newer = self._source.pointer()
                if newer == version or newer is None:
                    raise
                version = newer
            else:
                return
        raise StoreError(
            f"every version of {self._source.where} was replaced before it was loaded: load new versions less often"
        )


class _Source:
    """Reads a table of one spec from Redis."""

    def __init__(self, url: str, name: str, table: str, dimensions: int, timeout_s: float) -> None:
        self._url, self._name, self._table, self._dimensions = url, name, table, dimensions
        self.where = f"table {table} in Redis at {masked(url)}"
        self.closed = False
        self._redis: Any = connect(url, LOAD_TIMEOUT_S)
        self._quick: Any = connect(url, timeout_s)

    def close(self) -> None:
        self._redis.close()
        self._quick.close()

    def pointer(self) -> str | None:
        with translated(self._url):
            held = self._redis.get(item_pointer_key(self._name, self._table))
        return None if held is None else str(held.decode(errors="replace"))

    def manifest(self, version: str) -> Manifest:
        key = item_version_key(self._name, self._table, version)
        with translated(self._url):
            text = self._redis.get(key)
        if text is None:
            raise _Gone(f"expected version {shorten(version)} of {self.where}, got none: it is unknown, or has expired")
        manifest = Manifest.from_json(text, key)
        if manifest.dimensions != self._dimensions:
            raise StoreError(
                f"expected {self._dimensions} dimensions, as the spec says, of {self.where}, got {manifest.dimensions}"
            )
        return manifest

    def whole(self, manifest: Manifest) -> ItemTable:
        """Return all of a version."""
        ids: list[str] = [""] * manifest.items
        vectors = np.empty((manifest.items, manifest.dimensions), np.float32)
        filled = np.zeros(manifest.items, np.int64)
        for chunk, fields in self._chunks(manifest):
            held = self._checked(manifest, chunk, fields.pop(COUNT_FIELD, None), len(fields))
            values = self._values(manifest, chunk, list(fields.values()))
            if held and int(values["row"].max()) >= manifest.items:
                raise self._broken(manifest, chunk, "rows beyond the table")
            vectors[values["row"]] = values["vector"]
            np.add.at(filled, values["row"], 1)
            for row, item in zip(values["row"].tolist(), fields, strict=True):
                ids[row] = item.decode(errors="replace")
        table = ItemTable(ids, vectors)
        if not (filled == 1).all() or table.version != manifest.version:
            raise StoreError(
                f"expected version {manifest.version} of {self.where}, got other content under its name: load it again"
            )
        return table

    def some(self, manifest: Manifest, ids: Sequence[str]) -> list[F32 | None]:
        """Return the vectors of these items in one round trip, None for those that the version does not have."""
        of_chunk: dict[int, list[str]] = {}
        for item in ids:
            of_chunk.setdefault(chunk_of(item, manifest.chunks), []).append(item)
        with translated(self._url):
            pipeline = self._quick.pipeline(transaction=False)
            for chunk, items in of_chunk.items():
                key = item_chunk_key(self._name, self._table, manifest.version, chunk)
                pipeline.hmget(key, [COUNT_FIELD, *(item.encode() for item in items)])
            answers = pipeline.execute()
        found: dict[str, F32 | None] = {}
        for (chunk, items), (count, *values) in zip(of_chunk.items(), answers, strict=True):
            if count is None:
                raise self._missing(manifest, chunk)
            there = [item for item, value in zip(items, values, strict=True) if value is not None]
            held = self._values(manifest, chunk, [value for value in values if value is not None])
            found.update(dict.fromkeys(items))
            found.update(zip(there, held["vector"], strict=True))
        return [found[item] for item in ids]

    def gram(self, manifest: Manifest) -> F64:
        """Return the gram matrix of a version."""
        with translated(self._url):
            held = self._quick.get(item_gram_key(self._name, self._table, manifest.version))
        return read_gram(held, manifest.dimensions, self.where)

    def _chunks(self, manifest: Manifest) -> Iterator[tuple[int, dict[bytes, bytes]]]:
        for begin in range(0, manifest.chunks, CHUNKS_AT_ONCE):
            batch = range(begin, min(begin + CHUNKS_AT_ONCE, manifest.chunks))
            if self.closed:
                raise StoreError(f"the client of {self.where} was closed while it loaded")
            with translated(self._url):
                pipeline = self._redis.pipeline(transaction=False)
                for chunk in batch:
                    pipeline.hgetall(item_chunk_key(self._name, self._table, manifest.version, chunk))
                answers = pipeline.execute()
            yield from zip(batch, answers, strict=True)

    def _checked(self, manifest: Manifest, chunk: int, count: bytes | None, held: int) -> int:
        if count is None:
            raise self._missing(manifest, chunk)
        if not count.isdigit() or int(count) != held:
            raise self._broken(manifest, chunk, f"{held} items")
        return held

    def _values(self, manifest: Manifest, chunk: int, values: list[bytes]) -> Any:
        layout = vector_type(manifest.dimensions)
        if any(len(value) != layout.itemsize for value in values):
            raise self._broken(manifest, chunk, "a vector of another length")
        return np.frombuffer(b"".join(values), layout)

    def _missing(self, manifest: Manifest, chunk: int) -> _Gone:
        return _Gone(
            f"expected chunk {chunk} of the {manifest.chunks} of version {manifest.version} of {self.where}, got none:"
            " was it evicted or deleted? load the table again"
        )

    def _broken(self, manifest: Manifest, chunk: int, got: str) -> StoreError:
        return StoreError(
            f"expected chunk {chunk} of version {manifest.version} of {self.where} whole, got {got}: load it again"
        )


def table_of_version(url: str, name: str, table: str, dimensions: int, version: str) -> ItemTable | None:
    """Return a version of a table, whether or not it is in use; None if it is no longer there.

    Raises:
        StoreUnavailable, StoreError: as `translated`; or what is there is damaged.
    """
    source = _Source(url, name, table, dimensions, LOAD_TIMEOUT_S)
    try:
        return source.whole(source.manifest(version))
    except _Gone:
        return None
    finally:
        source.close()


class _Cache:
    """The items of one version that were asked for lately."""

    def __init__(self, source: _Source, manifest: Manifest, memory_bytes: int) -> None:
        self._source, self._manifest = source, manifest
        self._recent = RecentVectors(lambda ids: source.some(manifest, ids), manifest.dimensions, memory_bytes)
        self._gram: F64 | None = None

    def __len__(self) -> int:
        return self._manifest.items

    @property
    def version(self) -> str:
        return self._manifest.version

    def holding(self, ids: Sequence[str]) -> _Part:
        """Return the vectors of these items, of which those not held are fetched."""
        return _Part(self, self._recent.holding(ids))

    def gram(self) -> F64:
        if self._gram is None:
            self._gram = self._source.gram(self._manifest)
        return self._gram


@dataclass(frozen=True)
class _Part:
    """Some items of a version; an `ItemVectors`."""

    cache: _Cache
    held: ItemTable

    @property
    def version(self) -> str:
        return self.cache.version

    @property
    def dimensions(self) -> int:
        return self.held.dimensions

    def lookup(self, ids: Sequence[str]) -> tuple[F32, Bool]:
        return self.held.lookup(ids)

    def gram(self) -> F64:
        return self.cache.gram()
