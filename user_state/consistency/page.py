"""The comparison as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from user_state.consistency.compare import EQUAL, IN_FLIGHT, UNEXPLAINED, Report
from user_state.times import format_time

COLOURS = {EQUAL: "#4a8f5b", IN_FLIGHT: "#d9a441", UNEXPLAINED: "#b8352c"}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}td.v{font-family:monospace;word-break:break-all}"
)
_WIDTH, _ROW, _NAMES = 640, 22, 220
_WAITS_US = (10**4, 10**5, 10**6, 10**7, 6 * 10**7, 6 * 10**8)
_WAIT_NAMES = ("<10 ms", "<100 ms", "<1 s", "<10 s", "<1 min", "<10 min", "more")


def page(report: Report, about: Mapping[str, str]) -> str:
    """Return the page; `about` says what was compared."""
    facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in about.items())
    total = sum(report.answers.values())
    kinds = "".join(f"<tr><td>{escape(kind)}</td><td class=n>{report.answers[kind]:,}</td></tr>" for kind in COLOURS)
    left_out = "".join(
        f"<tr><td>not compared: {escape(why)}</td><td class=n>{number:,}</td></tr>"
        for why, number in sorted(report.left_out.items())
        if number
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Consistency</title>'
        f"<style>{_STYLE}</style></head><body><h1>What was served, and what history says</h1><table>{facts}</table>"
        f"<h2>{total:,} answers</h2><table>{kinds}{left_out}</table>"
        f"<h2>By output</h2>{_bars(report)}<h2>How long events were in flight</h2>{_waits(report.waited_us)}"
        f"<h2>Unexplained</h2>{_samples(report)}</body></html>\n"
    )


def _bars(report: Report) -> str:
    names = list(dict.fromkeys(name for name, _ in report.outputs))
    parts = []
    for at, name in enumerate(names):
        counts = {kind: report.outputs[name, kind] for kind in COLOURS}
        total, left = max(sum(counts.values()), 1), float(_NAMES)
        parts.append(f'<text x="0" y="{at * _ROW + 15}" font-size="13">{escape(name)}</text>')
        for kind, number in counts.items():
            width = (_WIDTH - _NAMES) * number / total
            if number:
                # A single one among a million is to be seen.
                shown = max(width, 2.0)
                parts.append(
                    f'<rect x="{min(left, _WIDTH - shown):.1f}" y="{at * _ROW + 3}" width="{shown:.1f}" height="16"'
                    f' fill="{COLOURS[kind]}"><title>{escape(f"{name}: {number:,} {kind}")}</title></rect>'
                )
            left += width
    return _svg(_WIDTH, max(len(names), 1) * _ROW, parts)


def _waits(waited_us: Sequence[int]) -> str:
    if not waited_us:
        return "<p>None was.</p>"
    counts = [0] * len(_WAIT_NAMES)
    for one in waited_us:
        counts[sum(one >= limit for limit in _WAITS_US)] += 1
    most, parts = max(counts), []
    for at, (name, number) in enumerate(zip(_WAIT_NAMES, counts, strict=True)):
        height, x = 120 * number / most, at * 90
        parts.append(
            f'<rect x="{x}" y="{140 - height:.1f}" width="70" height="{height:.1f}" fill="{COLOURS[IN_FLIGHT]}"/>'
        )
        parts.append(f'<text x="{x + 35}" y="{134 - height:.1f}" font-size="12" text-anchor="middle">{number:,}</text>')
        parts.append(f'<text x="{x + 35}" y="156" font-size="12" text-anchor="middle">{escape(name)}</text>')
    return _svg(_WIDTH, 162, parts)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}">{"".join(parts)}</svg>'


def _samples(report: Report) -> str:
    if not report.samples:
        return "<p>Nothing.</p>"
    rows = "".join(
        f"<tr><td>{escape(one.user)}</td><td>{escape(format_time(one.at_us))}</td><td>{escape(one.output)}</td>"
        f"<td class=v>{escape(one.served)}</td><td class=v>{escape(one.recomputed)}</td>"
        f"<td>{escape(one.reason)}</td></tr>"
        for one in report.samples
    )
    head = "".join(f"<th>{name}</th>" for name in ("user", "at", "output", "served", "history", "why"))
    return f"<table><tr>{head}</tr>{rows}</table>"
