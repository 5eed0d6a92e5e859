"""Records of the item stage -> item vectors: z = c / |c|, and how much was learned of the item.

c    sum over the item's pairs of w r_j, as decayed by `forget`; a record keeps it (user_state/embeddings/pairs.py)
W    sum of w over the same pairs: the item's popularity among what is acted on together

An item's pairs are spread over its parts (user_state/embeddings/spread.py), each pair in one, so the parts' sums add
up, once they are brought to the time of the newest.
"""

from __future__ import annotations

import numpy as np

from user_state.embeddings.item_vectors import F32
from user_state.state.events import F64, I64
from user_state.state.log_rows import VectorSums


def learned_vectors(part: VectorSums, item: I64, items: int, at_us: int, forget_us: int) -> tuple[F32, F64]:
    """Return (n, dimensions) unit vectors, zeros for items of which nothing was learned, and (n,) W at `at_us`.

    Args:
        part: the sums of m parts of n items, of a plan by `item_plan`.
        item: (m,) which item each is a part of.
        items: n.
        at_us: when; earlier than an item's newest pair counts as that.
        forget_us: of the learned table.
    """
    newest_us = np.zeros(items, np.int64)
    np.maximum.at(newest_us, item, part.time_us)
    kept = np.exp2(-(newest_us[item] - part.time_us) / forget_us)
    sums = np.zeros((items, part.sums.shape[2]))
    np.add.at(sums, item, kept[:, None] * part.sums[:, 0])
    length = np.sqrt((sums**2).sum(axis=1))
    unit: F32 = np.divide(sums, length[:, None], out=np.zeros(sums.shape), where=length[:, None] > 0).astype(np.float32)
    age_us = np.maximum(at_us - newest_us, 0)
    weight = np.zeros(items)
    np.add.at(weight, item, kept * part.weight[:, 0])
    return unit, weight * np.exp2(-age_us / forget_us)
