"""Lists over windows by brute force: the last, the first, the last distinct values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from user_state.oracle.events import AppliedEvent, plain
from user_state.oracle.question import Aggregate, Question, of_field


def _having(asked: Question) -> list[AppliedEvent]:
    """Return the events inside the window that have the field, oldest first."""
    assert asked.feature.of is not None  # noqa: S101  # the model demands it of all of these
    return [e for e in asked.inside if e.event.get(asked.feature.of) is not None]


def _listed(asked: Question, events: Sequence[AppliedEvent]) -> list[Any] | dict[str, list[Any]]:
    """Return the field's values, or, where others stand beside it, those of each by name."""
    assert asked.feature.of is not None  # noqa: S101
    names = [asked.feature.of, *asked.feature.with_]
    columns = {name: [plain(e.event.get(name)) for e in events] for name in names}
    return columns if asked.feature.with_ else columns[asked.feature.of]


def _last_k(asked: Question) -> Any:
    return _listed(asked, _having(asked)[::-1][: asked.feature.k])


def _first_k(asked: Question) -> Any:
    return _listed(asked, _having(asked)[: asked.feature.k])


def _last_distinct_k(asked: Question) -> Any:
    assert asked.feature.of is not None  # noqa: S101
    met: list[Any] = []
    chosen = []
    for event in _having(asked)[::-1]:
        value = event.event[asked.feature.of]
        if value not in met:
            met.append(value)
            chosen.append(event)
    return _listed(asked, chosen[: asked.feature.k])


def _edge(newest: bool) -> Aggregate:
    """Return the aggregation that is the newest, or oldest, value as a number."""

    def answer(asked: Question) -> float:
        values = asked.values(_having(asked))
        return values[-1 if newest else 0] if values else asked.or_default(math.nan)

    return Aggregate(answer, of_field)


LISTS = {
    "last_k": Aggregate(_last_k, of_field),
    "first_k": Aggregate(_first_k, of_field),
    "last_distinct_k": Aggregate(_last_distinct_k, of_field),
    "last": _edge(newest=True),
    "first": _edge(newest=False),
}
