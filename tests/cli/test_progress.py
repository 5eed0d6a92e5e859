"""Progress: a bar on a terminal, a line now and then elsewhere, with a total and a rate; never silence."""

from __future__ import annotations

import io
import time

import pytest

from user_state.cli import progress as module
from user_state.cli.progress import how_far, progress, with_progress


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "LINE_INTERVAL_S", 0.02)


def test_off_a_terminal_a_line_says_how_many_of_how_many_and_how_fast(quick, capsys):
    passed = []
    for item in with_progress(range(4), "comparing", 4):
        time.sleep(0.05)
        passed.append(item)
    said = capsys.readouterr()
    assert passed == [0, 1, 2, 3]
    assert said.out == ""
    assert "comparing: 2 of 4 (50 %), " in said.err
    assert "/s, " in said.err


def test_work_that_finishes_no_item_is_not_silent(quick, capsys):
    """Source: oclif/cli-ux#137: no output at all where stderr is no terminal, as in CI."""
    with progress("evaluating", 20_000):
        time.sleep(0.1)
    assert "evaluating: 0 of 20,000 (0 %), " in capsys.readouterr().err


def test_what_ends_within_the_interval_prints_nothing(capsys):
    assert list(with_progress([1, 2], "reading")) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(module, "REFRESH_S", 0.0)
    assert list(with_progress(["a", "b"], "re[red]ading", 2)) == ["a", "b"]
    assert "re[red]ading" in screen.getvalue()
    assert "2 of 2 (100 %)" in screen.getvalue()


@pytest.mark.parametrize(
    ("done", "total", "elapsed_s", "expected"),
    [
        (0, None, 12.0, "0, 12 s so far"),
        (1, 3, 100.0, "1 of 3 (33 %), 0.01/s, 3 min left"),
        (3, 3, 1.0, "3 of 3 (100 %), 3/s"),
        (4, 3, 1.0, "4 of 3 (133 %), 4/s"),
        (0, 0, 1.0, "0, 1 s so far"),
        (10, 100_000, 10.0, "10 of 100,000 (0 %), 1/s, 27 h 46 min left"),
    ],
)
def test_a_rate_and_what_is_left_at_the_edges(done, total, elapsed_s, expected):
    assert how_far(done, total, elapsed_s) == expected
