"""Writes docs/cli.md from what `--help` of every command says: `make docs`.

    python docs/generate_cli.py

A test compares the file with what this gives, so that no command or option goes undocumented or out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from user_state.cli.main import app

PAGE = Path(__file__).parent / "cli.md"
WIDTH = 100
HEAD = """\
# Commands

Written by `make docs` from what `--help` says. `user-state COMMAND --help` says the same.

A mistake that you can fix (a wrong spec, a missing file, a Redis that cannot be reached) gives one message on stderr
and exit code 2, before anything starts. `user-state demo` exits with 1 if anything differs from brute force.
"""


def reference(cli: typer.Typer) -> str:
    """Return the page.

    Raises:
        ValueError: a command, or one of its options and arguments, has no help.
    """
    cli.rich_markup_mode = None  # plain text instead of frames as wide as the terminal
    group = typer.main.get_command(cli)
    assert isinstance(group, typer.core.TyperGroup)  # noqa: S101 - several commands make a group
    parts = [HEAD]
    for name, command in _commands(group):
        if not command.help or not command.help.strip():
            raise ValueError(f"expected `user-state {name}` to have a docstring, got none")
        context = command.context_class(command, info_name=f"user-state {name}", terminal_width=WIDTH)
        for parameter in command.get_params(context):
            if not getattr(parameter, "help", None):
                raise ValueError(f"expected `user-state {name}` to say what {parameter.name} is, got no help")
        parts.append(f"\n## {name}\n\n```text\n{command.get_help(context).strip()}\n```\n")
    return "".join(parts)


def _commands(group: typer.core.TyperGroup) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Yield every command with its whole name; of a group of commands, its commands."""
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from ((f"{name} {inner}", one) for inner, one in _commands(command))
        else:
            yield name, command


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference(app()))


if __name__ == "__main__":
    main()
