"""What commands print, and the one place that prints it: text for people is made safe here, JSON stays JSON.

    Terminal        rich's console; what it is given as text is shown as it is, never taken for markup
    say             a line, or several
    say_json        a value as JSON

Ids and values are `printable` before they become a part of a line; here the rest is, line breaks kept. Nothing else of
what is not printable reaches a terminal, whoever forgot what. To make something bold, give rich's `Text` or a style.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from user_state.printable import printable

WIDEST = 10_000


class Terminal(Console):
    """A console for stdout, for stderr or for a file. Lines are not cut but left to the terminal."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        super().__init__(stderr=stderr, file=file, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def print_table(self, table: Table) -> None:
        """Print a table without cutting a cell: what is too wide goes below, the first column repeated.

        What is no terminal has any width, unless COLUMNS says otherwise.
        """
        whole = self.options.update(max_width=WIDEST)
        room = self.width if self.is_terminal or "COLUMNS" in os.environ else WIDEST
        head, *others = table.columns
        while True:
            part = _of_columns(table, [head, *others[:1]])
            taken = 1
            while taken < len(others):
                wider = _of_columns(table, [head, *others[: taken + 1]])
                if Measurement.get(self, whole, wider).maximum > room:
                    break
                part, taken = wider, taken + 1
            with self._as_wide_as(max(self.width, Measurement.get(self, whole, part).maximum)):
                self.print(part, soft_wrap=False)
            others = others[taken:]
            if not others:
                return

    @contextmanager
    def _as_wide_as(self, width: int) -> Iterator[None]:
        before, self.width = self.width, width
        try:
            yield
        finally:
            self.width = before

    def render_str(self, text: str, **how: Any) -> Text:
        """Return text for rich; it comes here with all that is printed as a string, cells of tables too."""
        return super().render_str(printable(text, keep="\n"), **{**how, "markup": False, "emoji": False})


def _of_columns(table: Table, columns: Sequence[Column]) -> Table:
    """Return the table with these of its columns alone, none of them wrapped."""
    part = Table(box=table.box, pad_edge=table.pad_edge, padding=table.padding, show_header=table.show_header)
    part.columns = [replace(column, _index=index, no_wrap=True) for index, column in enumerate(columns)]
    part.rows = table.rows
    return part


def _finite(value: Any) -> Any:
    """Return the value with null in place of every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    return [_finite(held) for held in value] if isinstance(value, list | tuple) else value


def say(text: str, *, err: bool = False) -> None:
    """Print text."""
    typer.echo(printable(text, keep="\n"), err=err)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON; in its strings, what is not printable is escaped as JSON has it.

    JSON has no NaN and no Infinity: numbers that are not finite become null.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, indent=indent, allow_nan=False)
    if not text.isascii() or "\x7f" in text:
        text = "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)
        text = text.replace("\x7f", "\\u007f")
    typer.echo(text)
