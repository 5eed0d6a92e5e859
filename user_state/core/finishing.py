"""From a window's count and numbers to the value of an aggregation.

mean      sum / n
geometric_mean   exp(sum of logarithms / n); 0 with a zero, `empty` with a negative value
variance  M2 / n                       of the events themselves, not an estimate for a larger population; 0 where
                                       it is no more than rounding makes of equal values
stddev    sqrt(variance)
skew      sqrt(n) M3 / M2^1.5          0 where all values are equal
kurtosis  n M4 / M2^2 - 3              excess over the normal distribution's; 0 where all values are equal

recency     at - last                  seconds; 0 for an event after `at`
first_seen  at - first                 seconds; 0 for an event after `at`
gap_mean    (last - first) / (n - 1)   seconds between events; no value for a single one
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from user_state.durations import SECOND_US

F64 = npt.NDArray[np.float64]
SPREAD_OF_EQUALS = 1e-12
"""Values whose standard deviation is no more than this times their mean are equal: a mean of equal values differs from
them in its last digits, and skew and kurtosis would be made of those."""


def finish(aggregate: str, count: F64, values: F64, at_us: int, empty: F64) -> F64:
    """Return (n, k) an aggregation at `at_us` of counts (n, k) and numbers (width, n, k), `empty` (k,) over nothing.

    What numpy has to say of overflow and of dividing by nothing is the caller's to silence.
    """
    valued = count > (1 if aggregate == "gap_mean" else 0)
    if aggregate == "geometric_mean":
        valued = valued & ~np.isnan(values[0])
    return np.where(valued, _value(aggregate, count, values, at_us), empty)


def _value(aggregate: str, count: F64, values: F64, at_us: int) -> F64:
    n = np.maximum(count, 1)
    match aggregate:
        case "count":
            return count
        case "sum" | "min" | "max":
            return np.asarray(values[0])
        case "mean":
            return np.asarray(values[0] / n)
        case "geometric_mean":
            return np.asarray(np.exp(values[0] / n))
        case "variance":
            return _variance(n, values)
        case "stddev":
            return np.asarray(np.sqrt(_variance(n, values)))
        case "skew":
            return np.where(_variance(n, values) == 0, 0.0, np.sqrt(n) * values[2] / values[1] ** 1.5)
        case "kurtosis":
            return np.where(_variance(n, values) == 0, 0.0, n * values[3] / values[1] ** 2 - 3)
        case "recency":
            return np.asarray(np.maximum(at_us - values[1], 0) / SECOND_US)
        case "first_seen":
            return np.asarray(np.maximum(at_us - values[0], 0) / SECOND_US)
        case "gap_mean":
            return np.asarray((values[1] - values[0]) / np.maximum(n - 1, 1) / SECOND_US)
    raise ValueError(f"expected an aggregation read from tiles, got {aggregate!r}")


def _variance(n: F64, values: F64) -> F64:
    variance = np.maximum(values[1], 0) / n
    # Standard deviations are compared, since squares of what fits a float may not.
    return np.where(np.sqrt(variance) <= SPREAD_OF_EQUALS * np.abs(values[0] / n), 0.0, variance)
