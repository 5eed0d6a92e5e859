"""Decayed vectors: one piece of state for every (field, dimensions, half-lives, weights)."""

from __future__ import annotations

import json

from user_state.core.compile.builder import Builder
from user_state.core.plan import EmbeddingOutput, Vectors
from user_state.durations import parse_duration_us
from user_state.spec.embedding import Embedding


def decayed_vectors(builder: Builder, name: str, declared: Embedding) -> None:
    """Add an embedding's vector for each of its half-lives."""
    of = builder.field(declared.of)
    weighed_by = declared.weight_field if declared.weights is not None else None
    weight_field = None if weighed_by is None else builder.field(weighed_by)
    half_lives_us = tuple(parse_duration_us(text) for text in declared.half_life)
    weights = json.dumps(declared.weights, sort_keys=True, ensure_ascii=False)
    key = (
        f"{declared.kind} of {declared.of} in {declared.dimensions} by {list(half_lives_us)}"
        f" weighed by {weighed_by} {weights}"
    )
    piece = Vectors(key, of, declared.dimensions, half_lives_us, weight_field, declared.weights)
    index = builder.keep(builder.vectors, piece)
    for position, (output, _) in enumerate(declared.outputs(name)):
        builder.embeddings.append(EmbeddingOutput(output, index, position, declared.dimensions))
