"""Progress on stderr of commands that work through many items: how many of how many, how fast, how long it will take.

    a terminal      a bar, which goes away when the work is done
    anything else   a line every LINE_INTERVAL_S, also while no item is done: silence would look like a hang

    reading events: 34,000 of 120,000 (28 %), 2,100/s, 41 s left

`with_progress` passes items on; `progress` gives a function to call with the number of items that are done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
Advance = Callable[[int], None]
"""Called with how many further items are done."""

LINE_INTERVAL_S = 10.0
REFRESH_S = 0.2


def with_progress(items: Iterable[T], doing: str, total: int | None = None) -> Iterator[T]:
    """Pass `items` on and show how many have been taken; `total` is how many there are, if that is known."""
    with progress(doing, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def progress(doing: str, total: int | None = None) -> Iterator[Advance]:
    """Show progress while the `with` block runs; it gives the function that is told of items done."""
    from user_state.cli.terminal import Terminal

    console = Terminal(stderr=True)
    with _bar(console, doing, total) if console.is_terminal else _lines(console.print, doing, total) as advance:
        yield advance


@contextmanager
def _bar(console: object, doing: str, total: int | None) -> Iterator[Advance]:
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    from user_state.printable import printable

    done, drawn_s = 0, 0.0

    class HowFar(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(how_far(done, total, task.elapsed or 0.0))

    columns = (TextColumn("{task.description}"), BarColumn(table_column=Column(max_width=40)), HowFar())
    with Progress(*columns, console=console, transient=True) as shown:  # type: ignore[arg-type]  # rich loads late
        task = shown.add_task(escape(printable(doing)), total=total)

        def advance(by: int) -> None:
            nonlocal done, drawn_s
            done += by
            now_s = time.monotonic()
            if now_s - drawn_s >= REFRESH_S:
                shown.update(task, completed=done)
                drawn_s = now_s

        yield advance


@contextmanager
def _lines(say: Callable[[str], None], doing: str, total: int | None) -> Iterator[Advance]:
    began_s, done, ended = time.monotonic(), 0, threading.Event()

    def report() -> None:
        while not ended.wait(LINE_INTERVAL_S):
            say(f"{doing}: {how_far(done, total, time.monotonic() - began_s)}")

    def advance(by: int) -> None:
        nonlocal done
        done += by

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield advance
    finally:
        ended.set()
        thread.join()


def how_far(done: int, total: int | None, elapsed_s: float) -> str:
    """Return how far work is, in words.

    >>> how_far(34_000, 120_000, 16.2), how_far(500, None, 0.5), how_far(0, 7, 30.0)
    ('34,000 of 120,000 (28 %), 2,099/s, 41 s left', '500, 1,000/s', '0 of 7 (0 %), 30 s so far')
    """
    share = "" if not total else f" of {total:,} ({100 * done // total} %)"
    if not done or elapsed_s <= 0:
        return f"{done:,}{share}, {_seconds(elapsed_s)} so far"
    rate = done / elapsed_s
    shown = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
    left = "" if not total or done >= total else f", {_seconds((total - done) / rate)} left"
    return f"{done:,}{share}, {shown}{left}"


def _seconds(seconds: float) -> str:
    """Return a duration as people read it.

    >>> _seconds(59.2), _seconds(200), _seconds(8000)
    ('59 s', '3 min', '2 h 13 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
