"""Which items of a table a vector points to: brute force, or an approximate index for large tables.

Brute force is one product with the whole table and a partition of the scores: exact, about 1 ms for 10^5 items of 64
dimensions. Beyond `ANN_FROM` items an HNSW graph of the usearch library answers, if it is installed; while the graph
is being built, which takes a minute a million items, and without the library, brute force goes on answering.

Source: Malkov, Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
World graphs", TPAMI 2020.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.embeddings.item_vectors import F32
from user_state.embeddings.table import ItemTable

ANN_FROM = 100_000
CONNECTIVITY, EFFORT_BUILDING, EFFORT_SEARCHING = 32, 128, 256
"""Of the graph: edges a node, candidates kept when building, and when searching; recall against time."""
MARGIN = 2
"""An approximate search asks for this many times more, and the best of them by exact score are given."""


@dataclass(frozen=True)
class Nearest:
    """The nearest items of a table, the best first.

    Attributes:
        items: ids.
        scores: (items,) inner products with the vector; of several vectors the greatest.
        version: of the table.
        exact: whether every item of the table was looked at.
    """

    items: tuple[str, ...]
    scores: F32
    version: str
    exact: bool


class NearestItems:
    """Searches one table; safe to share between threads.

    Args:
        table: the items.
        ann_from: tables of more items than this get a graph, if usearch is installed.
    """

    def __init__(self, table: ItemTable, *, ann_from: int = ANN_FROM) -> None:
        self._table = table
        self._graph: Any = None
        self._builder: threading.Thread | None = None
        if len(table) > ann_from and _usearch() is not None:
            self._builder = threading.Thread(target=self._build, daemon=True)
            self._builder.start()

    @property
    def version(self) -> str:
        """Of the table."""
        return self._table.version

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the graph, if one is wanted, has been built; return whether there is nothing to wait for."""
        if self._builder is not None:
            self._builder.join(timeout_s)
            return not self._builder.is_alive()
        return True

    def search(self, vectors: F32, k: int, exclude: Collection[str] = ()) -> Nearest:
        """Return the `k` items with the greatest inner product with any of (interests, dimensions) vectors.

        Fewer, if the table without `exclude` has fewer. Equal scores are given in the order of the table.
        """
        rows = self._table.rows
        left_out = np.array(sorted({rows[item] for item in exclude if item in rows}), np.int64)
        wanted = min(k, len(self._table) - len(left_out))
        graph = self._graph
        if len(vectors) == 0 or wanted <= 0:
            return Nearest((), np.zeros(0, np.float32), self.version, graph is None)
        if graph is None:
            scores = (self._table.vectors @ vectors.T).max(axis=1)
            scores[left_out] = -np.inf
            least = scores[np.argpartition(-scores, wanted - 1)[wanted - 1]]
            likely = np.flatnonzero(scores >= least)  # more than are wanted, where several equal the last
            found = scores[likely]
        else:
            asked = min(MARGIN * k + len(left_out), len(self._table))
            likely = np.unique(np.concatenate([_found(graph, vector, asked) for vector in vectors]))
            likely = np.setdiff1d(likely, left_out)
            found = (self._table.vectors[likely] @ vectors.T).max(axis=1)
        best = np.lexsort((likely, -found))[:wanted]
        items = tuple(self._table.ids[row] for row in likely[best].tolist())
        return Nearest(items, found[best].astype(np.float32), self.version, graph is None)

    def _build(self) -> None:
        index = _usearch()
        if index is None:
            return
        graph = index.Index(
            ndim=self._table.dimensions,
            metric="ip",
            dtype="f32",
            connectivity=CONNECTIVITY,
            expansion_add=EFFORT_BUILDING,
            expansion_search=EFFORT_SEARCHING,
        )
        graph.add(np.arange(len(self._table)), self._table.vectors)
        self._graph = graph


def _found(graph: Any, vector: F32, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(graph.search(vector, count).keys, np.int64)


def _usearch() -> Any:
    try:
        from usearch import index
    except ImportError:
        return None
    return index
