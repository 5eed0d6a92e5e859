"""What `user-state check` says of outputs that count up to a cap, and of profiles."""

from tests.trying import plan_of
from user_state.cli.outputs import outputs_table


def rows_of(**parts):
    """Return the lines of the table by output."""
    columns = [list(column.cells) for column in outputs_table(plan_of(**parts), {}).columns]
    return {name: rest for name, *rest, _bytes in zip(*columns, strict=True)}


def test_a_cap_is_part_of_the_bound_and_tens_of_years_of_days_are_not():
    assert rows_of(
        features={
            "f": {"aggregate": "distinct", "of": "item_id", "cap": 2000, "windows": ["1h", "lifetime"]},
            "d": {"aggregate": ["active_days", "streak_days"], "windows": ["7d", "lifetime"], "default": -1},
        }
    ) == {
        "f_distinct_1h": ["float32", "1h", "1m", "< 1.7 %; up to 2,000", "0"],
        "f_distinct_lifetime": ["float32", "lifetime", "-", "0; up to 2,000", "0"],
        "d_active_days_7d": ["float32", "7d", "3h", "< 1.8 %", "-1"],
        "d_active_days_lifetime": ["float32", "lifetime", "-", "0; up to 3,660", "-1"],
        "d_streak_days_7d": ["float32", "7d", "3h", "< 1.8 %", "-1"],
        "d_streak_days_lifetime": ["float32", "lifetime", "-", "0; up to 3,660", "-1"],
    }


def test_a_profile_is_an_array_over_a_half_life():
    assert rows_of(features={"f": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": "7d"}}) == {
        "f_hour_of_day_7d": ["float32 x 24", "half-life 7d", "-", "0", "zeros"],
        "f_day_of_week_7d": ["float32 x 7", "half-life 7d", "-", "0", "zeros"],
    }
