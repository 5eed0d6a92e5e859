"""The serving client: what ranking services call to read users' state.

One round trip a call (two, if a table of item vectors is too large to hold and lacks some), finite timeouts, unknown
users get the documented defaults. Values are finished at the moment of reading, by the same function that makes
training sets.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.answers import UserState, UserStateBatch
from user_state.core.compile import compile_plan
from user_state.core.composed_reading import Embeds
from user_state.core.composing import seen_items
from user_state.core.hashed_vectors import hashed_vectors
from user_state.core.histories import Histories
from user_state.core.item_vectors import ItemVectors
from user_state.core.layout import Layout
from user_state.core.outputs import EmbeddingOutput
from user_state.core.plan import Plan
from user_state.errors import InputError, StoreError
from user_state.items.nearest import Nearest, NearestItems
from user_state.items.provider import VectorProvider
from user_state.items.scoring import Scores, cosine, score
from user_state.items.table import ItemTable
from user_state.spec import LoadedSpec, load_spec
from user_state.state.features import Finished, Reader
from user_state.state.records import PackedRecords
from user_state.store.connection import connect, masked
from user_state.store.deadline import within
from user_state.store.keys import record_key
from user_state.store.learned_table import LearnedVectors
from user_state.store.look_up import look_up
from user_state.store.providers import TableReading, open_providers
from user_state.store.registry import Registry
from user_state.store.served_table import ServedTable, TableState

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
At = int | datetime.datetime | None
VERSION_TRIES = 5


UNKNOWN_LAYOUT_S = 5.0
"""For how long a layout that nobody registered is not asked for again."""
FARTHEST_US = 2**61
"""Reading times are less than this."""
MOST_SELECTIONS = 64
"""How many selections of outputs are kept ready."""


@dataclass(frozen=True)
class _Read:
    """Users' outputs as one round trip brought them, and what they were composed of."""

    users: tuple[str, ...]
    at_us: int
    finished: Finished
    histories: Histories | None
    vectors: dict[str, ItemVectors]


class UserStateClient:
    """Reads users' state. Safe to share between threads; close it, or use it in a `with` block."""

    def __init__(
        self,
        redis: Any,
        plan: Plan,
        url: str,
        providers: Mapping[str, VectorProvider] | None = None,
        timeout_s: float = 1.0,
    ) -> None:
        self._redis = redis
        self._process = os.getpid()
        self._timeout_s = timeout_s
        self._providers = {} if providers is None else dict(providers)
        self._searches: dict[str, NearestItems] = {}
        self._plan = plan
        self._url = url
        self._packed = PackedRecords(plan, self, UNKNOWN_LAYOUT_S)
        self._readers: dict[tuple[str, ...] | None, Reader] = {None: Reader(plan, self._packed)}
        self._names = tuple(output.name for output in plan.scalars)
        self._unreadable = 0

    @classmethod
    def from_url(
        cls,
        url: str,
        spec: str | Path | LoadedSpec,
        *,
        timeout_s: float = 1.0,
        items_refresh_s: float = 5.0,
        items_memory_mb: float = 1024,
        item_versions: Mapping[str, str] | None = None,
    ) -> UserStateClient:
        """Return a client for the records of `spec` (a path, or loaded) in the Redis at `url`.

        Args:
            url: where.
            spec: of what.
            timeout_s: how long a call may take in all, with opening a connection if it needs one.
            items_refresh_s: how often to look, in the same round trip as a call's, for a new version of a table of
                item vectors; and how long a vector of a learned table is taken for fresh.
            items_memory_mb: a table that needs more is not held whole but as a cache of that size; items that it lacks
                cost one further round trip.
            item_versions: versions of tables to read whatever is in use, by table.

        Raises:
            SpecError: the spec cannot be used.
            InputError: the URL is no Redis URL, or a version asked for is not there.
            StoreUnavailable, StoreError: a cluster that cannot be reached, or tables of item vectors that cannot be
                read; a single server that holds none is tried at first use.
        """
        loaded = spec if isinstance(spec, LoadedSpec) else load_spec(spec)
        plan = compile_plan(loaded)
        reading = TableReading(timeout_s, items_refresh_s, int(items_memory_mb * 2**20), dict(item_versions or {}))
        providers = open_providers(url, plan, reading)
        client = cls(connect(url, timeout_s), plan, url, providers, timeout_s)
        try:
            for provider in providers.values():
                provider.start()
        except BaseException:
            client.close()
            raise
        return client

    def __repr__(self) -> str:
        return f"UserStateClient({masked(self._url)!r}, spec={self._plan.name!r})"

    def __enter__(self) -> UserStateClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for provider in self._providers.values():
            provider.close()
        self._redis.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `UserStateBatch.values`."""
        return self._names

    @property
    def unreadable_records(self) -> int:
        """How many users' records could not be read since the client was opened, in all calls together."""
        return self._unreadable

    def get(self, user: str, at: At = None, *, select: Collection[str] | None = None) -> UserState:
        """Return one user's state; see `get_many`."""
        return self.get_many([user], at, select=select)[0]

    def get_many(self, users: Iterable[str], at: At = None, *, select: Collection[str] | None = None) -> UserStateBatch:
        """Return the state of several users in one round trip, or one for every thousand.

        A record that cannot be read, since it is damaged or of a layout that nobody registered, costs nobody else
        theirs: its user gets the defaults, and `errors` says why.

        Args:
            users: their ids; unknown ones give the defaults.
            at: when windows end: microseconds UTC, an aware datetime, or now. Right for any time no more than the
                spec's `max_clock_skew` before a user's newest event.
            select: names of the outputs wanted, which come in the spec's order; None for all. Fewer take less time, and
                what is damaged in parts of a record that none of them is read from does not show.

        Raises:
            InputError: `users` is one string, `at` is a datetime without a time zone, or there is no such output.
            StoreUnavailable: Redis did not answer in time; of a cluster, no node that was asked did.
            StoreError: Redis refused.
        """
        read = self._read(users, at, self._reader_of(select))
        finished = read.finished
        return UserStateBatch(
            users=read.users,
            names=finished.names,
            values=finished.values,
            present=finished.present,
            as_of_us=read.at_us,
            last_event_us=finished.last_event_us,
            arrays=finished.arrays,
            sequences=finished.sequences,
            embeddings=finished.embeddings,
            item_versions=finished.item_versions,
            missing_items=finished.missing_items,
            errors={read.users[index]: reason for index, reason in finished.errors.items()},
        )

    def item_tables(self) -> dict[str, TableState]:
        """Return what is held of each table of item vectors, and why a newer version is not in use."""
        return {name: held.state for name, held in self._providers.items() if isinstance(held, ServedTable)}

    def item_vectors(self, table: str, items: Sequence[str]) -> ItemVectors:
        """Return the vectors of these items in the version of a table that is in use.

        Raises:
            InputError: the spec's embeddings use no such table.
            StoreUnavailable, StoreError: they cannot be read.
        """
        if table not in self._providers:
            known = ", ".join(self._providers) or "it has none"
            raise InputError(f"expected a table that the spec's embeddings use ({known}), got {table!r}")
        provider = self._providers[table]
        keys = [key.encode() for key in provider.keys(time.monotonic())]
        return provider.vectors(items, _values(look_up(self._connected(), self._url, keys, self._timeout_s)))

    def score(self, users: Sequence[str], items: Sequence[str], *, embedding: str, at: At = None) -> Scores:
        """Return how well items fit users: inner products of their vectors, of interests the greatest.

        Args:
            users: their ids.
            items: candidates.
            embedding: an output such as `taste_7d`.
            at: as for `get_many`.

        Raises:
            InputError: there is no such embedding.
            StoreUnavailable, StoreError: as `get_many`.
        """
        output = self._embedding(embedding)
        if isinstance(output, EmbeddingOutput):
            vectors, read = self._vectors(users, output, at)
            scores = score(vectors, hashed_vectors(items, output.dimensions))
            return Scores(read.users, tuple(items), scores, np.ones(len(items), np.bool_), "")
        users = _listed(users)
        for _ in range(VERSION_TRIES):
            vectors, read = self._vectors(users, output, at)
            held = self._providers[output.table].vectors(items, [])
            if held.version == read.vectors[output.table].version:  # none came in between
                of_items, known = held.lookup(items)
                return Scores(read.users, tuple(items), score(vectors, of_items), known, held.version)
        raise StoreError(f"expected table {output.table} to stay the same for a call, got another version at every try")

    def nearest_items(
        self,
        user: str,
        k: int,
        *,
        embedding: str,
        exclude_seen: bool = False,
        exclude: Sequence[str] = (),
        at: At = None,
    ) -> Nearest:
        """Return the items of the embedding's table with the greatest inner products with a user's vector.

        Args:
            user: whose.
            k: how many.
            embedding: an output over a table, such as `taste_7d`.
            exclude_seen: leave out the items that the vector is composed of.
            exclude: further items to leave out.
            at: as for `get_many`.

        Raises:
            InputError: there is no such embedding, it is over no table, or the table is not held whole.
            StoreUnavailable, StoreError: as `get_many`.
        """
        output = self._embedding(embedding)
        if isinstance(output, EmbeddingOutput):
            raise InputError(f"expected an embedding over a table of items (`vectors:`), got {embedding}, over hashes")
        if k < 1:
            raise InputError(f"expected to be asked for 1 item at least, got {k}")
        vectors, read = self._vectors([user], output, at)
        table = read.vectors[output.table]
        if not isinstance(table, ItemTable):
            got = "none in Redis: user-state items load" if not table.version else "one of more than items_memory_mb"
            got = "one that the pipeline learns" if isinstance(table, LearnedVectors) else got
            raise InputError(f"expected table {output.table} whole in memory to find the nearest in, got {got}")
        vectors = vectors.reshape(-1, output.dimensions)
        seen = seen_items(read.histories, output.history) if exclude_seen and read.histories else []
        return self._search(output.table, table).search(vectors[vectors.any(axis=1)], k, [*seen, *exclude])

    def nearest_users(
        self, user: str, k: int, among: Sequence[str], *, embedding: str, at: At = None
    ) -> list[tuple[str, float]]:
        """Return the users among those given whose vectors have the greatest cosines with a user's, with the cosines.

        Users without a vector are left out; of interests the nearest pair counts.

        Raises:
            InputError: there is no such embedding.
            StoreUnavailable, StoreError: as `get_many`.
        """
        output = self._embedding(embedding)
        others = [other for other in dict.fromkeys(among) if other != user]
        vectors, _ = self._vectors([user, *others], output, at)
        cosines = cosine(vectors[0], vectors[1:])
        order = np.argsort(-cosines, kind="stable")[:k].tolist()
        return [(others[index], float(cosines[index])) for index in order if np.isfinite(cosines[index])]

    def _embedding(self, name: str) -> Embeds:
        for output in self._plan.embeddings:
            if output.name == name:
                return output
        known = ", ".join(output.name for output in self._plan.embeddings) or "it has none"
        raise InputError(f"expected an embedding of the spec ({known}), got {name!r}")

    def _vectors(self, users: Iterable[str], output: Embeds, at: At) -> tuple[npt.NDArray[np.float32], _Read]:
        """Return one embedding of users, and what it was read from."""
        read = self._read(users, at, self._reader_of([output.name]))
        return read.finished.embeddings[output.name], read

    def _search(self, name: str, table: ItemTable) -> NearestItems:
        search = self._searches.get(name)
        if search is None or search.version != table.version:
            search = self._searches[name] = NearestItems(table)
        return search

    def _connected(self) -> Any:
        """Return the connections; a process that was forked opens its own.

        redis-py does the same, but waits for a lock for it, which the thread that held it did not bring along.
        """
        if self._process != os.getpid():
            self._redis, self._process = connect(self._url, self._timeout_s), os.getpid()
        return self._redis

    def _reader_of(self, select: Collection[str] | None) -> Reader:
        chosen = None if select is None else tuple(dict.fromkeys(_names(select)))
        reader = self._readers.get(chosen)
        if reader is None:
            reader = Reader(self._plan, self._packed, chosen)
            if len(self._readers) >= MOST_SELECTIONS:
                self._readers = {None: self._readers[None]}
            self._readers[chosen] = reader
        return reader

    def _read(self, users: Iterable[str], at: At, reader: Reader) -> _Read:
        """Read records, and pointers of tables when it is time, in one round trip; finish them."""
        listed = _listed(users)
        at_us = _microseconds(at)
        with within(self._timeout_s):
            answers, told = self._fetch(listed, reader)
            blobs = [None if isinstance(answer, StoreError) else answer for answer in answers]
            histories = reader.histories(blobs)
            vectors = {}
            if histories is not None:
                asked = reader.items_of(histories)
                vectors = {table: self._providers[table].vectors(asked[table], told[table]) for table in asked}
            finished = reader.features(blobs, at_us, histories, vectors)
        for index, answer in enumerate(answers):
            if isinstance(answer, StoreError):
                finished.errors[index] = str(answer)
        self._unreadable += len(finished.errors)
        return _Read(listed, at_us, finished, histories, vectors)

    def _fetch(
        self, users: Sequence[str], reader: Reader
    ) -> tuple[list[bytes | StoreError | None], dict[str, list[bytes | None]]]:
        """Return users' records, and what Redis says of each table that the reader needs."""
        try:
            keys = [record_key(self._plan.name, user).encode() for user in users]
        except UnicodeEncodeError as exc:
            raise InputError(f"expected user ids that are text, got one that UTF-8 cannot hold: {exc.reason}") from exc
        now_s = time.monotonic()
        pointers = {table: self._providers[table].keys(now_s) for table in reader.tables}
        wanted = [key.encode() for keys_of_table in pointers.values() for key in keys_of_table]
        answers = look_up(self._connected(), self._url, [*keys, *wanted], self._timeout_s)
        rest = iter(_values(answers[len(keys) :]))
        told = {table: [next(rest) for _ in keys_of_table] for table, keys_of_table in pointers.items()}
        return answers[: len(keys)], told

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that a pipeline registered, or None."""
        return Registry(self._connected(), self._url, self._plan.name).layout(fingerprint)


def _listed(users: Iterable[str]) -> tuple[str, ...]:
    """Return the users of a call, once: they may be a generator's."""
    if isinstance(users, str):
        raise InputError(f"expected a sequence of user ids, got the string {users!r}; use get() for one user")
    return tuple(users)


def _names(select: Collection[str]) -> Collection[str]:
    if isinstance(select, str):
        raise InputError(f"expected a list of names of outputs, got the string {select!r}")
    return select


def _values(answers: Sequence[bytes | StoreError | None]) -> list[bytes | None]:
    """Return what keys hold that all have to be there.

    Raises:
        StoreUnavailable, StoreError: one could not be read.
    """
    for answer in answers:
        if isinstance(answer, StoreError):
            raise answer
    return [answer for answer in answers if not isinstance(answer, StoreError)]


def _microseconds(at: At) -> int:
    if at is None:
        return time.time_ns() // 1000
    if isinstance(at, datetime.datetime):
        if at.tzinfo is None:
            raise InputError(f"expected a time with a time zone, got {at.isoformat()}")
        return (at - EPOCH) // datetime.timedelta(microseconds=1)
    if abs(at) >= FARTHEST_US:
        raise InputError(f"expected a time in microseconds since 1970, less than 2^61, got {at}")
    return at
