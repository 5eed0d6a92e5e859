"""Embeddings over a table of item vectors by brute force: one user, one event at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
SMALLEST_SHARE = 1e-200
"""What a centroid must weigh to be remembered, as docs/spec.md says."""


@dataclass(frozen=True)
class ItemTable:
    """One version of a table.

    Attributes:
        vectors: id -> vector; those of the items that are asked for will do.
        gram: the sum of z z^T over all items of the table, for kind `fold_in`.
    """

    vectors: Mapping[str, npt.NDArray[np.floating]]
    gram: npt.NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Part:
    """One of the last K events that count, whose item has a vector."""

    time_us: int
    weight: float
    vector: Vector


def parts_of(table: ItemTable, dimensions: int, last: int, weighed: Sequence[tuple[int, str, float]]) -> list[Part]:
    """Return what takes part of (time, item, weight) of all events that count, oldest first."""
    parts = []
    for time_us, item, weight in weighed[-last:]:
        if item in table.vectors:
            vector = np.asarray(table.vectors[item], np.float64)
            assert vector.shape == (dimensions,)  # noqa: S101  # whoever gave the table is mistaken
            parts.append(Part(time_us, weight, vector))
    return parts


def decayed(parts: Sequence[Part], half_life_us: int, at_us: int, dimensions: int, *, read: str) -> Vector:
    """Return the `mean`, the `sum` at the moment of reading, or the direction (`unit`)."""
    total, below, added = np.zeros(dimensions), 0.0, 0.0
    if not parts:
        return total
    newest_us = max(part.time_us for part in parts)
    for part in parts:
        share = part.weight * 0.5 ** ((newest_us - part.time_us) / half_life_us)
        total = total + share * part.vector
        below += abs(share)
        added += abs(share) * math.hypot(*part.vector.tolist())
    if read == "unit":
        length = math.hypot(*total.tolist())
        return total / length if length > 1e-6 * added else np.zeros(dimensions)
    if read == "mean":
        return total / below
    faded: float = 0.5 ** (max(at_us - newest_us, 0) / half_life_us)
    return total * faded


def folded_in(
    parts: Sequence[Part], half_life_us: int, gram: npt.NDArray[np.floating], alpha0: float, regularisation: float
) -> Vector:
    """Return the minimum of the loss itself, found by its normal equations.

    The loss is sum over the events of |s| ([s > 0] - p.z)^2 + alpha0 p^T G p + lambda |p|^2.
    """
    dimensions = len(gram)
    if not parts:
        return np.zeros(dimensions)
    newest_us = max(part.time_us for part in parts)
    rows, aims = [], []
    for part in parts:
        share = part.weight * 0.5 ** ((newest_us - part.time_us) / half_life_us)
        rows.append(math.sqrt(abs(share)) * part.vector)
        aims.append(math.sqrt(abs(share)) * (1.0 if share > 0 else 0.0))
    # The rest of the loss as further rows of a least-squares problem: a square root of the matrix, by eigenvectors.
    values, vectors = np.linalg.eigh(alpha0 * np.asarray(gram, np.float64) + regularisation * np.eye(dimensions))
    for value, direction in zip(values, vectors.T, strict=True):
        rows.append(math.sqrt(max(float(value), 0.0)) * direction)
        aims.append(0.0)
    solution: Vector = np.linalg.lstsq(np.array(rows), np.array(aims), rcond=None)[0]
    return solution


@dataclass
class _Centroid:
    born: int
    weight: float
    total: Vector = field(default_factory=lambda: np.zeros(0))

    def cosine(self, vector: Vector) -> int:
        """Return the cosine in millionths; 0 where one of the two has no direction."""
        lengths = math.hypot(*self.total.tolist()) * math.hypot(*vector.tolist())
        return round(1e6 * float(np.dot(self.total, vector)) / lengths) if lengths > 0 else 0


def interests(
    parts: Sequence[Part], half_life_us: int, at_us: int, dimensions: int, most: int, threshold: float
) -> tuple[Vector, Vector]:
    """Return (most, dimensions) centroids and (most,) weights, the heaviest first, zeros where there are fewer."""
    held: list[_Centroid] = []
    then_us = 0
    for number, part in enumerate(part for part in parts if part.weight > 0):
        fade = 0.5 ** ((part.time_us - then_us) / half_life_us) if held else 1.0
        then_us = part.time_us
        for centroid in held:
            centroid.weight *= fade
            centroid.total = centroid.total * fade
        held = [centroid for centroid in held if centroid.weight >= SMALLEST_SHARE]
        nearest = max(held, key=lambda c: (c.cosine(part.vector), -c.born), default=None)
        lightest = min(held, key=lambda c: (np.float32(c.weight), c.born), default=None)
        if nearest is None or (nearest.cosine(part.vector) < round(1e6 * threshold) and len(held) < most):
            nearest = None
        elif nearest.cosine(part.vector) < round(1e6 * threshold):
            assert lightest is not None  # noqa: S101  # there is a nearest one
            if np.float32(lightest.weight) < np.float32(part.weight):
                held.remove(lightest)
                nearest = None
        if nearest is None:
            nearest = _Centroid(number, 0.0, np.zeros(dimensions))
            held.append(nearest)
        nearest.weight += part.weight
        nearest.total = nearest.total + part.weight * part.vector
    vectors, weights = np.zeros((most, dimensions)), np.zeros(most)
    held.sort(key=lambda c: (-np.float32(c.weight), c.born))
    for place, centroid in enumerate(held):
        vectors[place] = centroid.total / centroid.weight
        weights[place] = centroid.weight * 0.5 ** (max(at_us - then_us, 0) / half_life_us)
    return vectors, weights
