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
from user_state.oracle.events import AppliedEvent
from user_state.spec.embedding import Embedding


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
    """

    answer: Callable[[EmbeddingQuestion], npt.NDArray[np.float64] | dict[str, list[Any]]]
    fields: Callable[[Embedding], list[str]]
    takes: Callable[[Embedding, Mapping[str, Any]], bool]


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


def weight(embedding: Embedding, event: Mapping[str, Any]) -> float | None:
    """Return what the event weighs in the embedding, None if it has no part in it."""
    if event.get(embedding.of) is None:
        return None
    if embedding.weights is None:
        return 1.0
    value = event.get(embedding.weight_field)
    return embedding.weights.get(value) if isinstance(value, str) else None


def _weighed(asked: EmbeddingQuestion) -> list[tuple[AppliedEvent, float]]:
    """Return the events that have a part, with what each weighs."""
    return [(e, w) for e in asked.events if (w := weight(asked.embedding, e.event)) is not None]


def _fields(embedding: Embedding) -> list[str]:
    return [embedding.of, *([embedding.weight_field] if embedding.weights is not None else [])]


def _takes(embedding: Embedding, event: Mapping[str, Any]) -> bool:
    return weight(embedding, event) is not None


def _decayed_mean(asked: EmbeddingQuestion) -> npt.NDArray[np.float64]:
    """Return sum(w 2^-(age/H) v) / sum(|w| 2^-(age/H)), zeros if no event has a part in it.

    Ages are measured from the newest such event instead of from the moment of reading: that scales both sums alike,
    so it changes nothing, and a user who was away for years does not become 0/0.
    """
    parts = _weighed(asked)
    above = np.zeros(asked.embedding.dimensions)
    if not parts:
        return above
    newest_us = max(e.time_us for e, _ in parts)
    below = 0.0
    for e, weighs in parts:
        decay = 2.0 ** (-(newest_us - e.time_us) / asked.half_life_us)
        above += weighs * decay * item_vector(str(e.event[asked.embedding.of]), asked.embedding.dimensions)
        below += abs(weighs) * decay
    return above / below


EMBEDDINGS: dict[str, EmbeddingKind] = {
    "decayed_mean": EmbeddingKind(_decayed_mean, _fields, _takes),
}
"""How each kind is worked out, by name."""
