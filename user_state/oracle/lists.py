"""Lists over windows by brute force."""

from __future__ import annotations

from typing import Any

from user_state.oracle.events import plain
from user_state.oracle.question import Aggregate, Question, of_field


def _last_k(asked: Question) -> list[Any]:
    assert asked.feature.of is not None  # noqa: S101  # the model demands both of last_k
    assert asked.feature.k is not None  # noqa: S101
    found = [plain(e.event.get(asked.feature.of)) for e in reversed(asked.inside)]
    return [value for value in found if value is not None][: asked.feature.k]


LISTS = {"last_k": Aggregate(_last_k, of_field)}
