"""Whether the tables of item vectors that embeddings name are declared.

Works on the values as they stand in the file and skips what is malformed, which `model_problems` reports.
"""

from __future__ import annotations

from collections.abc import Iterator

from user_state.errors import shorten
from user_state.spec.embedding_kinds import HASH
from user_state.spec.problems import Problem, did_you_mean, listing
from user_state.spec.yaml_document import Document


def table_problems(document: Document) -> Iterator[Problem]:
    """Yield a problem for each table that is named and not declared, and for one that has the name of hash vectors."""
    tables = list(document.mapping("items"))
    if HASH in tables:
        yield document.problem(
            ("items", HASH), f"expected another name for a table, {HASH!r} is for vectors without one"
        )
    for name, embedding in document.entries("embeddings"):
        wanted = embedding.get("vectors", HASH)
        if isinstance(wanted, str) and wanted != HASH and wanted not in tables:
            there = f"available tables: {listing(tables)}" if tables else "there is none yet, declare it there"
            got = f"{shorten(wanted)}{did_you_mean(wanted, tables)}; {there}"
            path = ("embeddings", name, "vectors")
            yield document.problem(path, f"expected {HASH} or a table under `items:`, got {got}")
        elif embedding.get("kind") == "fold_in" and isinstance(wanted, str) and _is_learned(document, wanted):
            text = f"expected a loaded table for kind fold_in, which sums over all of its items, got {wanted}, learned"
            yield document.problem(("embeddings", name, "vectors"), text)


def _is_learned(document: Document, table: str) -> bool:
    return "learned" in document.mapping("items", table)
