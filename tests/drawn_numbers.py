"""Real numbers that are hard to put in order, drawn in four ways."""

import numpy as np
import pytest

hard_numbers = pytest.mark.parametrize(
    "draw",
    [
        lambda rng, rows: rng.lognormal(3, 2, rows),
        lambda rng, rows: rng.normal(0, 1, rows) * 10.0 ** rng.integers(-300, 300, rows),
        lambda rng, rows: 1 + rng.integers(0, 50, rows) * 1e-12,
        lambda rng, rows: rng.choice([-np.inf, -1e308, -0.0, 0.0, 5e-324, 1e308, np.inf], rows),
    ],
    ids=["many sizes", "all sizes", "nearly equal", "extremes"],
)
"""Parametrizes a test's `draw`: (generator, how many) -> (rows,) numbers."""
