"""What commands print, and the one place that prints it: text for people is made safe here, JSON stays JSON.

    Terminal        rich's console; what it is given as text is shown as it is, never taken for markup
    say             a line, or several
    say_json        a value as JSON

Ids and values are `printable` before they become a part of a line; here the rest is, line breaks kept. Nothing else of
what is not printable reaches a terminal, whoever forgot what. To make something bold, give rich's `Text` or a style.
"""

from __future__ import annotations

import json
from typing import IO, Any

import typer
from rich.console import Console
from rich.text import Text

from user_state.printable import printable


class Terminal(Console):
    """A console for stdout, for stderr or for a file. Lines are not cut but left to the terminal."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        super().__init__(stderr=stderr, file=file, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def render_str(self, text: str, **how: Any) -> Text:
        """Return text for rich; it comes here with all that is printed as a string, cells of tables too."""
        return super().render_str(printable(text, keep="\n"), **{**how, "markup": False, "emoji": False})


def say(text: str, *, err: bool = False) -> None:
    """Print text."""
    typer.echo(printable(text, keep="\n"), err=err)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON; in its strings, what is not printable is escaped as JSON has it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if not text.isascii() or "\x7f" in text:
        text = "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)
        text = text.replace("\x7f", "\\u007f")
    typer.echo(text)
