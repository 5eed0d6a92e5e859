"""Distinct values over windows by brute force."""

from __future__ import annotations

from user_state.oracle.question import Aggregate, Question, of_field

CAP = 1000
"""How many are counted if the spec does not say, as documented for it."""


def _distinct(asked: Question) -> float:
    values = asked.different(asked.inside)
    cap = CAP if asked.feature.cap is None else asked.feature.cap
    return float(min(len(values), cap)) or asked.or_default(0.0)


DISTINCT = {"distinct": Aggregate(_distinct, of_field)}
