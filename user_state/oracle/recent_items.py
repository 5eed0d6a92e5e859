"""Recent items by brute force: of every item there is, where a record keeps a bounded number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from user_state.oracle.embeddings import EmbeddingKind, EmbeddingQuestion, fields_read, takes, weighed


def _recent_items(asked: EmbeddingQuestion) -> dict[str, list[Any]]:
    """Return the heaviest items with their decayed counts at the moment of reading, and their shares of all counts.

    Items are ordered by their counts at the newest event, as far as single precision can tell, equal ones by name.
    """
    parts = weighed(asked)
    newest_us = max((event.time_us for event, _ in parts), default=0)
    terms: dict[str, list[float]] = {}
    for event, weight in parts:
        decay = 2.0 ** (-(newest_us - event.time_us) / asked.half_life_us)
        terms.setdefault(str(event.event[asked.embedding.of]), []).append(weight * decay)
    counts = {item: math.fsum(of_item) for item, of_item in terms.items()}
    total = math.fsum(counts.values())
    lasting = [item for item, count in counts.items() if count >= 1e-290]
    listed = 8 if asked.embedding.k is None else asked.embedding.k
    kept = 64 if asked.embedding.keys is None else asked.embedding.keys
    items = sorted(lasting, key=lambda item: (-float(np.float32(counts[item])), item))[: min(listed, kept)]
    faded = 2.0 ** (-max(asked.at_us - newest_us, 0) / asked.half_life_us)
    return {
        asked.embedding.of: list(items),
        "count": [counts[item] * faded for item in items],
        "share": [counts[item] / total for item in items],
    }


RECENT_ITEMS = EmbeddingKind(_recent_items, fields_read, takes)
