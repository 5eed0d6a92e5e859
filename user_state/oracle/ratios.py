"""Ratios and histograms over windows by brute force."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.oracle.events import has, matches, plain
from user_state.oracle.numbers import NUMBERS
from user_state.oracle.question import Aggregate, Question, of_field
from user_state.spec.model import Feature, Part


def _ratio(asked: Question) -> float:
    assert asked.feature.numerator is not None  # noqa: S101  # the model demands both
    assert asked.feature.denominator is not None  # noqa: S101
    above, below = _part(asked, asked.feature.numerator), _part(asked, asked.feature.denominator)
    prior = asked.feature.prior
    if prior is not None:
        above, below = above + prior.rate * prior.weight, below + prior.weight
    with np.errstate(all="ignore"):
        ratio = float(np.float64(above) / np.float64(below))
    return ratio if math.isfinite(ratio) else asked.or_default(math.nan)


def _part(asked: Question, part: Part) -> float:
    feature = Feature.model_construct(aggregate=[part.aggregate], of=part.of, default=None)
    matching = [e for e in asked.matching if matches(e.event, part.where) and has(e.event, part.of)]
    answer: float = NUMBERS[part.aggregate].answer(dataclasses.replace(asked, feature=feature, matching=matching))
    return answer


def _in_a_part(feature: Feature, event: Mapping[str, Any]) -> bool:
    return any(
        matches(event, part.where) and has(event, part.of)
        for part in (feature.numerator, feature.denominator)
        if part is not None
    )


def _histogram(asked: Question) -> npt.NDArray[np.float64]:
    counts = np.zeros(len(asked.feature.edges) + 1)
    for event in asked.inside:
        # As it is, and not as a float: Python compares whole numbers with edges exactly.
        value = plain(event.event.get(asked.feature.of or ""))
        if value is not None:
            counts[sum(edge <= value for edge in asked.feature.edges)] += 1
    return counts


RATIOS = {
    "ratio": Aggregate(_ratio, lambda _feature: [], _in_a_part),
    "histogram": Aggregate(_histogram, of_field),
}
