"""Outputs whose values depend, beyond their caps, on the batches in which events were folded: are they within bounds?

Tables of keys above `keys` keys, sketches above what they hold exactly, and vectors in half precision may differ
between two records of the same events. Their values are then held to the bounds that they state, by brute force over
the events that the record was made of, which are read from the files once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from user_state import oracle
from user_state.oracle.events import plain
from user_state.oracle.features import AGGREGATES
from user_state.oracle.replay import clocks_of
from user_state.spec import LoadedSpec
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.embedding_kinds import HASH
from user_state.spec.model import Spec

Key = tuple[int, int, int]
"""What names a message: hash of the event's id, publish time, event time."""
RELATIVE = 1e-6
"""Of the largest of a vector's numbers: their last bits depend on the order of additions."""


@dataclass(frozen=True)
class Doubt:
    """An answer that differs from history in outputs with bounds alone.

    Attributes:
        user: whose.
        at_us: the reading time.
        served: by output, what was served, by column.
        events: the messages that the record was made of, and copies of these.
    """

    user: str
    at_us: int
    served: Mapping[str, Mapping[str, Any]]
    events: frozenset[Key]


def outputs_with_bounds(spec: Spec) -> frozenset[str]:
    """Return the outputs that may have bounds."""
    found = set()
    for name, feature in spec.features.items():
        for aggregate in feature.aggregate:
            known = AGGREGATES[aggregate]
            if known.bounds is not None or known.accepts is not None:
                halved = AGGREGATIONS[aggregate].over == "half_life"
                found |= {f"{name}_{aggregate}_{over}" for over in (feature.half_life if halved else feature.windows)}
    for name, embedding in spec.embeddings.items():
        if embedding.vectors == HASH and embedding.storage == "float16":
            found |= {output for output, _ in embedding.outputs(name)}
    return frozenset(found)


def beyond_bounds(
    spec: LoadedSpec, doubts: Sequence[Doubt], read: Callable[[], Iterator[oracle.Arrival]], delay_us: int
) -> Iterator[list[str]]:
    """Yield of each doubt the outputs that are not within their bounds.

    Args:
        spec: of the outputs.
        doubts: which answers.
        read: reads all events.
        delay_us: how long after its publish time an event arrives.
    """
    if not doubts:
        return
    wanted = {one.user for one in doubts}
    messages: dict[str, list[tuple[Key, oracle.Arrival]]] = defaultdict(list)
    for arrival in read():
        clocks = clocks_of(spec.spec, arrival)
        if clocks is None or arrival.event is None:
            continue
        user = oracle.id_of(arrival.event[spec.spec.events.user])
        if user in wanted:
            id_hash = xxhash.xxh64_intdigest(oracle.id_of(arrival.event[spec.spec.events.id]).encode())
            messages[user].append(((id_hash, clocks[1], clocks[0]), arrival))
    asked = _of_outputs(spec.spec, {name for one in doubts for name in one.served})
    for one in doubts:
        made_of = [arrival for key, arrival in messages[one.user] if key in one.events]
        in_order = oracle.in_order_of_arrival(spec.spec, made_of)
        applied = oracle.replay(spec.spec, in_order, delay_us=delay_us).applied.get(one.user, [])
        expected = oracle.features(asked, applied, one.at_us, {})
        yield [name for name, columns in one.served.items() if not _is_within(name, columns, expected)]


def _of_outputs(spec: Spec, names: set[str]) -> Spec:
    """Return a spec with what these outputs are of alone: nothing else is worked out."""
    of = {name for name in spec.features if any(one.startswith(f"{name}_") for one in names)}
    embeddings = {
        name: one
        for name, one in spec.embeddings.items()
        if one.vectors == HASH and any(output in names for output, _ in one.outputs(name))
    }
    features = {name: one for name, one in spec.features.items() if name in of}
    return spec.model_copy(update={"features": features, "sequences": {}, "embeddings": embeddings})


def _is_within(name: str, columns: Mapping[str, Any], expected: oracle.Expected) -> bool:
    if name in expected.accepts:
        lists = {column.removeprefix(name).removeprefix("."): _plain(values) for column, values in columns.items()}
        return bool(expected.accepts[name](lists.get("", lists)))
    if name not in expected.bounds:
        return False
    (value,) = columns.values()
    held, (low, high) = np.asarray(value, np.float32), (np.asarray(one, np.float32) for one in expected.bounds[name])
    slack = RELATIVE * float(np.nanmax(np.abs(high), initial=0.0))
    nothing = np.isnan(held) & np.isnan(low)
    return held.shape == low.shape and bool(np.all(((low - slack <= held) & (held <= high + slack)) | nothing))


def _plain(values: list[Any]) -> list[Any]:
    """Return values as the client gives them: times as microseconds."""
    return [None if value is None else plain(value) for value in values]
