"""Co-occurrence learnt by random projection, without a batch job and without a matrix of items by items.

Every item i has a random unit vector r_i (drawn from the hash of its id), a learnt vector c_i and a count n_i. For an
interaction of user u with item i, u having met items j before, the d-th last one d steps ago:

    c_i += sum over j of fade^(d-1) r_j / (n_j + 1)^damp        who came before i
    c_j += sum over j of fade^(d-1) r_i / (n_i + 1)^damp        who came after j, for the `reach` last ones
    z_j  = c_j / |c_j|
    score(j) = (n_j + 1)^lift z_j . sum over the user's items k of fade_read^(d-1) z_k

In expectation c_i is the sum over j of their co-occurrences times r_j, a random projection of the row of a
co-occurrence matrix that nobody keeps (Johnson, Lindenstrauss 1984; random indexing: Kanerva, Kristoferson, Holst,
CogSci 2000; Sahlgren 2005). A user's part is the decayed sum of r_j, one vector: the item-keyed stage receives it.

The reference in numpy; the pipeline's own item stage can be measured in its place once there is one.
"""

from __future__ import annotations

import numpy as np

from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.histories import Histories


class Projection:
    """Scores by learnt item vectors of `dimensions` components."""

    def __init__(
        self,
        log: Interactions,
        *,
        dimensions: int = 128,
        reach: int = 30,
        fade: float = 0.9,
        fade_read: float = 0.8,
        damp: float = 0.5,
        lift: float = 0.1,
    ) -> None:
        if dimensions < 1 or reach < 1:
            raise InputError(f"expected dimensions and reach of at least 1, got {dimensions} and {reach}")
        self._log = log
        self._reach = reach
        self._damp, self._lift = damp, lift
        self._fading, self._reading = fade ** np.arange(reach), fade_read ** np.arange(reach)
        self._random = hashed_vectors(log.items, dimensions)
        self._learnt = np.zeros((len(log.items), dimensions))
        self._unit = np.zeros((len(log.items), dimensions))
        self._count = np.zeros(len(log.items))
        self._histories = Histories()

    def learn(self, begin: int, end: int) -> None:
        """Let the item and the ones before it learn of one another."""
        for user, item in zip(self._log.user[begin:end].tolist(), self._log.item[begin:end].tolist(), strict=True):
            before = self._recent(user)
            if before:
                share = self._fading[: len(before)]
                self._learnt[item] += (share * (self._count[before] + 1) ** -self._damp) @ self._random[before]
                mine = self._random[item] * (self._count[item] + 1) ** -self._damp
                np.add.at(self._learnt, before, share[:, None] * mine)
                changed = [item, *before]
                length = np.linalg.norm(self._learnt[changed], axis=1, keepdims=True)
                self._unit[changed] = self._learnt[changed] / np.maximum(length, 1e-12)
            self._count[item] += 1
            self._histories.add(user, item)

    def scores(self, user: int, at_us: int) -> F64:
        """Return the inner products with the user's vector; popularity, for who did nothing yet."""
        recent = self._recent(user)
        popular = (self._count + 1) ** self._lift
        if not recent:
            return popular
        vector = self._reading[: len(recent)] @ self._unit[recent]
        scores: F64 = self._unit @ vector * popular
        return scores

    def _recent(self, user: int) -> list[int]:
        """Return the user's last items, newest first."""
        return self._histories.sequence[user][: -self._reach - 1 : -1]
