"""Embeddings over a table of item vectors: a log of what they are composed of, and how they are read from it.

The log is that of a `last_k` of the same field and filter, and so are the bytes. Which events count, by filter and
weights, is the log's filter; a further half-life, or another kind over the same events, adds nothing to a record.
"""

from __future__ import annotations

from typing import Literal

from user_state.durations import parse_duration_us
from user_state.plan.compile.builder import Builder
from user_state.plan.compile.logs import kept_log
from user_state.plan.outputs import ComposedOutput, FoldInOutput, History, InterestsOutput, InterestWeightsOutput
from user_state.spec.embedding import Embedding
from user_state.spec.filters import AllOf, OneOf, both


def composed_vectors(builder: Builder, name: str, declared: Embedding) -> None:
    """Add a decayed mean or sum of a table's vectors for each half-life."""
    history, dimensions = _history(builder, declared), _dimensions(builder, declared)
    read: Literal["mean", "sum"] = "mean" if declared.kind == "decayed_mean" else "sum"
    unit = declared.normalise == "unit"
    for output, half_life_us in _outputs(name, declared):
        made = ComposedOutput(output, history, declared.vectors, dimensions, half_life_us, read, unit)
        builder.embeddings.append(made)


def folded_in(builder: Builder, name: str, declared: Embedding) -> None:
    """Add the user's factor for each half-life."""
    history, dimensions = _history(builder, declared), _dimensions(builder, declared)
    for output, half_life_us in _outputs(name, declared):
        settings = (declared.alpha0, declared.regularisation)
        builder.embeddings.append(FoldInOutput(output, history, declared.vectors, dimensions, half_life_us, *settings))


def interests(builder: Builder, name: str, declared: Embedding) -> None:
    """Add the user's centroids, and what they weigh, for each half-life."""
    history, dimensions = _history(builder, declared), _dimensions(builder, declared)
    for output, half_life_us in _outputs(name, declared):
        settings = (declared.most, declared.threshold)
        found = InterestsOutput(output, history, declared.vectors, dimensions, half_life_us, *settings)
        builder.embeddings.append(found)
        builder.arrays.append(InterestWeightsOutput(f"{output}_weights", declared.kind, found))


def _outputs(name: str, declared: Embedding) -> list[tuple[str, int]]:
    return [(output, parse_duration_us(text)) for output, text in declared.outputs(name) if text is not None]


def _dimensions(builder: Builder, declared: Embedding) -> int:
    return builder.spec.items[declared.vectors].dimensions


def _history(builder: Builder, declared: Embedding) -> History:
    """Return the log of the last events that count, with what they weigh."""
    of = builder.id_field(declared.of)
    where = declared.where
    fields: tuple[int, ...] = (of,)
    if declared.weights is not None:
        by = declared.weight_field
        where = both(where, AllOf((OneOf(by, tuple(declared.weights)),)))
        fields = (of, builder.field(by))
    log, columns = kept_log(builder, "last", builder.filter(where), of, fields, declared.last, None)
    weights = None if declared.weights is None else tuple(declared.weights.items())
    # By position, since two embeddings may weigh the rows of one log differently.
    return History(log, columns[0], columns[1] if weights else None, weights, declared.last)
