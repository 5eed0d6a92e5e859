"""Curves -> one SVG: quality over the stream, and quality against the age of the state, a line a scorer.

Made by hand, since two charts of lines do not need a plotting library that every ranking service would install.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from user_state.evaluation.results import CUTOFF, Outcome

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 60, 190, 36, 48
COLOURS = ("#1b6ca8", "#d1495b", "#2a9d5c", "#e0a100", "#7b4fa3", "#4c4c4c", "#00a0a0", "#a0522d", "#999999", "#c77dba")
TICKS = 5


@dataclass(frozen=True)
class Line:
    """One scorer's curve: points (x, y), x ascending."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Lines over one pair of axes.

    Attributes:
        title, x_name, y_name: what is said.
        lines: the curves; y from 0 to 1.
        x_ticks: where the x axis is marked, and how.
    """

    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]


def draw(outcomes: Sequence[Outcome], measure: str) -> str:
    """Return an SVG document of the outcomes; `measure` is `mrr` or `recall`.

    The second chart is there if an outcome was measured at two ages or more.
    """
    name = "MRR" if measure == "mrr" else f"R@{CUTOFF}"
    stream = Chart(
        f"{name} over the stream",
        "share of the tested interactions",
        name,
        [Line(o.scorer, [(s.until, getattr(s.quality, measure)) for s in o.stretches]) for o in outcomes],
        [(share / 4, f"{share * 25} %") for share in range(5)],
    )
    charts = [stream]
    aged = [o for o in outcomes if len(o.by_age) > 1]
    if aged:
        lines = [Line(o.scorer, [(_x_of_age(a.mean_s), getattr(q, measure)) for a, q in o.by_age]) for o in aged]
        ticks = [(_x_of_age(age.mean_s), age.text) for age, _ in aged[0].by_age]
        charts.append(Chart(f"{name} against the age of the state", "age of the state", name, lines, ticks))
    bodies = [_chart(chart, at * HEIGHT) for at, chart in enumerate(charts)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(charts)}"'
        f' viewBox="0 0 {WIDTH} {HEIGHT * len(charts)}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(bodies)}</svg>\n'
    )


def _x_of_age(age_s: float) -> float:
    """Return where an age stands: on a logarithmic axis, moved so that 0 has a place."""
    return math.log10(age_s + 1)


def _chart(chart: Chart, down: int) -> str:
    xs = [x for line in chart.lines for x, _ in line.points]
    ys = [y for line in chart.lines for _, y in line.points]
    x_from, x_to = min(0.0, *xs), max(xs)
    y_to = _round_up(max(ys))
    x_scale = (WIDTH - LEFT - RIGHT) / ((x_to - x_from) or 1.0)
    y_scale = (HEIGHT - TOP - BOTTOM) / y_to
    floor = HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (x - x_from) * x_scale, floor - y * y_scale

    parts = [f'<g transform="translate(0 {down})">\n', _text(LEFT, 20, chart.title, "start", "bold")]
    for tick in range(TICKS + 1):
        value = y_to * tick / TICKS
        _, y = place(x_from, value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>\n')
        parts.append(_text(LEFT - 6, y + 4, f"{value:.3g}", "end"))
    for x_value, label in chart.x_ticks:
        x, _ = place(x_value, 0)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}" stroke="#888"/>\n')
        parts.append(_text(x, floor + 17, label, "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, chart.x_name, "middle"))
    for at, line in enumerate(chart.lines):
        colour = COLOURS[at % len(COLOURS)]
        dashed = ' stroke-dasharray="5 3"' if at >= len(COLOURS) else ""
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>\n')
        y = TOP + 8 + 18 * at
        x = WIDTH - RIGHT + 14
        parts.append(f'<line x1="{x}" x2="{x + 18}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"{dashed}/>\n')
        parts.append(_text(x + 24, y + 4, line.name))
    return "".join([*parts, "</g>\n"])


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>\n'


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten, at most 1: where an axis ends well.

    >>> [_round_up(value) for value in (0.0, 0.13, 0.03, 0.82)]
    [1.0, 0.2, 0.05, 1.0]
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return min(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-12)), 1.0)
