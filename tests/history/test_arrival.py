"""The order of events is that of a stable sort, however it is found."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from user_state.history.arrival import stable_order


@given(st.lists(st.sampled_from([0, 1, 65_535, 65_536, 65_537, 2**32 - 1, 2**32, 2**32 + 1, 2**48, 2**62])))
def test_the_order_of_numbers_is_that_of_a_stable_sort(numbers: list[int]):
    array = np.array(numbers, np.int64)
    np.testing.assert_array_equal(stable_order(array), np.argsort(array, kind="stable"))
