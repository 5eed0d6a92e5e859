"""`user-state`: every command, and the one place where our errors become a message and exit code 2.

Commands of the library (get, check, evaluate, items, ...) are registered here. Those that need Apache Beam (run,
publish, demo) are found by the entry point group `user_state.commands`, so that the library never imports the
pipeline; where the pipeline is not installed, the command says how to get it.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer

from user_state.cli.check import check
from user_state.cli.convert import convert
from user_state.cli.evaluate import evaluate
from user_state.cli.generate import generate
from user_state.cli.get import get
from user_state.cli.items import items
from user_state.cli.nearest import nearest
from user_state.cli.plan import plan
from user_state.cli.rollback import rollback
from user_state.cli.terminal import say
from user_state.cli.verify import verify
from user_state.errors import UserStateError

EXIT_USER = 2
EXIT_INTERRUPTED = 130
PIPELINE_COMMANDS = {
    "demo": "Run everything once: traffic, pipeline, Redis, look-ups, and a comparison with brute force.",
    "run": "Run the streaming pipeline: events in, Redis records out.",
    "publish": "Publish an Avro file to a Pub/Sub topic.",
    "dead-letters": "Show what was refused and why; publish it again after a fix.",
}
_ANY_OPTION = {"allow_extra_args": True, "ignore_unknown_options": True}


def app() -> typer.Typer:
    """Return the command line application."""
    cli = typer.Typer(
        name="user-state",
        help="Windowed behaviour state and embeddings for every user, served from Redis.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    found = {entry.name: entry for entry in entry_points(group="user_state.commands")}
    for name, text in PIPELINE_COMMANDS.items():
        try:
            # Loading takes no Beam: the commands import it when they run.
            command = found[name].load()
        except (KeyError, ImportError):
            command = _not_installed(name)
        settings = _ANY_OPTION if name == "run" else None
        cli.command(name, help=None if command.__doc__ else text, context_settings=settings)(command)
    for library_command in (get, nearest, check, verify, rollback, generate, convert, evaluate, plan):
        cli.command()(library_command)
    cli.add_typer(items)
    return cli


def _not_installed(name: str) -> typer.models.CommandFunctionType:  # type: ignore[type-var]
    def command() -> None:
        raise UserStateError(f"`user-state {name}` needs the pipeline: pip install 'user-state[pipeline]'")

    return command  # type: ignore[return-value]


def main() -> None:
    """Run the command line; never shows a stack trace for what a user can mend."""
    try:
        app()()
    except UserStateError as exc:
        say(f"error: {exc}", err=True)
        sys.exit(EXIT_USER)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
