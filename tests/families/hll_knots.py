"""The knots of native/families/hlls/hll_knots.cpp, from the library's own estimates; run as a module, it writes them.

The library's estimate of many values is a smooth function of the raw one, a cubic through the nearest four of 257
knots whose y lie 5/128 of the number of registers apart (native/families/hlls/hll_estimate.hpp). Each knot is the raw
estimate at which the library says that y. It is found by halving, to the last bits of a number.

    python -m tests.families.hll_knots

Source: DataSketches, `CompositeInterpolationXTable`, whose numbers these estimates are made of.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from datasketches import hll_sketch

from user_state.plan.hll import LG_KS

F64 = npt.NDArray[np.float64]
FILE = Path(__file__).parents[2] / "native" / "families" / "hlls" / "hll_knots.cpp"
KNOTS, HALVINGS, A_LINE = 257, 60, 5
HEAD_INTS, OUT_OF_ORDER, COMPACT, MODE_HLL_8 = 10, 16, 8, 10


def knots_of(lg_k: int) -> list[float]:
    """Return the raw estimates, ascending, at which the library says 0, 5/128 of 2^lg_k, twice that and so on."""
    size = 1 << lg_k
    wanted = np.arange(KNOTS) * (5 * size / 128)
    low, high = np.full(KNOTS, 0.25 * size), np.full(KNOTS, 16.0 * size)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = estimates(lg_k, (0.7213 / (1.0 + 1.079 / size)) * size * size / middle) <= wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return [float(knot) for knot in low]


def estimates(lg_k: int, sums: F64) -> F64:
    """Return what the library makes of 2^lg_k registers none of which is 0, and whose 2^-register add up so.

    Its own unions carry on an estimate that depends on the order of arrival; the out-of-order flag turns that off.
    """
    fields = [*((name, "<f8") for name in ("in_order", "low", "high")), ("zeros", "<u4"), ("exceptions", "<u4")]
    images = np.zeros(len(sums), [("preamble", "u1", 8), *fields, ("registers", "u1", 1 << lg_k)])
    images["preamble"] = (HEAD_INTS, 1, 7, lg_k, 0, COMPACT | OUT_OF_ORDER, 0, MODE_HLL_8)
    images["low"] = sums
    return np.array([hll_sketch.deserialize(image.tobytes()).get_estimate() for image in images])


def source() -> str:
    """Return the file."""
    tables = []
    for lg_k in LG_KS:
        knots = [repr(knot) for knot in knots_of(lg_k)]
        lines = [", ".join(knots[at : at + A_LINE]) for at in range(0, KNOTS, A_LINE)]
        numbers = "".join(f"        {line},\n" for line in lines)
        tables.append(f"    // 2^{lg_k} registers\n    {{{{\n{numbers}    }}}},\n")
    return (
        "// Written by tests/families/hll_knots.py, which says where the numbers are from.\n"
        '#include "families/hlls/hll_knots.hpp"\n\n#include <stdexcept>\n\nnamespace user_state::reading {\n\n'
        "namespace {\n\n"
        f"constexpr std::array<HllKnots, {len(LG_KS)}> kKnots{{{{\n{''.join(tables)}}}}};\n\n"
        "}  // namespace\n\n"
        "const HllKnots& hll_knots(int lg_k) {\n"
        f"  if (lg_k < kLeastLgK || lg_k >= kLeastLgK + static_cast<int>(kKnots.size())) {{\n"
        '    throw std::invalid_argument("expected sketches of a number of registers that there is a curve for");\n'
        "  }\n"
        "  return kKnots[static_cast<std::size_t>(lg_k - kLeastLgK)];\n}\n\n"
        "}  // namespace user_state::reading\n"
    )


if __name__ == "__main__":
    FILE.write_text(source(), encoding="utf-8")
