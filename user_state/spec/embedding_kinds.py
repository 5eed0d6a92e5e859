"""The kinds an embedding can be of: which keys each needs or takes beside `kind:` and `of:`.

The model's rules, the names of outputs and the documentation's completeness are read from this table, so that a kind is
declared in one place. Beyond it, a kind is a compiler in `user_state/plan/compile/`, what reads it
(`native/families/vectors/features.cpp`, or `user_state/embeddings/` of item tables), and a brute force in
`user_state/oracle/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HASH = "hash"
"""Vectors drawn from the ids of items, which need no table."""
ONLY_HASHED = frozenset({"dimensions", "storage"})
"""Keys for vectors that are summed up in the record."""
ONLY_COMPOSED = frozenset({"last"})
"""Keys for vectors that are looked up in a table when they are read."""


@dataclass(frozen=True)
class EmbeddingKind:
    """One kind of embedding.

    Attributes:
        over: the key whose entries it has an output for, None if it has one output, named as the embedding.
        needs: keys that must be there.
        takes: keys that may be there.
    """

    over: Literal["half_life"] | None = "half_life"
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """Every key that must be there."""
        return (*self.needs, *((self.over,) if self.over else ()))

    @property
    def composed_only(self) -> bool:
        """Whether it is composed of a table's vectors, whatever the spec says."""
        return "vectors" in self.needs

    def needed_over(self, vectors: str) -> tuple[str, ...]:
        """Return every key that must be there, given what the vectors come from; a table has its own dimension."""
        return tuple(key for key in self.needed if vectors == HASH or key not in ONLY_HASHED)

    @property
    def usable(self) -> tuple[str, ...]:
        """Every key that must or may be there."""
        return (*self.needed, *self.takes)


DEFAULT_RECENT, DEFAULT_RECENT_KEPT = 8, 64
DECAYED = EmbeddingKind(
    needs=("dimensions",),
    takes=("where", "weights", "weight_field", "storage", "normalise", "vectors", "last"),
)
COMPOSED = ("where", "weights", "weight_field", "last")
EMBEDDING_KINDS: dict[str, EmbeddingKind] = {
    "decayed_mean": DECAYED,
    "decayed_sum": DECAYED,
    "fold_in": EmbeddingKind(needs=("vectors",), takes=(*COMPOSED, "alpha0", "regularisation")),
    "interests": EmbeddingKind(needs=("vectors",), takes=(*COMPOSED, "most", "threshold")),
    "recent_items": EmbeddingKind(takes=("where", "weights", "weight_field", "k", "keys")),
}
