"""Scores of items for users: inner products of vectors."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from user_state.embeddings.item_vectors import F32, Bool


@dataclass(frozen=True)
class Scores:
    """How well items fit users.

    Attributes:
        users, items: ids, as asked for.
        values: (users, items); 0 for an item without a vector, and for a user without one; NaN for a user whose record
            could not be read.
        known: (items,) whether the item has a vector.
        version: of the table; empty where vectors are drawn from ids, or there is no table.
        errors: user -> why the record could not be read.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    values: F32
    known: Bool
    version: str
    errors: dict[str, str] = field(default_factory=dict)


def score(users: F32, items: npt.NDArray[np.floating]) -> F32:
    """Return (n, m) inner products of (n, D) or (n, K, D) users' vectors with (m, D) items'; of K the greatest.

    >>> score(np.array([[1.0, 0.0]], np.float32), np.array([[0.5, 2.0], [3.0, 0.0]]))
    array([[0.5, 3. ]], dtype=float32)
    """
    if users.ndim == 2:
        scores: F32 = (users @ items.T).astype(np.float32)
        return scores
    each = users @ items.T
    # An interest that is not there is no vector of zeros: it may not outdo those that are.
    there = users.any(axis=2, keepdims=True)
    greatest: F32 = np.where(there, each, -np.inf).max(axis=1).astype(np.float32)
    return np.where(np.isfinite(greatest), greatest, np.float32(0))


def cosine(one: F32, others: F32) -> F32:
    """Return (n,) cosines of a vector (D) with others (n, D), or of the nearest pair of (K, D) and (n, K, D).

    -inf where one of the two has no length.
    """
    mine, theirs = np.atleast_2d(one), others if others.ndim == 3 else others[:, None]
    lengths = np.sqrt((mine**2).sum(axis=1)), np.sqrt((theirs**2).sum(axis=2))
    product = theirs @ mine.T
    below = lengths[1][:, :, None] * lengths[0]
    cosines: F32 = np.divide(product, below, out=np.full(product.shape, -np.inf, np.float32), where=below > 0)
    nearest: F32 = cosines.max(axis=(1, 2), initial=-np.inf)
    return nearest
