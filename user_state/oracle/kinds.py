"""The kinds of embedding that the oracle knows, by name."""

from __future__ import annotations

from user_state.oracle.embeddings import VECTORS, EmbeddingKind
from user_state.oracle.recent_items import RECENT_ITEMS

EMBEDDINGS: dict[str, EmbeddingKind] = {
    **VECTORS,
    "recent_items": RECENT_ITEMS,
}
