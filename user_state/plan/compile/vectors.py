"""Decayed vectors: one piece of state for every (filter, field, dimensions, half-lives, weights).

Mean, sum and direction are read from the same piece. How it is stored is no part of its definition: a changed
`storage` goes on from the sums there are.
"""

from __future__ import annotations

import json
from typing import Literal

from user_state.durations import parse_duration_us
from user_state.plan.compile.builder import Builder
from user_state.plan.outputs import EmbeddingOutput
from user_state.plan.state_definitions import Vectors
from user_state.spec.embedding import Embedding

COMPONENT_BYTES = {"float32": 4, "float16": 2}


def decayed_vectors(builder: Builder, name: str, declared: Embedding) -> None:
    """Add an embedding's vector for each of its half-lives."""
    where, of = builder.filter(declared.where), builder.id_field(declared.of)
    weighed_by = declared.weight_field if declared.weights is not None else None
    weight_field = None if weighed_by is None else builder.field(weighed_by)
    half_lives_us = tuple(parse_duration_us(text) for text in declared.half_life)
    weights = json.dumps(declared.weights, sort_keys=True, ensure_ascii=False)
    key = (
        f"vectors {builder.filter_text(where)} of {declared.of} in {declared.dimensions} by {list(half_lives_us)}"
        f" weighed by {weighed_by} {weights}"
    )
    old = builder.vectors.get(key)
    size = max(COMPONENT_BYTES[declared.storage], old.component_bytes if old else 0)
    piece = Vectors(key, where, of, declared.dimensions, half_lives_us, weight_field, declared.weights, size)
    index = builder.keep(builder.vectors, piece)
    read: Literal["mean", "sum"] = "mean" if declared.kind == "decayed_mean" else "sum"
    unit = declared.normalise == "unit"
    for position, (output, _) in enumerate(declared.outputs(name)):
        builder.embeddings.append(EmbeddingOutput(output, index, position, declared.dimensions, read, unit))
