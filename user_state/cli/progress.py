"""A progress bar on stderr for commands that work through many items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def with_progress(items: Iterable[T], doing: str, total: int | None = None) -> Iterator[T]:
    """Pass `items` on, under a bar that goes away when they end; without one if stderr is no terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    quiet = not console.is_terminal
    yield from track(items, doing, total, console=console, transient=True, disable=quiet, update_period=0.2)
