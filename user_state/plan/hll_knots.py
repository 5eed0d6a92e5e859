"""The curve by which the DataSketches library corrects raw HLL estimates, as its knots, for compiled reading.

The library's estimate of many values is a smooth function of the raw one, a cubic through the nearest four of 257 knots
whose y lie 5/128 of the number of registers apart (native/families/hlls/hll_estimate.hpp). Its table of knots is not
ours to read, but its estimates are: each knot is the raw estimate at which the library says that y. It is found by
halving, to the last bits of a number.

Source: DataSketches, `CompositeInterpolationXTable`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from user_state.plan.hll import F64, LG_KS, estimates_of_sums

KNOTS = 257
HALVINGS = 60


@lru_cache(maxsize=len(LG_KS))
def knots_of(lg_k: int) -> tuple[float, ...]:
    """Return the raw estimates, ascending, at which the library says 0, 5/128 of 2^lg_k, twice that and so on."""
    size = 1 << lg_k
    wanted = np.arange(KNOTS) * (5 * size / 128)
    low, high = np.full(KNOTS, 0.25 * size), np.full(KNOTS, 16.0 * size)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = estimates_of_sums(lg_k, _sums_for(lg_k, middle)) <= wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return tuple(low.tolist())


def _sums_for(lg_k: int, raw: F64) -> F64:
    """Return the sums of 2^-register that have these raw estimates."""
    size = 1 << lg_k
    return np.asarray((0.7213 / (1.0 + 1.079 / size)) * size * size / raw)
