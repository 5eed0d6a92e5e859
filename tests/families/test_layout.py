"""What a layout is made of: text that survives, and a fingerprint that changes where what is kept does."""

import pytest
from hypothesis import given, settings

from tests.random_worlds import QUICK, worlds
from tests.trying import plan_of
from user_state.plan.compile import compile_plan
from user_state.plan.layout import Layout


@pytest.mark.slow
@given(worlds(most=1))
@settings(QUICK, max_examples=100)
def test_a_layout_survives_as_json_with_its_fingerprint(world):
    layout = compile_plan(world.spec).layout
    assert Layout.from_json(layout.to_json()) == layout
    assert Layout.from_json(layout.to_json().encode()) == layout
    assert len(layout.fingerprint) == 8


def test_layouts_that_differ_anywhere_have_different_fingerprints():
    made = [
        {"aggregate": ["count"]},
        {"aggregate": ["count"], "where": {"action": "view"}},
        {"aggregate": ["count"], "where": {"action": ["like", "view"]}},
        {"aggregate": ["count"], "where": {"item_id": "view"}},
        {"aggregate": ["sum"], "of": "value"},
        {"aggregate": ["sum"], "of": "amount"},
        {"aggregate": ["min"], "of": "value"},
        {"aggregate": ["last_k"], "of": "value", "k": 3},
    ]
    plans = [plan_of(features={"f": {"windows": ["1h"], **feature}}) for feature in made]
    assert len({plan.layout.fingerprint for plan in plans}) == len(made)


def test_names_and_order_of_values_are_no_part_of_a_layout():
    one = plan_of(features={"a": {"aggregate": "count", "windows": ["1h"], "where": {"action": ["x", "y"]}}})
    two = plan_of(features={"b": {"aggregate": "count", "windows": ["1h"], "where": {"action": ["y", "x"]}}})
    assert one.layout.fingerprint == two.layout.fingerprint


@pytest.mark.parametrize(
    "changed", [{"windows": ["1d"]}, {"windows": ["1h", "lifetime"]}, {"k": 4}, {"cap": 4}, {"gap": "2m"}]
)
def test_what_a_record_keeps_of_a_definition_is_a_part_of_its_layout(changed):
    feature = {"aggregate": ["last_k", "distinct", "session_count"], "of": "item_id", "k": 3, "cap": 3, "gap": "1m"}
    one = plan_of(features={"a": {**feature, "windows": ["1h"]}})
    two = plan_of(features={"a": {**feature, "windows": ["1h"], **changed}})
    assert one.layout.fingerprint != two.layout.fingerprint


@pytest.mark.parametrize("changed", [{"retention": "3d"}, {"allowed_lateness": "3h"}])
def test_what_changes_nothing_that_is_kept_is_no_part_of_a_layout(changed):
    assert plan_of().layout == plan_of(**changed).layout
