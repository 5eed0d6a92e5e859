"""Orders of rows are those of sorting column by column."""

import numpy as np
import pytest

from user_state.core.ordering import grouped, order_by_number


@pytest.mark.parametrize("groups", [1, 100, 1 << 19])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, rows: rng.lognormal(3, 2, rows),
        lambda rng, rows: rng.normal(0, 1, rows) * 10.0 ** rng.integers(-300, 300, rows),
        lambda rng, rows: 1 + rng.integers(0, 50, rows) * 1e-12,
        lambda rng, rows: rng.choice([-np.inf, -1e308, -0.0, 0.0, 5e-324, 1e308, np.inf], rows),
    ],
    ids=["many sizes", "all sizes", "nearly equal", "extremes"],
)
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
