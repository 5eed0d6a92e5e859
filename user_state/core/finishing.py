"""From a window's count and numbers to the value of an aggregation.

mean      sum / n
variance  M2 / n                       of the events themselves, not an estimate for a larger population
stddev    sqrt(variance)
skew      sqrt(n) M3 / M2^1.5          0 where all values are equal
kurtosis  n M4 / M2^2 - 3              excess over the normal distribution's; 0 where all values are equal
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def finish(aggregate: str, count: F64, values: F64) -> F64:
    """Return (...) the aggregation's value where count > 0, anything elsewhere; `values` is (width, ...)."""
    n = np.maximum(count, 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        match aggregate:
            case "count":
                return count
            case "sum" | "min" | "max":
                return np.asarray(values[0])
            case "mean":
                return np.asarray(values[0] / n)
            case "variance":
                return np.asarray(np.maximum(values[1], 0) / n)
            case "stddev":
                return np.asarray(np.sqrt(np.maximum(values[1], 0) / n))
            case "skew":
                return np.where(values[1] > 0, np.sqrt(n) * values[2] / values[1] ** 1.5, 0.0)
            case "kurtosis":
                return np.where(values[1] > 0, n * values[3] / values[1] ** 2 - 3, 0.0)
    raise ValueError(f"expected an aggregation read from tiles, got {aggregate!r}")
