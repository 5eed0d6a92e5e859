"""Curves -> one picture: quality over the stream, and quality against the age of the state, a line a scorer.

Needs matplotlib, which is in the extra `[evaluate]`: a service that only reads features does not install it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from user_state.errors import InputError
from user_state.evaluation.results import CUTOFF, Outcome

KINDS = (".svg", ".png", ".pdf")
WIDTH_IN, HEIGHT_IN = 7.6, 3.4
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "user-state", "font.size": 9}
"""Text stays text, and the same outcomes give the same bytes."""


def check_drawing(path: Path) -> None:
    """Find out whether a picture can be drawn to that path, before hours are spent on what it shows.

    Raises:
        InputError: the path has no ending of KINDS, its folder does not exist, or matplotlib is not installed.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError(f"expected --plot to end in {', '.join(KINDS)}, got {path}")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}")
    _figure_class()


def draw(path: Path, outcomes: Sequence[Outcome], measure: str) -> None:
    """Write a picture of the outcomes.

    Args:
        path: the file, as `check_drawing` has it.
        outcomes: a line each; the second chart is there if one was measured at two ages or more.
        measure: `mrr` or `recall`.

    Raises:
        InputError: the file cannot be written; as `check_drawing`.
    """
    check_drawing(path)
    import matplotlib as mpl

    name = "MRR" if measure == "mrr" else f"R@{CUTOFF}"
    aged = [outcome for outcome in outcomes if len(outcome.by_age) > 1]
    charts = 2 if aged else 1
    with mpl.rc_context(SETTINGS):
        figure = _figure_class()(figsize=(WIDTH_IN, HEIGHT_IN * charts), layout="constrained")
        axes = figure.subplots(charts, 1, squeeze=False)[:, 0]
        _over_the_stream(axes[0], outcomes, measure, name)
        if aged:
            _against_age(axes[1], aged, measure, name)
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
        except OSError as exc:
            raise InputError(f"cannot write {path}: {exc.strerror or exc}") from exc


def _over_the_stream(axes: Any, outcomes: Sequence[Outcome], measure: str, name: str) -> None:
    for outcome in outcomes:
        shares = [segment.until for segment in outcome.segments]
        _line(axes, shares, [getattr(segment.quality, measure) for segment in outcome.segments], outcome.scorer)
    axes.set_xticks([share / 4 for share in range(5)], [f"{share * 25} %" for share in range(5)])
    _finish(axes, f"{name} over the stream", "share of the tested interactions", name)


def _against_age(axes: Any, outcomes: Sequence[Outcome], measure: str, name: str) -> None:
    for outcome in outcomes:
        ages = [_x_of_age(age.mean_s) for age, _ in outcome.by_age]
        _line(axes, ages, [getattr(quality, measure) for _, quality in outcome.by_age], outcome.scorer)
    marks = [age for age, _ in outcomes[0].by_age]
    axes.set_xticks([_x_of_age(age.mean_s) for age in marks], [age.text for age in marks])
    _finish(axes, f"{name} against the age of the state", "age of the state", name)


def _line(axes: Any, x: Sequence[float], y: Sequence[float], scorer: str) -> None:
    axes.plot(x, y, label=scorer.replace("$", r"\$"), gid="curve", marker=".")  # a dollar would begin a formula


def _finish(axes: Any, title: str, x_name: str, y_name: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y", alpha=0.4)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _x_of_age(age_s: float) -> float:
    """Return where an age stands: on a logarithmic axis, moved so that 0 has a place."""
    return math.log10(age_s + 1)


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise InputError("--plot needs matplotlib: pip install 'user-state[evaluate]'") from exc
    return Figure
