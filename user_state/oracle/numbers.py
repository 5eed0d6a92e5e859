"""Numbers over windows and half-lives by brute force: counts, sums, moments, times and decayed sums."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from user_state.oracle.question import Aggregate, Question, of_events, of_field, total


def _count(asked: Question) -> float:
    return float(len(asked.inside)) or asked.or_default(0.0)


def _sum(asked: Question) -> float:
    values = asked.values(asked.inside)
    return total(values) if values else asked.or_default(0.0)


def _over_values(work_out: Callable[[Sequence[float]], float]) -> Aggregate:
    """Return the aggregation that is `work_out` of the field's values, and has no value over none."""

    def answer(asked: Question) -> float:
        values = asked.values(asked.inside)
        return work_out(values) if values else asked.or_default(math.nan)

    return Aggregate(answer, of_field)


def _central_moment(values: Sequence[float], order: int) -> float:
    if min(values) == max(values):
        return 0.0  # their mean, rounded, might differ from them
    mean = total(values) / len(values)
    return total([(value - mean) ** order for value in values]) / len(values)


def _standardised(values: Sequence[float], order: int) -> float | None:
    """Return the moment in units of the standard deviation, None where all values are equal."""
    variance = _central_moment(values, 2)
    return _central_moment(values, order) / variance ** (order / 2) if variance > 0 else None


def _geometric_mean(asked: Question) -> float:
    values = asked.values(asked.inside)
    if not values or min(values) < 0:
        return asked.or_default(math.nan)
    if min(values) == 0:
        return 0.0
    # A product of mantissas between 1/2 and 1, and exponents apart: no value is too large or too small for it.
    mantissas, exponents = zip(*(math.frexp(value) for value in values), strict=True)
    logarithm = math.fsum(math.log2(mantissa) for mantissa in mantissas) + sum(exponents)
    return float(2.0 ** (logarithm / len(values)))


def _skew(values: Sequence[float]) -> float:
    return _standardised(values, 3) or 0.0


def _kurtosis(values: Sequence[float]) -> float:
    fourth = _standardised(values, 4)
    return 0.0 if fourth is None else fourth - 3


def _recency(asked: Question) -> float:
    times_us = [e.time_us for e in asked.inside]
    return max(asked.at_us - times_us[-1], 0) / 1e6 if times_us else asked.or_default(math.nan)


def _first_seen(asked: Question) -> float:
    times_us = [e.time_us for e in asked.inside]
    return max(asked.at_us - times_us[0], 0) / 1e6 if times_us else asked.or_default(math.nan)


def _gap_mean(asked: Question) -> float:
    gaps = [later.time_us - earlier.time_us for earlier, later in itertools.pairwise(asked.inside)]
    return sum(gaps) / len(gaps) / 1e6 if gaps else asked.or_default(math.nan)


def _longest_gap(asked: Question) -> float:
    gaps = [later.time_us - earlier.time_us for earlier, later in itertools.pairwise(asked.inside)]
    return max(gaps) / 1e6 if gaps else asked.or_default(math.nan)


def _decayed_count(asked: Question) -> float:
    terms = [2.0 ** (-(asked.at_us - e.time_us) / asked.half_life_us) for e in asked.matching]
    return total(terms) if terms else asked.or_default(0.0)


def _decayed_sum(asked: Question) -> float:
    terms = []
    for event in asked.matching:
        for value in asked.values([event]):
            terms.append(value * 2.0 ** (-(asked.at_us - event.time_us) / asked.half_life_us))
    return total(terms) if terms else asked.or_default(0.0)


NUMBERS = {
    "count": Aggregate(_count, of_events),
    "sum": Aggregate(_sum, of_field),
    "mean": _over_values(lambda values: total(values) / len(values)),
    "geometric_mean": Aggregate(_geometric_mean, of_field),
    "min": _over_values(min),
    "max": _over_values(max),
    "variance": _over_values(lambda values: _central_moment(values, 2)),
    "stddev": _over_values(lambda values: math.sqrt(_central_moment(values, 2))),
    "skew": _over_values(_skew),
    "kurtosis": _over_values(_kurtosis),
    "recency": Aggregate(_recency, of_events),
    "first_seen": Aggregate(_first_seen, of_events),
    "gap_mean": Aggregate(_gap_mean, of_events),
    "longest_gap": Aggregate(_longest_gap, of_events),
    "decayed_count": Aggregate(_decayed_count, of_events),
    "decayed_sum": Aggregate(_decayed_sum, of_field),
}
