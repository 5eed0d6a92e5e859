"""What sketches approximate, exactly, and how far from it they may be.

The error a sketch states (`error:` in the spec) is met by two of three counts, and by 99 of 100 quantiles. The bounds
here are wider, so that no honest value of a million lies outside: five standard errors of a count, which makes one in
two million, and two and a half times the rank error, which is about as much.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from user_state.oracle.question import Aggregate, Question, of_field

DISTINCT_ERROR, RANK_ERROR = 0.03, 0.02
"""The errors of sketches by default, as documented for the spec."""
STANDARD_ERRORS = 5
RANK_ERRORS = 2.5

F64 = npt.NDArray[np.float64]


def _distinct(asked: Question) -> float:
    return float(len(asked.different(asked.inside))) or asked.or_default(0.0)


def _distinct_bounds(asked: Question) -> tuple[float, float]:
    exact = _distinct(asked)
    slack = STANDARD_ERRORS * (DISTINCT_ERROR if asked.feature.error is None else asked.feature.error)
    return exact - slack * abs(exact), exact + slack * abs(exact)


def _at_ranks(asked: Question, off_by: float) -> F64:
    """Return for each share q the value that a share of q + off_by of all are not greater than."""
    ordered = sorted(asked.values(asked.inside))
    if not ordered:
        return np.full(len(asked.feature.quantiles), asked.or_default(math.nan))
    found = []
    for share in asked.feature.quantiles:
        # The least and the greatest are known exactly.
        wanted = share if share in (0, 1) else share + off_by
        enough = [rank for rank in range(1, len(ordered) + 1) if rank / len(ordered) >= wanted - 1e-12]
        found.append(ordered[enough[0] - 1 if enough else -1])
    return np.array(found)


def _quantiles(asked: Question) -> F64:
    return _at_ranks(asked, 0.0)


def _quantile_bounds(asked: Question) -> tuple[F64, F64]:
    slack = RANK_ERRORS * (RANK_ERROR if asked.feature.error is None else asked.feature.error)
    return _at_ranks(asked, -slack), _at_ranks(asked, slack)


SKETCHES = {
    "approx_distinct": Aggregate(_distinct, of_field, bounds=_distinct_bounds),
    "approx_quantiles": Aggregate(_quantiles, of_field, bounds=_quantile_bounds),
}
