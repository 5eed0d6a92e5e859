"""Distinct values as HyperLogLog sees them: how large its sketches are, and how far off.

A value's **coupon** is what the DataSketches library makes of its hash: 26 bits of address, and above them 6 bits with
the number of leading zeros of the rest of the hash, plus one. A set of coupons counts its values nearly exactly (among
10,000 values less than one pair is expected to share one), at 4 bytes each. **Registers** forget more: the lowest
`lg_k` bits of the address name one of 2^lg_k registers, and each keeps the greatest number of zeros it saw. Sets are
united by union, registers by maximum, so neither depends on order. Both are bit for bit those of the library's
`hll_sketch`; `native/families/hlls` makes them.

The count is the library's estimate from registers alone. (Its own unions carry on an estimate that depends on the
order of arrival for as long as they can; here it is turned off by the out-of-order flag.)

Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AOFA 2007; DataSketches, `HllSketch`, whose documentation
gives the standard error of such estimates as 1.04 / sqrt(2^lg_k).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from datasketches import hll_sketch

F64 = npt.NDArray[np.float64]
LG_KS = range(7, 15)
_HEAD_INTS, _OUT_OF_ORDER, _COMPACT, _MODE_HLL_8 = 10, 16, 8, 10


def standard_error(lg_k: int) -> float:
    """Return the relative standard error of counts from 2^lg_k registers.

    >>> round(standard_error(11), 4)
    0.023
    """
    return 1.04 / math.sqrt(1 << lg_k)


def lg_k_for(error: float) -> int:
    """Return the lg_k of the fewest registers whose standard error is at most this, or of the most there are.

    >>> [lg_k_for(error) for error in (0.1, 0.03, 0.01, 0.0)]
    [7, 11, 14, 14]
    """
    return next((lg_k for lg_k in LG_KS if standard_error(lg_k) <= error), LG_KS[-1])


def most_coupons(lg_k: int) -> int:
    """Return how many coupons take as many bytes as 2^lg_k registers of four bits."""
    return (1 << lg_k) // 8


@lru_cache(maxsize=len(LG_KS))
def _image_of(size: int) -> np.dtype[np.void]:
    """Return the library's layout of a sketch of so many registers."""
    sums = [(name, "<f8") for name in ("in_order", "low", "high")]
    counts = [(name, "<u4") for name in ("zeros", "exceptions")]
    return np.dtype([("preamble", "u1", 8), *sums, *counts, ("registers", "u1", size)])


def estimates_of_sums(lg_k: int, sums: F64) -> F64:
    """Return (r,) what the library makes of 2^lg_k registers none of which is 0, and whose 2^-register add up so."""
    images = _images(len(sums), 1 << lg_k)
    images["low"] = sums
    return _estimates(images)


def _images(count: int, size: int) -> npt.NDArray[np.void]:
    """Return so many sketches of so many registers as the library lays them out, without their content."""
    images = np.zeros(count, _image_of(size))
    images["preamble"] = (_HEAD_INTS, 1, 7, size.bit_length() - 1, 0, _COMPACT | _OUT_OF_ORDER, 0, _MODE_HLL_8)
    return images


def _estimates(images: npt.NDArray[np.void]) -> F64:
    held, width = images.tobytes(), images.itemsize
    ends = range(width, len(held) + 1, width)
    return np.array([hll_sketch.deserialize(held[end - width : end]).get_estimate() for end in ends], np.float64)
