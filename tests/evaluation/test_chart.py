"""Curves as a picture: a line a scorer and chart; and what is said where no picture can be drawn."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_results import outcomes
from user_state.errors import InputError
from user_state.evaluation.chart import check_drawing, draw
from user_state.evaluation.results import STRETCHES, Outcome

SVG = "{http://www.w3.org/2000/svg}"


def drawn(path: Path, made: list[Outcome], measure: str) -> ET.Element:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'user-state[evaluate]'")
    draw(path, made, measure)
    return ET.parse(path).getroot()


def curves(root: ET.Element) -> list[list[tuple[float, float]]]:
    """Return the points of each curve, as the file has them: y counts downwards."""
    paths = [group.find(f"{SVG}path") for group in root.iter(f"{SVG}g") if group.get("id") == "curve"]
    return [
        [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path.attrib["d"])]
        for path in paths
        if path is not None
    ]


def test_the_drawing_has_a_line_a_scorer_and_chart(tmp_path: Path) -> None:
    root = drawn(tmp_path / "x.svg", outcomes(), "mrr")
    assert [len(curve) for curve in curves(root)] == [STRETCHES, STRETCHES, 2, 2]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"a<b", "c&d", "MRR over the stream", "MRR against the age of the state", "0-10s", "1h"} <= set(texts)


def test_without_ages_there_is_one_chart_and_points_stand_where_the_figures_are(tmp_path: Path) -> None:
    made = outcomes(aged=False)
    first, _ = curves(drawn(tmp_path / "x.svg", made, "recall"))
    recalls = [segment.quality.recall for segment in made[0].segments]
    assert np.corrcoef([y for _, y in first], recalls)[0, 1] == pytest.approx(-1)


def test_the_same_outcomes_give_the_same_file(tmp_path: Path) -> None:
    for name in ("x.svg", "y.svg"):
        drawn(tmp_path / name, outcomes(), "mrr")
    assert (tmp_path / "x.svg").read_bytes() == (tmp_path / "y.svg").read_bytes()


def test_the_ending_says_what_kind_of_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'user-state[evaluate]'")
    draw(tmp_path / "x.PNG", outcomes(), "mrr")
    assert (tmp_path / "x.PNG").read_bytes().startswith(b"\x89PNG")


def test_another_ending_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected --plot to end in .svg, .png, .pdf, got .*x.jpeg"):
        check_drawing(tmp_path / "x.jpeg")
    with pytest.raises(InputError, match=r"cannot write .*x.svg: there is no folder .*none"):
        check_drawing(tmp_path / "none" / "x.svg")


def test_without_matplotlib_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"--plot needs matplotlib: pip install 'user-state\[evaluate\]'"):
        check_drawing(tmp_path / "x.svg")
