"""The identity sketch in plain numpy, stored in single or half precision after every interaction.

What `record_embedding` reads from records, computed apart from them: the two must score alike. In half precision it
says what a record kind that stores its sums so would lose; it is no record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.settings import durations_us

STORAGE = {"float32": np.float32, "float16": np.float16}


@dataclass
class _Sums:
    sums: npt.NDArray[np.floating]
    weight: F64
    time_us: int


class ReferenceSketch:
    """Scores by inner products of hash vectors with the sum of the user's decayed means.

    Args:
        log: the interactions.
        dimensions: of the vectors.
        half_lives: durations with a plus between.
        storage: float32 or float16, what the sums are rounded to each time.
    """

    def __init__(
        self,
        log: Interactions,
        *,
        dimensions: int = 128,
        half_lives: str = "1m+1h+1d+7d",
        storage: str = "float32",
    ) -> None:
        if storage not in STORAGE:
            raise InputError(f"expected storage of {', '.join(STORAGE)}, got {storage!r}")
        self._log = log
        self._half_lives_us = durations_us(half_lives).astype(np.float64)
        self._vectors = hashed_vectors(log.items, dimensions)
        self._dtype = STORAGE[storage]
        self._of: dict[int, _Sums] = {}

    def learn(self, begin: int, end: int) -> None:
        """Decay, add, round."""
        log = self._log
        for position in range(begin, end):
            user, time_us = int(log.user[position]), int(log.time_us[position])
            vector = self._vectors[log.item[position]]
            state = self._of.get(user)
            if state is None:
                shape = (len(self._half_lives_us), self._vectors.shape[1])
                state = self._of[user] = _Sums(np.zeros(shape, self._dtype), np.zeros(shape[0]), time_us)
            kept = np.exp2((state.time_us - time_us) / self._half_lives_us)
            state.sums = (state.sums * kept[:, None] + vector).astype(self._dtype)
            state.weight = state.weight * kept + 1
            state.time_us = time_us

    def scores(self, user: int, at_us: int) -> F64:
        """Return the inner products; zeros for who did nothing yet."""
        state = self._of.get(user)
        if state is None:
            return np.zeros(len(self._log.items))
        vector = (state.sums.astype(np.float64) / state.weight[:, None]).sum(axis=0)
        scores: F64 = self._vectors @ vector
        return scores
