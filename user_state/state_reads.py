"""One reading of many users: their records out of Redis, finished, in one round trip.

Two ways lead there. Records of one server are finished while they come. Where something has to be looked at before,
since outputs are composed of item vectors, or since a cluster's nodes answer in any order, all are fetched first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from user_state.embeddings.item_vectors import ItemVectors
from user_state.embeddings.provider import VectorProvider
from user_state.errors import InputError, StoreError
from user_state.plan.layout import Layout
from user_state.plan.plan import Plan
from user_state.reading.features import Finished, Reader
from user_state.state.log_rows import Histories
from user_state.state.records import PackedRecords
from user_state.store.connection import other_types
from user_state.store.deadline import within
from user_state.store.keys import record_keys
from user_state.store.look_up import look_up, look_up_into
from user_state.store.registry import Registry
from user_state.store.server import Server

UNKNOWN_LAYOUT_S = 5.0
"""For how long a layout that nobody registered is not asked for again."""
MOST_SELECTIONS = 64
"""How many selections of outputs are kept ready."""


@dataclass(slots=True)
class StateRead:
    """Users' outputs as one round trip brought them, what they were composed of, and the records to be kept."""

    users: tuple[str, ...]
    at_us: int
    finished: Finished
    histories: Histories | None
    vectors: dict[str, ItemVectors]
    kept: list[bytes | None]

    @property
    def errors(self) -> dict[str, str]:
        """Why records could not be read, by user."""
        return {self.users[index]: reason for index, reason in self.finished.errors.items()}


class StateReads:
    """Reads the records of one plan. Threads may share it.

    Args:
        server: where they are.
        plan: what they hold.
        providers: of item vectors, by table.
    """

    def __init__(self, server: Server, plan: Plan, providers: Mapping[str, VectorProvider]) -> None:
        self._server = server
        self._plan = plan
        self._providers = providers
        self._records = PackedRecords(plan, self, UNKNOWN_LAYOUT_S)
        self._readers: dict[tuple[str, ...] | None, Reader] = {None: Reader(plan, self._records)}
        self.unreadable = 0

    def read(
        self, users: tuple[str, ...], at_us: int, select: tuple[str, ...] | None, keep: Sequence[int] = ()
    ) -> StateRead:
        """Read users' records, and pointers of tables when it is time, in one round trip; finish them.

        Args:
            users: whose.
            at_us: when, microseconds UTC.
            select: names of outputs, None for all.
            keep: which of the users' records to give as they were read, ascending.

        Raises:
            InputError: there is no such output, or a user whom UTF-8 cannot hold.
            StoreUnavailable, StoreError: as `look_up`.
        """
        reader = self.reader_of(select)
        try:
            keys = record_keys(self._plan.keyspace, users)
            with within(self._server.timeout_s):
                if reader.reads_as_they_come and not self._server.is_cluster:
                    read = self._read_coming(users, keys, at_us, reader, keep)
                else:
                    read = self._read_fetched(users, keys, at_us, reader, keep)
        except UnicodeEncodeError as exc:
            raise InputError(f"expected user ids that are text, got one that UTF-8 cannot hold: {exc.reason}") from exc
        self.unreadable += len(read.finished.errors)
        return read

    def not_records(self, users: tuple[str, ...]) -> dict[str, str]:
        """Return why some of these users have no record that could be read: their keys hold values of other types.

        Raises:
            StoreUnavailable, StoreError: as `translated`.
        """
        keys = record_keys(self._plan.keyspace, users)
        with within(self._server.timeout_s):
            types = other_types(self._server.client, self._server.url, keys)
        return {
            user: f"expected a record, a string, got another application's {types[key]} under its key (WRONGTYPE)"
            for user, key in zip(users, keys, strict=True)
            if key in types
        }

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that a pipeline registered, or None."""
        return Registry(self._server.client, self._server.url, self._plan.keyspace).layout(fingerprint)

    def reader_of(self, select: tuple[str, ...] | None) -> Reader:
        """Return what finishes these outputs, None being all."""
        reader = self._readers.get(select)
        if reader is None:
            reader = Reader(self._plan, self._records, select)
            if len(self._readers) >= MOST_SELECTIONS:
                self._readers = {None: self._readers[None]}
            self._readers[select] = reader
        return reader

    def _read_coming(
        self, users: tuple[str, ...], keys: Sequence[str], at_us: int, reader: Reader, keep: Sequence[int]
    ) -> StateRead:
        coming = reader.begin(len(users), at_us)
        if keep:
            coming.keep(keep)
        look_up_into(self._server, keys, coming)
        return StateRead(users, at_us, reader.finish(coming), None, {}, coming.kept() if keep else [])

    def _read_fetched(
        self, users: tuple[str, ...], keys: Sequence[str], at_us: int, reader: Reader, keep: Sequence[int]
    ) -> StateRead:
        answers, values = self._fetch(keys, reader)
        blobs = [None if isinstance(answer, StoreError) else answer for answer in answers]
        histories = reader.histories(blobs, at_us)
        vectors = {}
        if histories is not None:
            asked = reader.items_of(histories)
            vectors = {table: self._providers[table].vectors(asked[table], values[table]) for table in asked}
        finished = reader.features(blobs, at_us, histories, vectors)
        for index, answer in enumerate(answers):
            if isinstance(answer, StoreError):
                finished.errors[index] = str(answer)
        return StateRead(users, at_us, finished, histories, vectors, [blobs[row] for row in keep])

    def _fetch(
        self, keys: Sequence[str], reader: Reader
    ) -> tuple[list[bytes | StoreError | None], dict[str, list[bytes | None]]]:
        """Return users' records, and what Redis says of each table that the reader needs."""
        now_s = time.monotonic()
        pointers = {table: self._providers[table].keys(now_s) for table in reader.tables}
        wanted = [key for keys_of_table in pointers.values() for key in keys_of_table]
        answers = look_up(self._server, [*keys, *wanted])
        rest = iter(values_of(answers[len(keys) :]))
        values = {table: [next(rest) for _ in keys_of_table] for table, keys_of_table in pointers.items()}
        return answers[: len(keys)], values


def values_of(answers: Sequence[bytes | StoreError | None]) -> list[bytes | None]:
    """Return what keys hold that all have to be there.

    Raises:
        StoreUnavailable, StoreError: one could not be read.
    """
    for answer in answers:
        if isinstance(answer, StoreError):
            raise answer
    return [answer for answer in answers if not isinstance(answer, StoreError)]
