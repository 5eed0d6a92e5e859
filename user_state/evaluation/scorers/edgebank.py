"""EdgeBank: has this user met this item before? The baseline that shamed temporal graph networks.

Source: Poursafaei, Huang, Pelrine, Rabbany, "Towards Better Evaluation for Dynamic Link Prediction", NeurIPS 2022
Datasets and Benchmarks (unlimited memory, EdgeBank-infinity). TGB publishes .495 on tgbl-wiki's test part and .527 on
its validation part, the memory being updated after batches of 200; see `trials.in_batches`.
"""

from __future__ import annotations

import numpy as np

from user_state.evaluation.interactions import F64, Interactions


class EdgeBank:
    """1 for every item that the user has met, 0 for the others."""

    def __init__(self, log: Interactions) -> None:
        self._log = log
        self._met: dict[int, F64] = {}
        self._nothing = np.zeros(len(log.items))

    def learn(self, begin: int, end: int) -> None:
        """Remember who met what."""
        for user, item in zip(self._log.user[begin:end].tolist(), self._log.item[begin:end].tolist(), strict=True):
            met = self._met.get(user)
            if met is None:
                met = self._met[user] = np.zeros(len(self._log.items))
            met[item] = 1.0

    def scores(self, user: int, at_us: int) -> F64:
        """Return the memory's answer."""
        return self._met.get(user, self._nothing)
