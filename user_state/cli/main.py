"""`user-state`: every command, and the one place where our errors become a message and exit code 2.

A command is imported when it is the one that is run, so that `--help` and `--version` are quick; COMMANDS has what
`--help` says of the others. Those that need Apache Beam (run, backfill, publish, demo, dead-letters) are found by the
entry point group `user_state.commands`, so that the library never imports the pipeline; where the pipeline is not
installed, the command says how to get it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from user_state.errors import UserStateError

EXIT_USER = 2
EXIT_INTERRUPTED = 130
PIPELINE = "user_state.commands"
COMMANDS: dict[str, tuple[str, str]] = {
    # where it is, and what it does: the first sentence of its docstring
    "demo": (PIPELINE, "Run everything once: traffic, pipeline, Redis, look-ups, and a comparison with brute force."),
    "run": (PIPELINE, "Run the streaming pipeline: events in, Redis records out."),
    "backfill": (PIPELINE, "Make a generation of records from history, while another one is served."),
    "publish": (PIPELINE, "Publish an Avro file, or dead letters, to a Pub/Sub topic."),
    "dead-letters": (PIPELINE, "Show what was refused, why and when; with --replay, publish it again."),
    "get": ("user_state.cli.get:get", "Read users' features, sequences and embeddings as a ranking service would."),
    "nearest": ("user_state.cli.nearest:nearest", "Print the items whose vectors fit a user's best."),
    "check": ("user_state.cli.check:check", "Validate a spec, list its outputs, and estimate the bytes a user."),
    "verify": ("user_state.cli.verify:verify", "Compare every user and feature with brute force over the events."),
    "rollback": ("user_state.cli.rollback:rollback", "Let an earlier spec write again."),
    "generate": ("user_state.cli.generate:generate", "Write synthetic traffic of an app to an Avro file."),
    "convert": ("user_state.cli.convert:convert", "Turn a delimited file of interactions into an Avro file of events."),
    "training-set": (
        "user_state.cli.training_set:training_set",
        "Write labels with every feature as serving would have answered at the label's time.",
    ),
    "consistency": (
        "user_state.cli.consistency:consistency",
        "Compare what the client answered with what history says, and sort every difference.",
    ),
    "evaluate": ("user_state.cli.evaluate:evaluate", "Measure next-item prediction, and compare it with baselines."),
    "plan": ("user_state.cli.plan:plan", "Estimate what a spec needs at a scale, and what that costs."),
    "generation": ("user_state.cli.generation:generation", "Generations of records: list, serve one, delete one."),
    "items": ("user_state.cli.items:items", "Tables of item vectors: fit one, load it, list them, switch back."),
}
_ANY_OPTION = {"allow_extra_args": True, "ignore_unknown_options": True}


def app(only: str | None = None) -> typer.Typer:
    """Return the command line application.

    Args:
        only: the one command to import, which may be none of them; the others are listed, and cannot be run. None
            imports all.
    """
    cli = typer.Typer(
        name="user-state",
        help="Windowed behaviour state and embeddings for every user, served from Redis.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        # The list of commands is plain text: rich takes half the time of a start, and lays out pages of commands only.
        rich_markup_mode="markdown" if only is None or only in COMMANDS else None,
    )
    cli.callback()(_group)
    for name, (where, text) in COMMANDS.items():
        if only is not None and name != only:
            cli.command(name, short_help=text)(_not_imported)
            continue
        command = _of_pipeline(name) if where == PIPELINE else _imported(where)
        if isinstance(command, typer.Typer):
            cli.add_typer(command)
        else:
            settings = _ANY_OPTION if name in ("run", "backfill") else None
            cli.command(name, help=None if command.__doc__ else text, context_settings=settings)(command)
    return cli


def _group(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Windowed behaviour state and embeddings for every user, served from Redis."""


def _imported(where: str) -> Any:
    module, name = where.split(":")
    return getattr(importlib.import_module(module), name)


def _of_pipeline(name: str) -> Callable[..., None]:
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group=PIPELINE)}
    try:
        # Loading takes no Beam: the commands import it when they run.
        command: Callable[..., None] = found[name].load()
    except (KeyError, ImportError):
        return _not_installed(name)
    return command


def _not_installed(name: str) -> Callable[..., None]:
    def command() -> None:
        raise UserStateError(f"`user-state {name}` needs the pipeline: pip install 'user-state[pipeline]'")

    return command


def _not_imported() -> None:
    raise AssertionError("a command that is only listed cannot be run")


def version() -> str:
    """Return the version of the installed package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("user-state")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unknown"


def main() -> None:
    """Run the command line; never shows a stack trace for what a user can mend."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from user_state.cli.terminal import say

        say(f"user-state {version()}")
        return
    try:
        # Options of the group are none but --version and --help: a command comes first.
        app(arguments[0] if arguments else "")()
    except UserStateError as exc:
        from user_state.cli.terminal import say

        say(f"error: {exc}", err=True)
        sys.exit(EXIT_USER)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
