"""Whether a spec's durations go together: lateness, retention, windows and the widths of their tiles.

Works on the values as they stand in the file and skips what is malformed, which `model_problems` reports, so that
one mistake does not hide another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from user_state.durations import SECOND_US, format_duration, parse_duration_us
from user_state.plan.time_axis import default_tile_width_s
from user_state.spec.problems import KeyPath, Problem, listing
from user_state.spec.values import LIFETIME
from user_state.spec.yaml_document import Document


def window_problems(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with durations that are well formed, each taken with the others."""
    yield from _ordered(document, ("max_clock_skew",), "allowed_lateness")
    yield from _ordered(document, ("allowed_lateness",), "retention")
    windows = list(_windows(document))
    for path, _ in windows:
        yield from _ordered(document, path, "retention")
    for name, _ in document.entries("sequences"):
        yield from _ordered(document, ("sequences", name, "within"), "retention")
    for name, _ in document.entries("features"):
        yield from _ordered(document, ("features", name, "gap"), "retention")
    yield from _spelt_two_ways(document, windows)
    yield from _tiles(document, windows)


def _duration_us(value: Any) -> int | None:
    """Return a well-formed duration in microseconds, None for anything else."""
    try:
        return parse_duration_us(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _windows(document: Document) -> Iterator[tuple[KeyPath, str]]:
    """Yield every well-formed window but lifetime, with its path, in the order of the file."""
    for name, feature in document.entries("features"):
        if "windows" in feature:
            for path, window in document.items(("features", name, "windows")):
                if _duration_us(window) is not None and window != LIFETIME:
                    yield path, window


def _ordered(document: Document, path: KeyPath, limit: str) -> Iterator[Problem]:
    """Yield a problem if the duration at `path` is longer than the one at `limit`, a key at the top."""
    value, longest = document.find(path), document.find((limit,))
    value_us, longest_us = _duration_us(value), _duration_us(longest)
    if value_us is not None and longest_us is not None and value_us > longest_us:
        yield document.problem(path, f"expected at most `{limit}`, {longest}, got {value}")


def _spelt_two_ways(document: Document, windows: list[tuple[KeyPath, str]]) -> Iterator[Problem]:
    """Yield a problem for each window that another one equals under another spelling, such as 60m and 1h."""
    first: dict[int | None, tuple[KeyPath, str]] = {}
    for path, window in windows:
        earlier_path, earlier = first.setdefault(_duration_us(window), (path, window))
        if window != earlier:
            text = f"expected each window once, got {window}, which equals {earlier}"
            yield document.problem(path, f"{text} on line {document.line(earlier_path)}")


def _tiles(document: Document, windows: list[tuple[KeyPath, str]]) -> Iterator[Problem]:
    """Yield what is wrong with `tiles:`, and windows that have no width."""
    tiles = document.mapping("tiles")
    declared = list(dict.fromkeys(window for _, window in windows))
    widths_us: dict[str, tuple[int, KeyPath]] = {}
    for window, width in tiles.items():
        path: KeyPath = ("tiles", window)
        window_us, width_us = _duration_us(window), _duration_us(width)
        if window_us is None or width_us is None:
            continue
        if window not in declared:
            accepted = f"expected a window of a feature ({listing(declared) or 'none'})"
            yield document.problem(path, f"{accepted}, got {window}")
        elif window_us % width_us:
            yield document.problem(path, f"expected a width that divides {window}, got {width}")
        else:
            widths_us[window] = (width_us, path)
    for path, window in windows:
        if window not in tiles:
            try:
                width_s = default_tile_width_s(parse_duration_us(window) // SECOND_US)
            except ValueError:
                text = f"expected a window of at least 48s, or its tile width under `tiles:`, got {window}"
                yield document.problem(path, text)
            else:
                widths_us.setdefault(window, (width_s * SECOND_US, path))
    yield from _indivisible(document, widths_us)


def _indivisible(document: Document, widths_us: dict[str, tuple[int, KeyPath]]) -> Iterator[Problem]:
    """Yield a problem for the first two neighbours among the widths of which the finer does not divide the coarser."""
    ordered = sorted(widths_us.items(), key=lambda entry: entry[1][0])
    for (finer, (finer_us, finer_path)), (coarser, (coarser_us, coarser_path)) in pairwise(ordered):
        if coarser_us % finer_us:
            # Default widths divide one another, so at least one of the two was set.
            path = coarser_path if coarser_path[0] == "tiles" else finer_path
            tiles = f"{format_duration(finer_us)} ({finer}) and {format_duration(coarser_us)} ({coarser})"
            yield document.problem(path, f"expected tile widths that each divide the next, got {tiles}")
            return
