"""What `user-state check` says of the largest record that a spec allows."""

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.trying import plan_of
from user_state.cli.main import app
from user_state.cli.worst import worst_case_json, worst_case_lines
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.worst_case import worst_case

STARTER = Path(__file__).parents[2] / "examples" / "starter" / "user_state.yaml"
COUNTS = {"views": {"aggregate": "count", "windows": ["1h"]}}


def test_check_prints_the_worst_case_with_what_contributes_most_and_that_max_record_bounds_it():
    printed = CliRunner().invoke(app(), ["check", str(STARTER)]).stdout
    worst = worst_case(compile_plan(load_spec(STARTER)))
    assert f"worst case {worst.record_bytes / (1 << 20):.1f} MB a user (recent: 3.1 MB, liked_creators: 3" in printed
    assert "records are kept within max_record, 1MB: events that exceed it go to the dead letters" in printed
    assert "nobody can exceed it with texts of at most 18," in printed


def test_check_gives_the_worst_case_as_json():
    given = json.loads(CliRunner().invoke(app(), ["check", str(STARTER), "--json"]).stdout)["worst_case"]
    assert given["max_record_bytes"] == 1 << 20 < given["record_bytes"] == sum(given["parts"].values())
    assert next(iter(given["parts"])) == "recent"
    assert given["can_exceed_max_record"]


def test_the_longest_safe_text_is_safe_and_one_byte_more_is_not():
    plan = compile_plan(load_spec(STARTER))
    safe = worst_case_json(plan)["safe_text_bytes"]
    assert worst_case(plan, safe).record_bytes <= plan.max_record_bytes < worst_case(plan, safe + 1).record_bytes


def test_a_spec_without_texts_cannot_exceed_the_limit():
    plan = plan_of(features=COUNTS)
    assert list(worst_case_lines(plan, {"heavy": 500}))[1:] == ["no record can exceed max_record, 1MB"]
    assert not worst_case_json(plan)["can_exceed_max_record"]


def test_tables_too_large_for_the_limit_whatever_the_texts_are_said_to_be():
    table = {"aggregate": "count_by", "by": "amount", "keys": 10_000, "windows": ["1d"]}
    plan = plan_of(features={"amounts": table})
    assert worst_case_json(plan)["safe_text_bytes"] is None
    assert any("without long texts" in line for line in worst_case_lines(plan, {}))


def test_users_whose_records_exceed_the_limit_are_warned_of():
    plan = plan_of(sequences={"recent": {"fields": ["item_id"], "last": 9000}}, max_record="64KB")
    *_, last = worst_case_lines(plan, {"light": 900, "heavy": 90_000})
    assert last == "warning: the record of a heavy user, 88 KB, exceeds max_record: raise it"
