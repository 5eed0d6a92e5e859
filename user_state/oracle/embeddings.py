"""Embeddings by brute force, kind by kind."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from user_state.durations import parse_duration_us
from user_state.oracle.composed import ItemTable, Vector, decayed, folded_in, interests, parts_of
from user_state.oracle.events import AppliedEvent, matches
from user_state.spec.embedding import Embedding

LIKELY = 8
"""How many standard deviations sums in two bytes may be off."""


@dataclass(frozen=True)
class EmbeddingQuestion:
    """One output of one embedding of one user at one moment.

    Attributes:
        embedding: what was declared.
        half_life: as it is written; None for kinds that have one output.
        events: the user's applied events, ordered by (time, id hash).
        at_us: the reading time.
    """

    embedding: Embedding
    half_life: str | None
    events: Sequence[AppliedEvent]
    at_us: int

    @property
    def half_life_us(self) -> int:
        """The half-life in microseconds."""
        assert self.half_life is not None  # noqa: S101  # the model demands it
        return parse_duration_us(self.half_life)


@dataclass(frozen=True)
class EmbeddingKind:
    """A kind of embedding that the oracle knows.

    Attributes:
        answer: the output's value: a vector, or a dict of lists by column.
        fields: the event fields that it reads.
        takes: whether an event has a part in it.
        bounds: the least and the greatest vector that a reader may be given; None where it is exact.
    """

    answer: Callable[[EmbeddingQuestion], Vector | dict[str, list[Any]]]
    fields: Callable[[Embedding], list[str]]
    takes: Callable[[Embedding, Mapping[str, Any]], bool]
    bounds: Callable[[EmbeddingQuestion], tuple[Vector, Vector] | None] = lambda _asked: None


@functools.lru_cache(maxsize=20_000)
def item_vector(item: str, dimensions: int) -> npt.NDArray[np.float64]:
    """Return the unit vector of `item`: component j is +-1/sqrt(D), by bit j mod 64 of xxh64(item, seed j // 64).

    >>> item_vector("a", 4)
    array([ 0.5,  0.5, -0.5,  0.5])
    """
    vector = np.empty(dimensions)
    word = 0
    for j in range(dimensions):
        if j % 64 == 0:
            word = xxhash.xxh64_intdigest(item.encode(), seed=j // 64)
        vector[j] = (1.0 if word >> (j % 64) & 1 else -1.0) / math.sqrt(dimensions)
    vector.flags.writeable = False  # it is cached, so nobody may change it
    return vector


def composed(asked: EmbeddingQuestion, table: ItemTable, dimensions: int) -> tuple[Vector, Vector | None]:
    """Return an embedding over a table, and the weights of interests."""
    embedding, half_life_us = asked.embedding, asked.half_life_us
    counted = [(e.time_us, str(e.event[embedding.of]), w) for e, w in weighed(asked)]
    parts = parts_of(table, dimensions, embedding.last, counted)
    match embedding.kind:
        case "fold_in":
            assert table.gram is not None  # noqa: S101  # whoever gave the table is mistaken
            factors = (embedding.alpha0, embedding.regularisation)
            return folded_in(parts, half_life_us, table.gram, *factors), None
        case "interests":
            settings = (embedding.most, embedding.threshold)
            return interests(parts, half_life_us, asked.at_us, dimensions, *settings)
    read = "unit" if embedding.normalise == "unit" else embedding.kind.removeprefix("decayed_")
    return decayed(parts, half_life_us, asked.at_us, dimensions, read=read), None


def weight(embedding: Embedding, event: Mapping[str, Any]) -> float | None:
    """Return what the event weighs in the embedding, None if it has no part in it."""
    if event.get(embedding.of) is None or not matches(event, embedding.where):
        return None
    if embedding.weights is None:
        return 1.0
    value = event.get(embedding.weight_field)
    return embedding.weights.get(value) if isinstance(value, str) else None


def weighed(asked: EmbeddingQuestion) -> list[tuple[AppliedEvent, float]]:
    """Return the events that have a part, with what each weighs."""
    return [(e, w) for e in asked.events if (w := weight(asked.embedding, e.event)) is not None]


def fields_read(embedding: Embedding) -> list[str]:
    """Return the event fields that the embedding reads."""
    return [*embedding.where.fields, embedding.of, *([embedding.weight_field] if embedding.weights is not None else [])]


def takes(embedding: Embedding, event: Mapping[str, Any]) -> bool:
    """Return whether an event has a part in the embedding."""
    return weight(embedding, event) is not None


def _totals(asked: EmbeddingQuestion) -> tuple[Vector, float, int]:
    """Return (sum of w 2^-(age/H) v, sum of |w| 2^-(age/H), the newest event's time), ages counted from the newest.

    Counted from there, and not from the moment of reading, a user who was away for years does not become 0/0.
    """
    parts = weighed(asked)
    above, below = np.zeros(asked.embedding.dimensions), 0.0
    newest_us = max((e.time_us for e, _ in parts), default=0)
    for e, weighs in parts:
        decay = 2.0 ** (-(newest_us - e.time_us) / asked.half_life_us)
        above += weighs * decay * item_vector(str(e.event[asked.embedding.of]), asked.embedding.dimensions)
        below += abs(weighs) * decay
    return above, below, newest_us


def _finished(asked: EmbeddingQuestion, above: Vector, below: float, newest_us: int) -> Vector:
    """Return the mean, the sum at the moment of reading, or the direction; zeros if no event has a part."""
    if below == 0:
        return above
    if asked.embedding.normalise == "unit":
        length = math.sqrt(math.fsum(component * component for component in above))
        return above / length if length > 1e-6 * below else np.zeros_like(above)
    if asked.embedding.kind == "decayed_mean":
        return above / below
    faded: float = 2.0 ** (-max(asked.at_us - newest_us, 0) / asked.half_life_us)
    return above * faded


def _decayed(asked: EmbeddingQuestion) -> Vector:
    return _finished(asked, *_totals(asked))


def _decayed_bounds(asked: EmbeddingQuestion) -> tuple[Vector, Vector] | None:
    """Return how far sums that are stored in two bytes a component may lie apart; None for those in four.

    A fold rounds a component to a multiple of 1/32767 of the largest, which is no more than the sum of the weights over
    sqrt(D); errors of folds have no bias and add up as the square root of their number, at most one an event.
    """
    if asked.embedding.storage == "float32":
        return None
    above, below, newest_us = _totals(asked)
    off = LIKELY * 0.5 / 32767 * math.sqrt(len(weighed(asked))) * below / math.sqrt(len(above))
    if asked.embedding.normalise == "unit":
        length = max(math.sqrt(math.fsum(component * component for component in above)), 1e-6 * below, 1e-300)
        middle = _decayed(asked)
        return middle - 2 * off * math.sqrt(len(above)) / length, middle + 2 * off * math.sqrt(len(above)) / length
    return _finished(asked, above - off, below, newest_us), _finished(asked, above + off, below, newest_us)


def _only_over_a_table(_asked: EmbeddingQuestion) -> Vector:
    raise ValueError("expected a table of item vectors, got none")


VECTORS: dict[str, EmbeddingKind] = {
    "decayed_mean": EmbeddingKind(_decayed, fields_read, takes, _decayed_bounds),
    "decayed_sum": EmbeddingKind(_decayed, fields_read, takes, _decayed_bounds),
    # Over a table only: see `composed`.
    **dict.fromkeys(("fold_in", "interests"), EmbeddingKind(_only_over_a_table, fields_read, takes)),
}
"""How each kind is worked out over hash vectors, by name."""
