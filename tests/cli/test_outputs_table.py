"""What `user-state check` says of outputs that count up to a cap, and of profiles."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.packed import Records, features
from tests.trying import T0, plan_of
from user_state.cli.outputs import output_rows, outputs_table
from user_state.core.compile import compile_plan
from user_state.spec import load_spec

EXAMPLES = Path(__file__).parents[2] / "examples"


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


def test_a_ratio_over_nothing_is_its_priors_rate_where_nothing_else_is_left():
    count, mean = {"aggregate": "count"}, {"aggregate": "mean", "of": "value"}
    ratio = {"aggregate": "ratio", "windows": "lifetime", "numerator": count, "denominator": count}
    prior = {"prior": {"rate": 0.05, "weight": 20}}
    rows = rows_of(
        features={
            "plain": ratio,
            "smoothed": {**ratio, **prior},
            "set": {**ratio, "default": -1},
            "both": {**ratio, **prior, "default": -1},
            "mean": {**ratio, **prior, "numerator": mean},
        }
    )
    assert {name.split("_")[0]: row[-1] for name, row in rows.items()} == {
        "plain": "NaN",
        "smoothed": "0.05",
        "set": "-1",
        "both": "0.05",
        "mean": "NaN",
    }
    plan = plan_of(features={"both": {**ratio, **prior, "default": -1}})
    assert features(plan, Records.empty(plan, 1), T0).values.tolist() == [[float(np.float32(0.05))]]


@pytest.mark.parametrize("name", ["starter", "feed", "movielens", "evolution"])
@pytest.mark.parametrize("width", [100, 200])
def test_the_table_fits_the_screen_and_cuts_nothing(name, width):
    plan = compile_plan(load_spec(EXAMPLES / name / "user_state.yaml"))
    console = Console(width=width, file=io.StringIO())
    console.print(outputs_table(plan, {}))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    printed = {line.split(" ")[0] for line in lines}
    assert {row.name for row in output_rows(plan)} <= printed
    assert "…" not in console.file.getvalue()


def test_every_default_that_is_stated_is_what_a_user_without_events_gets():
    for name in ("starter", "feed", "movielens"):
        plan = compile_plan(load_spec(EXAMPLES / name / "user_state.yaml"))
        found = features(plan, Records.empty(plan, 1), T0)
        stated = {row.name: row.default for row in output_rows(plan)}
        for output, value in zip(plan.scalars, found.values[0].tolist(), strict=True):
            assert float(stated.pop(output.name)) == pytest.approx(value, nan_ok=True), output.name
        for array, numbers in found.arrays.items():
            default = stated.pop(array)
            assert numbers[0] == pytest.approx(0 if default == "zeros" else float(default), nan_ok=True), array
        for vector, numbers in found.embeddings.items():
            assert (stated.pop(vector), numbers.any()) == ("zeros", False)
        assert set(stated) == set(found.sequences)
        assert set(stated.values()) == {"empty"}
