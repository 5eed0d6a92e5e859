"""docs/features.md shows the reference spec as it is, and names every aggregation and only outputs that there are."""

import re
from pathlib import Path

import pytest
import yaml

from user_state.cli.outputs import output_rows
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.spec.aggregations import AGGREGATIONS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "features.md").read_text()
REFERENCE = ROOT / "examples" / "feed" / "user_state.yaml"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_shown_is_what_the_reference_spec_says(block: str) -> None:
    reference = yaml.safe_load(REFERENCE.read_text())
    declared = {**reference["features"], **reference["sequences"], **reference["embeddings"]}
    shown = yaml.safe_load(block)
    assert shown
    assert {name: declared[name] for name in shown} == shown


def test_every_aggregation_is_named() -> None:
    assert len(BLOCKS) > 4
    assert [name for name in AGGREGATIONS if f"`{name}`" not in PAGE] == []


def test_every_output_that_is_named_exists() -> None:
    loaded = load_spec(REFERENCE)
    outputs = {row.name for row in output_rows(compile_plan(loaded))}
    declared = (*loaded.spec.features, *loaded.spec.sequences, *loaded.spec.embeddings)
    named = {word for word in re.findall(r"`(\w+)`", PAGE) if word.startswith(tuple(f"{name}_" for name in declared))}
    assert len(named) > 12
    assert named <= outputs


def test_the_reference_spec_is_as_large_as_it_is_said_to_be() -> None:
    """About sixty features over 10 m to 30 d, two sequences, one embedding."""
    loaded = load_spec(REFERENCE)
    outputs = list(output_rows(compile_plan(loaded)))
    assert len(outputs) - len(loaded.spec.sequences) - len(loaded.spec.embeddings) == 62
    assert {"10m", "1h", "1d", "7d", "30d"} <= {row.over for row in outputs}
    assert (len(loaded.spec.sequences), len(loaded.spec.embeddings)) == (2, 1)
