"""A compiled core that was built of other sources than those beside it is refused as it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from user_state import native
from user_state.errors import NotCompiled
from user_state.source_id import source_id

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the sources of this one, and its built core."""
    (tmp_path / "user_state").symlink_to(ROOT / "user_state")
    (tmp_path / "setup.py").touch()
    for source in (ROOT / "native").rglob("*.?pp"):
        copied = tmp_path / source.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(source.read_bytes())
    return tmp_path


def imported(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "user_state.cli.main", "check", str(ROOT / "examples/starter/user_state.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_core_of_these_sources_is_used(checkout: Path) -> None:
    ended = imported(checkout)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "change",
    [
        lambda native: (native / "plan.hpp").write_text((native / "plan.hpp").read_text() + "\n"),
        lambda native: (native / "more.cpp").touch(),
        lambda native: (native / "bindings" / "trials.cpp").unlink(),
        lambda native: (native / "bindings" / "trials.cpp").rename(native / "trials.cpp"),
    ],
    ids=["changed", "added", "removed", "moved"],
)
def test_a_core_of_other_sources_is_refused_in_a_sentence(checkout: Path, change: Callable[[Path], object]) -> None:
    """It took what it was not made for, and failed with a TypeError that held the events."""
    change(checkout / "native")
    ended = imported(checkout)
    assert ended.returncode == 2
    assert "was built of other sources than those in" in ended.stderr
    assert "python setup.py build_ext --inplace --force" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_where_there_are_no_sources_nothing_is_compared(tmp_path: Path) -> None:
    native._check_sources(str(tmp_path))
    (tmp_path / "native").mkdir()  # somebody else's
    (tmp_path / "native" / "plan.hpp").touch()
    native._check_sources(str(tmp_path))
    (tmp_path / "setup.py").touch()
    with pytest.raises(NotCompiled, match="was built of other sources"):
        native._check_sources(str(tmp_path))


def test_the_id_goes_by_names_and_contents_alone(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = source_id(str(ROOT / "native"))
    (checkout / "native" / "notes.txt").touch()
    os.utime(checkout / "native" / "plan.hpp", (1, 1))
    assert source_id(str(checkout / "native")) == expected
    two = tmp_path_factory.mktemp("two")
    (two / "a.hpp").write_text("1")
    (two / "b.hpp").write_text("2")
    first = source_id(str(two))
    (two / "a.hpp").write_text("2")
    (two / "b.hpp").write_text("1")
    assert source_id(str(two)) != first
