"""One user's features at one moment, from the events that were applied."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.oracle.calendar import CALENDAR
from user_state.oracle.composed import ItemTable
from user_state.oracle.distinct import DISTINCT
from user_state.oracle.embeddings import EmbeddingQuestion, composed
from user_state.oracle.events import AppliedEvent, has, matches, plain
from user_state.oracle.keyed import KEYED
from user_state.oracle.kinds import EMBEDDINGS
from user_state.oracle.lists import LISTS
from user_state.oracle.numbers import NUMBERS
from user_state.oracle.question import Aggregate, Question
from user_state.oracle.ratios import RATIOS
from user_state.oracle.sessions import SESSIONS
from user_state.oracle.sketches import SKETCHES
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.embedding_kinds import HASH
from user_state.spec.model import Spec

AGGREGATES: dict[str, Aggregate] = {
    **NUMBERS,
    **LISTS,
    **RATIOS,
    **DISTINCT,
    **CALENDAR,
    **SESSIONS,
    **SKETCHES,
    **KEYED,
}


@dataclass(frozen=True)
class Expected:
    """One user's features at one moment, by output name; sequences are field -> values, newest first.

    `bounds` has the least and the greatest value that may be given for those of `scalars` and `arrays` that are
    sketched, and those of `embeddings` that are stored in half precision; what they hold themselves is exact.
    """

    scalars: dict[str, float]
    arrays: dict[str, npt.NDArray[np.float64]]
    sequences: dict[str, list[Any] | dict[str, list[Any]]]
    embeddings: dict[str, npt.NDArray[np.float64]]
    bounds: dict[str, tuple[Any, Any]]
    accepts: dict[str, Callable[[Any], bool]]


def features(
    spec: Spec,
    applied_events: Iterable[AppliedEvent],
    at_us: int,
    item_tables: Mapping[str, ItemTable] | None = None,
) -> Expected:
    """Return the features at `at_us` (microseconds UTC) of the one user who did `applied_events`, in any order.

    `item_tables` holds the tables that embeddings of the spec are over.
    """
    events = sorted(applied_events, key=lambda e: (e.time_us, e.id_hash))
    expected = Expected({}, {}, {}, {}, {}, {})

    for name, feature in spec.features.items():
        matching = [e for e in events if matches(e.event, feature.where) and has(e.event, feature.of)]
        for aggregate in feature.aggregate:
            for over in feature.half_life if AGGREGATIONS[aggregate].over == "half_life" else feature.windows:
                question = Question(spec, feature, matching, over, at_us)
                answer = AGGREGATES[aggregate].answer(question)
                output = f"{name}_{aggregate}_{over}"
                bounds = AGGREGATES[aggregate].bounds
                within = None if bounds is None else bounds(question)
                if within is not None:
                    expected.bounds[output] = within
                accepts = AGGREGATES[aggregate].accepts
                if accepts is not None:
                    expected.accepts[output] = functools.partial(accepts, question)
                if isinstance(answer, float):
                    expected.scalars[output] = answer
                elif isinstance(answer, np.ndarray):
                    expected.arrays[output] = answer
                else:
                    expected.sequences[output] = answer

    for name, sequence in spec.sequences.items():
        wanted = [e for e in events if matches(e.event, sequence.where)]
        if sequence.within is not None:
            wanted = [e for e in wanted if e.time_us >= at_us - sequence.within]
        newest_first = wanted[::-1][: sequence.last]
        expected.sequences[name] = {f: [plain(e.event.get(f)) for e in newest_first] for f in sequence.fields}

    for name, embedding in spec.embeddings.items():
        for output, half_life in embedding.outputs(name):
            asked = EmbeddingQuestion(embedding, half_life, events, at_us)
            if embedding.vectors != HASH:
                assert item_tables is not None  # noqa: S101  # whoever asks is mistaken
                dimensions = spec.items[embedding.vectors].dimensions
                vector, weights = composed(asked, item_tables[embedding.vectors], dimensions)
                expected.embeddings[output] = vector
                if weights is not None:
                    expected.arrays[f"{output}_weights"] = weights
                continue
            found = EMBEDDINGS[embedding.kind].answer(asked)
            allowed = EMBEDDINGS[embedding.kind].bounds(asked)
            if allowed is not None:
                expected.bounds[output] = allowed
            if isinstance(found, np.ndarray):
                expected.embeddings[output] = found
            else:
                expected.sequences[output] = found
    return expected
