"""Embeddings by brute force."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from user_state.oracle.events import AppliedEvent
from user_state.spec.model import Embedding


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


def decayed_mean(embedding: Embedding, half_life_us: int, events: Sequence[AppliedEvent]) -> npt.NDArray[np.float64]:
    """Return sum(w 2^-(age/H) v) / sum(|w| 2^-(age/H)), zeros if no event has a part in it.

    Ages are measured from the newest such event instead of from the moment of reading: that scales both sums alike,
    so it changes nothing, and a user who was away for years does not become 0/0.
    """
    parts = [(e, w) for e in events if (w := weight(embedding, e.event)) is not None]
    above = np.zeros(embedding.dimensions)
    if not parts:
        return above
    newest_us = max(e.time_us for e, _ in parts)
    below = 0.0
    for e, weighs in parts:
        decay = 2.0 ** (-(newest_us - e.time_us) / half_life_us)
        above += weighs * decay * item_vector(str(e.event[embedding.of]), embedding.dimensions)
        below += abs(weighs) * decay
    return above / below
