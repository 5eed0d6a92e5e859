"""The walk through two aggregations names the files that there are, and all that their names stand in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "contributing" / "adding-an-aggregation.md"
NAMED = set(re.findall(r"`([\w./-]+/[\w-]+\.\w+)`", PAGE.read_text()))
MARKS = {
    "geometric_mean": r"geometric_mean|kGeometricMean|log_sum|kLogSum",
    "longest_gap": r"longest_gap|GapTrack|GapOutput|GapLayout|Layout::Gap|make_gaps|gap_axes|gap_tracks",
}
"""What the code of an aggregation is known by."""


def test_every_file_that_it_names_is_there() -> None:
    assert len(NAMED) > 30
    assert [name for name in sorted(NAMED) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("aggregation", MARKS)
def test_it_leaves_no_file_of_an_aggregation_out(aggregation: str) -> None:
    files = [file for folder in ("native", "user_state") for file in (ROOT / folder).rglob("*") if _is_source(file)]
    marked = {str(file.relative_to(ROOT)) for file in files if re.search(MARKS[aggregation], file.read_text())}
    assert len(marked) > 6
    assert marked - NAMED == set()


def _is_source(file: Path) -> bool:
    return file.suffix in (".py", ".cpp", ".hpp") and "__pycache__" not in file.parts
