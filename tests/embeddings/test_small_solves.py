"""Systems solved in parts are those solved whole."""

import numpy as np
import pytest

from user_state.embeddings.small_solves import ALONE, solve_each


@pytest.mark.parametrize("unknowns", [1, 3, ALONE, ALONE + 1, 2 * ALONE, 4 * ALONE + 3])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_system_of_any_size_is_solved(unknowns: int, scaled: bool) -> None:
    rng = np.random.default_rng(unknowns)
    root = rng.normal(size=(3, unknowns, unknowns))
    left = np.eye(unknowns) + root @ root.transpose(0, 2, 1)
    if scaled:
        left *= 2.0 ** rng.integers(-40, 40, size=(3, unknowns, 1))
    expected = rng.normal(size=(3, unknowns, 2))

    np.testing.assert_allclose(solve_each(left, left @ expected), expected, rtol=1e-6, atol=1e-6)
