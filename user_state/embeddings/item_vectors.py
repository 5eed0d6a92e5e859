"""Vectors of items that come from a table: what a reading asks of whoever holds them.

They are no part of the record. The record keeps the user's last events; a reading looks their items up in one version
of a table and composes the embedding (docs/design/item-vectors.md). The core is given the vectors and fetches none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


class ItemVectors(Protocol):
    """One version of one table, as much of it as a reading needs. Looking up is memory, and never waits."""

    @property
    def version(self) -> str:
        """What names these vectors and no others; empty where there is no table."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers a vector."""
        ...

    def lookup(self, ids: Sequence[str]) -> tuple[F32, Bool]:
        """Return (m, dimensions) vectors, zeros where there is none, and (m,) whether there is one."""
        ...

    def gram(self) -> F64:
        """Return (dimensions, dimensions): the sum of z z^T over every item of the table, not only those at hand."""
        ...


class NoVectors:
    """The table that is not there: every item is missing."""

    version = ""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def lookup(self, ids: Sequence[str]) -> tuple[F32, Bool]:
        """Return zeros and that there is nothing."""
        return np.zeros((len(ids), self.dimensions), np.float32), np.zeros(len(ids), np.bool_)

    def gram(self) -> F64:
        """Return zeros."""
        return np.zeros((self.dimensions, self.dimensions))
