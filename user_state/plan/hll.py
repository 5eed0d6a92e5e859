"""Distinct values as HyperLogLog sees them: how large its sketches are, and how far off.

A value's **coupon** is what the DataSketches library makes of its hash: 26 bits of address, and above them 6 bits with
the number of leading zeros of the rest of the hash, plus one. A set of coupons counts its values nearly exactly (among
10,000 values less than one pair is expected to share one), at 4 bytes each. **Registers** forget more: the lowest
`lg_k` bits of the address name one of 2^lg_k registers, and each keeps the greatest number of zeros it saw. Sets are
united by union, registers by maximum, so neither depends on order. Both are bit for bit those of the library's
`hll_sketch`; `native/families/hlls` makes them.

The count is the library's estimate from registers alone (native/families/hlls/hll_estimate.hpp).

Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AOFA 2007; DataSketches, `HllSketch`, whose documentation
gives the standard error of such estimates as 1.04 / sqrt(2^lg_k).
"""

from __future__ import annotations

import math

LG_KS = range(7, 15)


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
