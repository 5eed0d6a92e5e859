"""Orders of rows are those of sorting column by column."""

import numpy as np
import pytest

from tests.drawn_numbers import hard_numbers
from user_state.core.ordering import grouped, order_by_number


@pytest.mark.parametrize("groups", [1, 100, 1 << 19])
@hard_numbers
def test_numbers_by_group_are_in_order_to_the_last_bit(draw, groups):
    rng = np.random.default_rng(1)
    for rows in (0, 1, 200, 300, 3_000):
        group, numbers = rng.integers(0, groups, rows), draw(rng, rows)
        order = order_by_number(group, numbers)
        expected = np.lexsort((numbers, group))
        assert sorted(order.tolist()) == list(range(rows))
        assert group[order].tolist() == group[expected].tolist()
        assert numbers[order].tolist() == numbers[expected].tolist()


@pytest.mark.parametrize("span", [3, 1 << 40])
def test_equal_rows_form_one_group_whether_their_columns_fit_one_or_not(span):
    rng = np.random.default_rng(1)
    columns = [rng.integers(0, 4, 500), rng.integers(0, 3, 500) * span, rng.integers(0, 3, 500) * span]
    order, heads, run = grouped(columns)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    different = sorted(set(rows))
    assert [rows[row] for row in order.tolist()] == sorted(rows)
    assert [rows[row] for row in order[heads].tolist()] == different
    assert [different[index] for index in run.tolist()] == sorted(rows)
