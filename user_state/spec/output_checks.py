"""Whether every output of a spec has a name of its own.

Works on the values as they stand in the file and skips what is malformed, which `model_problems` reports.
"""

from __future__ import annotations

from collections.abc import Iterator

from user_state.errors import shorten
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.embedding_kinds import EMBEDDING_KINDS
from user_state.spec.problems import KeyPath, Problem, spell
from user_state.spec.yaml_document import Document


def output_problems(document: Document) -> Iterator[Problem]:
    """Yield a problem for each output whose name another output has already."""
    first: dict[str, KeyPath] = {}
    for path, output in _outputs(document):
        owner = first.setdefault(output, path)
        if owner != path:
            text = f"expected unique names of outputs, but {shorten(output)} is also an output of {spell(owner)}"
            yield document.problem(path, f"{text} on line {document.line(owner)}")


def _outputs(document: Document) -> Iterator[tuple[KeyPath, str]]:
    for name, feature in document.entries("features"):
        if "aggregate" in feature:
            for _, aggregate in document.items(("features", name, "aggregate")):
                over = (
                    AGGREGATIONS[aggregate].over if isinstance(aggregate, str) and aggregate in AGGREGATIONS else None
                )
                if over in feature:
                    for _, reach in document.items(("features", name, over)):
                        yield ("features", name), f"{name}_{aggregate}_{reach}"
    for name, _ in document.entries("sequences"):
        yield ("sequences", name), name
    for name, embedding in document.entries("embeddings"):
        kind = embedding.get("kind")
        if isinstance(kind, str) and kind in EMBEDDING_KINDS and EMBEDDING_KINDS[kind].over is None:
            yield ("embeddings", name), name
        elif "half_life" in embedding:
            for _, half_life in document.items(("embeddings", name, "half_life")):
                yield ("embeddings", name), f"{name}_{half_life}"
                if kind == "interests":
                    yield ("embeddings", name), f"{name}_{half_life}_weights"
