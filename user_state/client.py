"""The serving client: what ranking services call to read users' state.

One round trip a call (two, if a table of item vectors is too large to hold and lacks some), finite timeouts, unknown
users get the documented defaults. Values are finished at the moment of reading, by the same function that makes
training sets. `state_reads` has how records are read, `similarity` how vectors are compared.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import UUID

from user_state.embeddings.item_vectors import ItemVectors
from user_state.embeddings.nearest import Nearest
from user_state.embeddings.provider import VectorProvider
from user_state.embeddings.scoring import Scores
from user_state.errors import InputError
from user_state.generation_name import BASE
from user_state.id_text import OfBytes, of_bytes
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.questions import EPOCH, At, items_of, microseconds, names_of, user_of, users_of
from user_state.results import UserState, UserStateBatch
from user_state.served_state import Following
from user_state.spec import LoadedSpec, load_spec
from user_state.state_reads import values_of
from user_state.store.connection import masked, translated
from user_state.store.deadline import within
from user_state.store.generations import served_generation, written_generation
from user_state.store.look_up import look_up
from user_state.store.providers import TableReading, open_providers
from user_state.store.served_table import ServedTable, TableState
from user_state.store.server import Server

if TYPE_CHECKING:
    from user_state.answers.log import AnswerLog
    from user_state.answers.recording import Recording

__all__ = ["EPOCH", "At", "Id", "UserStateClient"]

Id = str | int | UUID | bytes
"""An id of a user or an item, as whoever asks has it; bytes only where ids are bytes in the events."""


class UserStateClient:
    """Reads users' state. Safe to share between threads; close it, or use it in a `with` block."""

    def __init__(
        self,
        server: Server,
        plan: Plan,
        following: Following,
        *,
        bytes_as_id: OfBytes | None = None,
        recording: Recording | None = None,
    ) -> None:
        self._recording = recording
        self._server = server
        self._bytes_as_id = bytes_as_id
        self._plan = plan
        self._following = following
        self._names = tuple(output.name for output in plan.scalars)

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
        generation: str | None = None,
        generation_refresh_s: float = 10.0,
        log: AnswerLog | None = None,
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
            generation: which generation of the records to read whatever is served, `base` for those of none; default:
                the one that is served. One that nobody has written is an InputError of the first call.
            generation_refresh_s: how often to look which generation is served; a call in so many seconds takes one
                round trip more.
            log: where what `get` and `get_many` answer is logged for some users, for `user-state consistency`; the
                client closes it.

        Raises:
            SpecError: the spec cannot be used.
            InputError: the URL is no Redis URL, a version asked for is not there, or `generation` is no name of one.
            StoreUnavailable, StoreError: a cluster that cannot be reached, or tables of item vectors that cannot be
                read; a single server that holds none is tried at first use.
        """
        loaded = spec if isinstance(spec, LoadedSpec) else load_spec(spec)
        loaded = loaded if generation is None else loaded.of_generation(generation)
        plan = compile_plan(loaded)
        reading = TableReading(timeout_s, items_refresh_s, int(items_memory_mb * 2**20), dict(item_versions or {}))
        user = loaded.schema.fields.get(loaded.spec.events.user)
        bytes_as_id = None if user is None else of_bytes(user.avro_type)
        server = Server(url, timeout_s)

        is_pinned = generation is not None or loaded.generation is not None

        def served() -> str | None:
            with within(timeout_s), translated(url):
                if is_pinned:
                    return written_generation(server.client, plan.name, loaded.generation)
                return served_generation(server.client, plan.name)

        def opened(of: Plan, others: Mapping[str, VectorProvider] | None) -> dict[str, VectorProvider]:
            return open_providers(url, of, reading, others)

        refresh_s = math.inf if is_pinned else generation_refresh_s
        following = Following(server, loaded, plan, opened, served, refresh_s)
        recording = None
        if log is not None:
            from user_state.answers.recording import Recording  # whoever logs nothing does not wait for it

            recording = Recording(log, loaded)
        client = cls(server, plan, following, bytes_as_id=bytes_as_id, recording=recording)
        try:
            following.start()
        except BaseException:
            client.close()
            raise
        return client

    def __repr__(self) -> str:
        return f"UserStateClient({masked(self._server.url)!r}, spec={self._plan.name!r})"

    def __enter__(self) -> UserStateClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and the log of answers."""
        if self._recording is not None:
            self._recording.log.close()
        for provider in self._following.now.providers.values():
            provider.close()
        self._server.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `UserStateBatch.values`."""
        return self._names

    @property
    def generation(self) -> str:
        """Which generation is read, as it was looked up last; `base`: the records of none."""
        return self._following.now.generation or BASE

    @property
    def unreadable_records(self) -> int:
        """How many users' records could not be read since the client was opened, in all calls together."""
        return self._following.now.reads.unreadable

    def get(self, user: Id, at: At = None, *, select: Collection[str] | None = None) -> UserState:
        """Return one user's state; see `get_many`."""
        return self.get_many([user], at, select=select)[0]

    def get_many(self, users: Iterable[Id], at: At = None, *, select: Collection[str] | None = None) -> UserStateBatch:
        """Return the state of several users in one round trip, or one for every thousand.

        A record that cannot be read costs nobody else theirs: its user gets the defaults, and `errors` says why. It is
        damaged, of a layout that nobody registered, or cannot answer for the reading time, since it has later events.
        For the past, replay history (`user_state.reading.replay`).

        Args:
            users: their ids, as texts or what the events have: whole numbers, UUIDs, bytes (`user_state.id_text`).
                Unknown ones give the defaults.
            at: when windows end: microseconds UTC, an aware datetime, or now. A time more than the spec's
                `max_clock_skew` before a user's clock, the newest publish time among the user's events, is an error of
                that user.
            select: names of the outputs wanted, which come in the spec's order; None for all. Fewer take less time, and
                what is damaged in parts of a record that none of them is read from does not show.

        Raises:
            InputError: a user is no id, `at` is no time (`user_state.questions` says what is), or there is no such
                output.
            StoreUnavailable: Redis did not answer in time; of a cluster, no node that was asked did.
            StoreError: Redis refused.
        """
        asked = self._users(users), microseconds(at), names_of(select)
        served, recording = self._following.current(), self._recording
        if recording is None:
            read = served.reads.read(*asked)
        else:
            read = recording.read(served.reads, served.generation or BASE, *asked)
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
            errors=read.errors,
        )

    def not_records(self, batch: UserStateBatch) -> dict[str, str]:
        """Return why users without a record have none, where Redis holds something of another type under their keys.

        Redis tells `get_many` of such a key as of one that is not there, and asking takes another round trip: for tools
        and for looking into it, not for every call.

        Raises:
            StoreUnavailable, StoreError: as `get_many`.
        """
        absent = [user for user, there in zip(batch.users, batch.present.tolist(), strict=True) if not there]
        return self._following.current().reads.not_records(
            tuple(user for user in dict.fromkeys(absent) if user not in batch.errors)
        )

    def item_tables(self) -> dict[str, TableState]:
        """Return what is held of each table of item vectors, and why a newer version is not in use."""
        providers = self._following.now.providers
        return {name: held.state for name, held in providers.items() if isinstance(held, ServedTable)}

    def item_vectors(self, table: str, items: Iterable[Id]) -> ItemVectors:
        """Return the vectors of these items in the version of a table that is in use.

        Raises:
            InputError: the spec's embeddings use no such table.
            StoreUnavailable, StoreError: they cannot be read.
        """
        known = self._following.now.providers
        if table not in known:
            listed = ", ".join(known) or "it has none"
            raise InputError(f"expected a table that the spec's embeddings use ({listed}), got {table!r}")
        provider = self._following.current().providers[table]
        return provider.vectors(items_of(items), values_of(look_up(self._server, provider.keys(time.monotonic()))))

    def score(self, users: Iterable[Id], items: Iterable[Id], *, embedding: str, at: At = None) -> Scores:
        """Return how well items fit users: inner products of their vectors, of interests the greatest.

        Users whose records cannot be read have no numbers (NaN); `errors` of the result says why.

        Args:
            users: their ids.
            items: candidates.
            embedding: an output such as `taste_7d`.
            at: as for `get_many`.

        Raises:
            InputError: there is no such embedding.
            StoreUnavailable, StoreError: as `get_many`.
        """
        asked = self._users(users), items_of(items), embedding, microseconds(at)
        return self._following.current().similarity.score(*asked)

    def nearest_items(
        self,
        user: Id,
        k: int,
        *,
        embedding: str,
        exclude_seen: bool = False,
        exclude: Iterable[Id] = (),
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
            CodecError: the user's record cannot be read, or not for that time.
            StoreUnavailable, StoreError: as `get_many`.
        """
        whose = user_of(user, of_bytes=self._bytes_as_id)
        asked = whose, k, embedding, exclude_seen, items_of(exclude), microseconds(at)
        return self._following.current().similarity.nearest_items(*asked)

    def nearest_users(
        self, user: Id, k: int, among: Iterable[Id], *, embedding: str, at: At = None
    ) -> list[tuple[str, float]]:
        """Return the users among those given whose vectors have the greatest cosines with a user's, with the cosines.

        Users without a vector are left out, and those whose records cannot be read; of interests the nearest pair
        counts.

        Raises:
            InputError: there is no such embedding.
            CodecError: the user's own record cannot be read, or not for that time.
            StoreUnavailable, StoreError: as `get_many`.
        """
        whose = user_of(user, of_bytes=self._bytes_as_id)
        asked = whose, k, self._users(among), embedding, microseconds(at)
        return self._following.current().similarity.nearest_users(*asked)

    def _users(self, users: Iterable[Id]) -> tuple[str, ...]:
        return users_of(users, of_bytes=self._bytes_as_id)
