"""The compiled table of knots is what the library's own estimates say, to the last bit."""

import numpy as np
import pytest

from tests.families import hll_knots
from user_state.plan.hll import LG_KS


def test_the_table_is_what_the_library_of_the_pinned_version_says():
    assert hll_knots.FILE.read_text("utf-8") == hll_knots.source()


@pytest.mark.parametrize("lg_k", LG_KS)
def test_knots_ascend_and_the_library_says_between_them_what_lies_between(lg_k):
    knots = np.array(hll_knots.knots_of(lg_k))
    size = 1 << lg_k
    assert (np.diff(knots) > 0).all()
    found = hll_knots.estimates(lg_k, 0.7213 / (1.0 + 1.079 / size) * size * size / ((knots[40:-1] + knots[41:]) / 2))
    step = 5 * size / 128
    assert ((found > step * np.arange(40, 256)) & (found < step * np.arange(41, 257))).all()
