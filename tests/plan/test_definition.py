"""The eight bytes that say what a spec writes: equal for specs that write the same, and for no others."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from tests.random_worlds import QUICK, specs
from tests.trying import plan_of
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec

VIEWS = {"aggregate": ["count", "mean"], "of": "value", "windows": ["1h", "1d"], "where": {"action": ["view", "like"]}}
ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/user_state.yaml"))


def definition(**parts: object) -> bytes:
    return plan_of(**{"features": {"views": VIEWS}, **parts}).definition


BASE = definition()


@pytest.mark.parametrize(
    "parts",
    [
        {"features": {"seen": VIEWS}},
        {"features": {"views": {**VIEWS, "default": 7}}},
        {"features": {"views": VIEWS, "twin": VIEWS}},
        {"features": {"views": VIEWS, "fewer": {**VIEWS, "windows": ["1h"]}}},
        {"features": {"views": {**VIEWS, "where": {"action": ["like", "view"]}}}},
        {"name": "other"},
        {"timezone": "Asia/Tokyo"},
    ],
    ids=[
        *("renamed", "default", "twice", "a window that is there", "values of a filter in another order", "name"),
        "a time zone that nothing goes by",
    ],
)
def test_what_is_only_read_or_called_otherwise_does_not_change_it(parts):
    assert definition(**parts) == BASE


@pytest.mark.parametrize(
    "parts",
    [
        {"allowed_lateness": "2h"},
        {"max_clock_skew": "2m"},
        {"retention": "401d"},
        {"seen_ids_cap": 500},
        {"features": {"views": {**VIEWS, "windows": ["1h", "7d"]}}},
        {"features": {"views": {**VIEWS, "windows": ["1h"]}}},
        {"features": {"views": {**VIEWS, "where": {"action": "view"}}}},
        {"features": {"views": {**VIEWS, "of": "amount"}}},
        {"features": {"views": VIEWS, "more": {**VIEWS, "aggregate": "max"}}},
        {"sequences": {"recent": {"fields": ["item_id"], "last": 5}}},
        {"embeddings": {"t": {"kind": "decayed_mean", "of": "item_id", "dimensions": 8, "half_life": "1h"}}},
    ],
    ids=str,
)
def test_whatever_decides_what_is_written_changes_it(parts):
    assert definition(**parts) != BASE


def test_so_does_a_time_zone_that_something_goes_by():
    hours = {"hours": {"aggregate": "hour_of_day", "half_life": "7d"}}
    assert definition(features=hours, timezone="Asia/Tokyo") != definition(features=hours)


def test_so_does_the_largest_record():
    plan = plan_of(features={"views": VIEWS})
    assert replace(plan, max_record_bytes=plan.max_record_bytes + 1).definition != plan.definition == BASE


@pytest.mark.slow
@given(specs())
@QUICK
def test_every_spec_has_one_and_it_is_the_same_when_compiled_again(spec: LoadedSpec):
    found = compile_plan(spec).definition
    assert len(found) == 8
    assert compile_plan(spec).definition == found


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_it_is_the_same_in_every_process(seed):
    assert len(EXAMPLES) > 2
    code = (
        "import sys\n"
        "from user_state.plan.compile import compile_plan\n"
        "from user_state.spec import load_spec\n"
        "print(*(compile_plan(load_spec(path)).definition.hex() for path in sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, EXAMPLES)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    from user_state.spec import load_spec

    assert done.stdout.split() == [compile_plan(load_spec(path)).definition.hex() for path in EXAMPLES]
