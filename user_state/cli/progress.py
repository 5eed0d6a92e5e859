"""A progress bar on stderr for commands that work through many items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def with_progress(items: Iterable[T], doing: str, total: int | None = None) -> Iterator[T]:
    """Pass `items` on, under a bar that goes away when they end; without one if stderr is no terminal."""
    from rich.markup import escape
    from rich.progress import track

    from user_state.cli.terminal import Terminal
    from user_state.printable import printable

    console = Terminal(stderr=True)
    quiet = not console.is_terminal
    yield from track(
        items, escape(printable(doing)), total, console=console, transient=True, disable=quiet, update_period=0.2
    )
