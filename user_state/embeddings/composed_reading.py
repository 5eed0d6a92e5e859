"""Outputs that are composed of item vectors at the moment of reading: embeddings over tables, and what interests weigh.

Everything else is finished by the compiled reader, from packed records alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from user_state.embeddings.composing import Composing, compose, take_part
from user_state.embeddings.fold_in import Ridge, fold_in
from user_state.embeddings.interests import Interests, find_interests
from user_state.embeddings.item_vectors import F32, ItemVectors
from user_state.plan.outputs import (
    AnyComposed,
    FoldInOutput,
    History,
    InterestsOutput,
    InterestWeightsOutput,
)
from user_state.plan.plan import Plan
from user_state.state.events import F64, I64
from user_state.state.log_rows import Histories


@dataclass(frozen=True)
class Composed:
    """What was composed for n users.

    Attributes:
        arrays: by name, (n, K) what interests weigh.
        embeddings: by name, (n, dimensions); interests (n, K, dimensions).
        item_versions: table -> the version that embeddings over it were composed with, empty if there is none.
        missing_items: by name of an embedding, (n,) how many of the user's last events name an item that has no vector.
    """

    arrays: dict[str, F64]
    embeddings: dict[str, F32]
    item_versions: dict[str, str]
    missing_items: dict[str, I64]


def read_composed(
    plan: Plan, histories: Histories, at_us: int | I64, item_vectors: Mapping[str, ItemVectors]
) -> Composed:
    """Return what a plan composes of n users' histories.

    Args:
        plan: what to read; outputs that are not composed are left out.
        histories: of the logs that its outputs are composed of.
        at_us: when, microseconds UTC: one time, or (n,).
        item_vectors: of each of its tables, at least those of `composing.mentioned`.

    Raises:
        ValueError: the vectors of a table are not given, or have another dimension than the plan's.
    """
    times_us = np.empty(len(histories), np.int64)
    times_us[:] = at_us
    weighed = [output for output in plan.arrays if isinstance(output, InterestWeightsOutput)]
    parts: dict[tuple[str, History], Composing] = {}
    for one in dict.fromkeys((*plan.composed, *(output.of for output in weighed))):
        check_vectors(one, item_vectors)
        if (one.table, one.history) not in parts:
            parts[one.table, one.history] = take_part(histories, one.history, item_vectors[one.table])
    found: dict[InterestsOutput, Interests] = {}

    def interests(output: InterestsOutput) -> Interests:
        if output not in found:
            found[output] = find_interests(parts[output.table, output.history], output, times_us)
        return found[output]

    embeddings: dict[str, F32] = {}
    for output in plan.composed:
        part = parts[output.table, output.history]
        if isinstance(output, InterestsOutput):
            embeddings[output.name] = interests(output).vectors
        elif isinstance(output, FoldInOutput):
            # By what it is made of: half-lives share one.
            name = f"ridge of {output.table}, {output.alpha0} and {output.regularisation}"
            embeddings[output.name] = fold_in(part, output, plan.prepared.setdefault(name, Ridge()))
        else:
            embeddings[output.name] = compose(part, output, times_us)
    return Composed(
        arrays={output.name: interests(output.of).weights for output in weighed},
        embeddings=embeddings,
        item_versions={table: item_vectors[table].version for table in plan.item_tables},
        missing_items={o.name: parts[o.table, o.history].missing for o in plan.composed},
    )


def read_composed_in_parts(
    plan: Plan, histories: Histories, at_us: I64, parts: Sequence[tuple[I64, Mapping[str, ItemVectors]]]
) -> Composed:
    """Return what a plan composes of n users' histories, some users with other versions of tables than others.

    Args:
        plan: as for `read_composed`.
        histories: likewise.
        at_us: (n,) when, microseconds UTC.
        parts: (which users, ascending; the item vectors that they are read with); each user is in one.

    Returns:
        As `read_composed`, but for the versions: `item_versions` is empty.

    Raises:
        ValueError: as `read_composed`.
    """
    arrays: dict[str, F64] = {}
    embeddings: dict[str, F32] = {}
    missing: dict[str, I64] = {}
    for users, vectors in parts:
        one = read_composed(plan, histories.of_users(users), at_us[users], vectors)
        for whole, part in ((arrays, one.arrays), (embeddings, one.embeddings), (missing, one.missing_items)):
            for name, values in part.items():
                if name not in whole:
                    whole[name] = np.zeros((len(histories), *values.shape[1:]), values.dtype)
                whole[name][users] = values
    return Composed(arrays, embeddings, {}, missing)


def check_vectors(output: AnyComposed, held: Mapping[str, ItemVectors]) -> None:
    """Make sure that the vectors which an output is composed of are given.

    Raises:
        ValueError: they are not, or have another dimension than the plan's.
    """
    table, dimensions = output.table, output.dimensions
    if table not in held or held[table].dimensions != dimensions:
        got = f"{held[table].dimensions} dimensions" if table in held else "none"
        raise ValueError(f"expected vectors of {dimensions} dimensions of table {table}, got {got}")
