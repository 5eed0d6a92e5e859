"""The rank error of KLL sketches is the library's, and no sketch is larger than its error asks for."""

from __future__ import annotations

import pytest
from datasketches import kll_doubles_sketch

from user_state.plan.kll import KS, k_for, rank_error


@pytest.mark.parametrize(("error", "k"), [(0.1, 26), (0.02, 132), (0.01, 269)])
def test_as_small_as_the_error_allows(error, k):
    assert k_for(error) == k
    assert rank_error(k) <= error < rank_error(k - 1)
    assert k in KS


def test_the_stated_error_is_the_librarys():
    theirs = [kll_doubles_sketch.get_normalized_rank_error(k, False) for k in KS]
    assert [rank_error(k) for k in KS] == pytest.approx(theirs, rel=1e-12)
