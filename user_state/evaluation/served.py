"""Scores from what the serving client returns: what a ranking service could compute, and nothing else.

The same numbers as the scorers of records (`scorers.record_embedding`), whose records lie in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.errors import InputError
from user_state.evaluation.catalogue import Choice
from user_state.evaluation.interactions import F64
from user_state.evaluation.scorers.record_counts import MOST_KEPT
from user_state.results import UserStateBatch

SKETCH_HALF_LIVES = "1m+1h+1d+7d"
RECENT_HALF_LIVES = "1m+10m+1h+1d"


class ServedScorer(Protocol):
    """Declares what it needs of a record, and scores from it."""

    @property
    def embeddings(self) -> Mapping[str, Any]:
        """What the spec has to declare."""
        ...

    def scores(self, batch: UserStateBatch) -> F64:
        """Return (users, items) scores."""
        ...


class ServedSketch:
    """Decayed means of hash vectors, added over half-lives: `sketch`."""

    def __init__(self, items: list[str], *, dimensions: int = 128, half_lives: str = SKETCH_HALF_LIVES) -> None:
        self._half_lives = half_lives.split("+")
        self._dimensions = dimensions
        self._vectors = hashed_vectors(items, dimensions)

    @property
    def embeddings(self) -> Mapping[str, Any]:
        """One embedding, `sketch`."""
        declared = {
            "kind": "decayed_mean",
            "of": "item_id",
            "dimensions": self._dimensions,
            "half_life": self._half_lives,
        }
        return {"sketch": declared}

    def scores(self, batch: UserStateBatch) -> F64:
        """Return the inner products with the sum of the means."""
        means = [batch.embeddings[f"sketch_{text}"].astype(np.float64) for text in self._half_lives]
        scores: F64 = np.sum(means, axis=0) @ self._vectors.T
        return scores


class ServedRecent:
    """Shares of decayed counts of recent items, added over half-lives: `recent:popular=false,records=true`."""

    def __init__(
        self,
        items: list[str],
        *,
        half_lives: str = RECENT_HALF_LIVES,
        keep: int = 0,
        popular: bool = True,
        records: bool = False,
    ) -> None:
        if popular or not records:
            raise InputError("expected recent:popular=false,records=true: how popular items are is in nobody's record")
        self._half_lives = half_lives.split("+")
        self._keep = keep or MOST_KEPT
        self._code = {item: code for code, item in enumerate(items)}

    @property
    def embeddings(self) -> Mapping[str, Any]:
        """One embedding, `recent`."""
        kept = {"k": self._keep, "keys": self._keep}
        return {"recent": {"kind": "recent_items", "of": "item_id", "half_life": self._half_lives, **kept}}

    def scores(self, batch: UserStateBatch) -> F64:
        """Return the sums of the shares."""
        scores = np.zeros((len(batch), len(self._code)))
        for text in self._half_lives:
            table = batch.sequences[f"recent_{text}"]
            for row, length in enumerate(table.length.tolist()):
                codes = [self._code[item] for item in table.columns["item_id"][row, :length].tolist()]
                share = table.columns["share"][row, :length]
                scores[row, codes] += share / (share.sum() or 1.0)  # of those listed, as the scorer of records takes it
        return scores


SERVED: Mapping[str, Callable[..., ServedScorer]] = {"sketch": ServedSketch, "recent": ServedRecent}


def served_scorer(choice: Choice, items: list[str]) -> ServedScorer:
    """Return the scorer of a choice.

    Raises:
        InputError: it is not scored from records, or its settings do not fit.
    """
    if choice.name not in SERVED:
        raise InputError(
            f"expected a scorer of records ({', '.join(SERVED)}) to go through the pipeline, got {choice.text!r}"
        )
    return SERVED[choice.name](items, **choice.settings)
