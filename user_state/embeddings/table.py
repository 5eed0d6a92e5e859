"""A table of item vectors in memory: ids, one vector each, and a version that is made of both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.embeddings.item_vectors import F32, F64, Bool
from user_state.errors import InputError, shorten
from user_state.plan.lazily import cached_property

VERSION_BYTES = 8
GRAM_ROWS = 65_536
"""Rows that are widened to doubles at once."""


@dataclass(frozen=True)
class ItemTable:
    """Vectors of items; an `ItemVectors`.

    Attributes:
        ids: the items.
        vectors: (items, dimensions) float32.
    """

    ids: Sequence[str]
    vectors: F32

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dimensions(self) -> int:
        """Numbers a vector."""
        return int(self.vectors.shape[1])

    @cached_property
    def version(self) -> str:
        """What names this table and no other: 16 hex digits of the BLAKE2b of ids and vectors."""
        digest = hashlib.blake2b(digest_size=VERSION_BYTES)
        for text in self.ids:
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
        digest.update(np.ascontiguousarray(self.vectors, "<f4").tobytes())
        return digest.hexdigest()

    @cached_property
    def rows(self) -> dict[str, int]:
        """Id -> row."""
        return {text: row for row, text in enumerate(self.ids)}

    def lookup(self, ids: Sequence[str]) -> tuple[F32, Bool]:
        """See `ItemVectors.lookup`.

        >>> table = ItemTable(["a", "b"], np.array([[1, 2], [3, 4]], np.float32))
        >>> table.lookup(["b", "x"])
        (array([[3., 4.],
               [0., 0.]], dtype=float32), array([ True, False]))
        """
        rows = self.rows
        row = np.array([rows.get(text, -1) for text in ids], np.int64)
        found = row >= 0
        if not len(self):
            return np.zeros((len(row), self.dimensions), np.float32), found
        vectors = self.vectors[row]
        vectors[~found] = 0
        return vectors, found

    def gram(self) -> F64:
        """See `ItemVectors.gram`."""
        return self._gram

    @cached_property
    def _gram(self) -> F64:
        total = np.zeros((self.dimensions, self.dimensions))
        for begin in range(0, len(self), GRAM_ROWS):
            block = self.vectors[begin : begin + GRAM_ROWS].astype(np.float64)
            total += block.T @ block
        return total


def checked_table(ids: Sequence[str], vectors: npt.NDArray[np.floating], where: str) -> ItemTable:
    """Return a table of these ids and vectors.

    Raises:
        InputError: they are no table; says which item is wrong.
    """
    if vectors.ndim != 2 or len(ids) != len(vectors):
        raise InputError(f"expected a vector an item in {where}, got {len(ids)} ids and an array of {vectors.shape}")
    if 0 in vectors.shape:
        raise InputError(f"expected items with vectors in {where}, got an array of {vectors.shape}")
    seen: set[str] = set()
    for text in ids:
        if not isinstance(text, str):
            raise InputError(f"expected texts for ids in {where}, got {shorten(text)}")
        if not text:
            raise InputError(f"expected ids that are not empty in {where}, got an empty one")
        if text in seen:
            raise InputError(f"expected each id once in {where}, got {shorten(text)} twice")
        seen.add(text)
    with np.errstate(over="ignore"):  # what is beyond single precision is refused below
        single = vectors.astype(np.float32)
    finite = np.isfinite(single).all(axis=1)
    if not finite.all():
        at = int(np.argmin(finite))
        raise InputError(f"expected finite numbers in {where}, got others in the vector of {shorten(ids[at])}")
    return ItemTable(list(ids), single)
