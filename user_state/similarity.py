"""What vectors of users and items say of each other: scores of items, the nearest items, the nearest users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from user_state.embeddings.composing import seen_items
from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.embeddings.nearest import Nearest, NearestItems
from user_state.embeddings.provider import VectorProvider
from user_state.embeddings.scoring import Scores, cosine, score
from user_state.embeddings.table import ItemTable
from user_state.errors import CodecError, InputError, StoreError
from user_state.plan.outputs import AnyEmbedding, EmbeddingOutput
from user_state.plan.plan import Plan
from user_state.printable import printable
from user_state.state_reads import StateRead, StateReads
from user_state.store.learned_table import LearnedVectors

VERSION_TRIES = 5


class Similarity:
    """Compares vectors of one plan's users and items; `UserStateClient` has the same methods, and says what they do.

    Args:
        reads: reads users' vectors.
        plan: what embeddings there are.
        providers: of item vectors, by table.
    """

    def __init__(self, reads: StateReads, plan: Plan, providers: Mapping[str, VectorProvider]) -> None:
        self._reads = reads
        self._plan = plan
        self._providers = providers
        self._searches: dict[str, NearestItems] = {}

    def score(self, users: tuple[str, ...], items: Sequence[str], embedding: str, at_us: int) -> Scores:
        """Return how well items fit users."""
        output = self._embedding(embedding)
        if isinstance(output, EmbeddingOutput):
            vectors, read = self._vectors(users, output, at_us)
            scores = _of_the_read(read, score(vectors, hashed_vectors(items, output.dimensions)))
            return Scores(read.users, tuple(items), scores, np.ones(len(items), np.bool_), "", read.errors)
        for _ in range(VERSION_TRIES):
            vectors, read = self._vectors(users, output, at_us)
            held = self._providers[output.table].vectors(items, [])
            if held.version == read.vectors[output.table].version:  # none came in between
                of_items, known = held.lookup(items)
                scores = _of_the_read(read, score(vectors, of_items))
                return Scores(read.users, tuple(items), scores, known, held.version, read.errors)
        raise StoreError(f"expected table {output.table} to stay the same for a call, got another version at every try")

    def nearest_items(
        self, user: str, k: int, embedding: str, exclude_seen: bool, exclude: Sequence[str], at_us: int
    ) -> Nearest:
        """Return the items with the greatest inner products with a user's vector."""
        output = self._embedding(embedding)
        if isinstance(output, EmbeddingOutput):
            raise InputError(f"expected an embedding over a table of items (`vectors:`), got {embedding}, over hashes")
        if k < 1:
            raise InputError(f"expected to be asked for 1 item at least, got {k}")
        vectors, read = self._vectors((user,), output, at_us)
        _refuse_unread(read, user)
        table = read.vectors[output.table]
        if not isinstance(table, ItemTable):
            got = "none in Redis: user-state items load" if not table.version else "one of more than items_memory_mb"
            got = "one that the pipeline learns" if isinstance(table, LearnedVectors) else got
            raise InputError(f"expected table {output.table} whole in memory to find the nearest in, got {got}")
        vectors = vectors.reshape(-1, output.dimensions)
        seen = seen_items(read.histories, output.history) if exclude_seen and read.histories else []
        return self._search(output.table, table).search(vectors[vectors.any(axis=1)], k, [*seen, *exclude])

    def nearest_users(
        self, user: str, k: int, among: Sequence[str], embedding: str, at_us: int
    ) -> list[tuple[str, float]]:
        """Return the users whose vectors have the greatest cosines with a user's, with the cosines."""
        output = self._embedding(embedding)
        others = [other for other in dict.fromkeys(among) if other != user]
        vectors, read = self._vectors((user, *others), output, at_us)
        _refuse_unread(read, user)
        cosines = cosine(vectors[0], vectors[1:])
        order = np.argsort(-cosines, kind="stable")[:k].tolist()
        return [(others[index], float(cosines[index])) for index in order if np.isfinite(cosines[index])]

    def _embedding(self, name: str) -> AnyEmbedding:
        for output in self._plan.embeddings:
            if output.name == name:
                return output
        known = ", ".join(output.name for output in self._plan.embeddings) or "it has none"
        raise InputError(f"expected an embedding of the spec ({known}), got {name!r}")

    def _vectors(
        self, users: tuple[str, ...], output: AnyEmbedding, at_us: int
    ) -> tuple[npt.NDArray[np.float32], StateRead]:
        """Return one embedding of users, and what it was read from."""
        read = self._reads.read(users, at_us, (output.name,))
        return read.finished.embeddings[output.name], read

    def _search(self, name: str, table: ItemTable) -> NearestItems:
        search = self._searches.get(name)
        if search is None or search.version != table.version:
            search = self._searches[name] = NearestItems(table)
        return search


def _of_the_read(read: StateRead, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return scores without numbers for users whose records could not be read."""
    if read.finished.errors:
        scores[list(read.finished.errors)] = np.nan
    return scores


def _refuse_unread(read: StateRead, user: str) -> None:
    if user in read.errors:
        raise CodecError(f"cannot read the record of {printable(user)}: {read.errors[user]}")
