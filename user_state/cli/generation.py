"""`user-state generation`: which of several generations of records clients read. `store.generations` does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from user_state.cli.terminal import Terminal, say, say_json

if TYPE_CHECKING:
    from user_state.spec import LoadedSpec
    from user_state.store.generations import Generation
    from user_state.store.survey import StoredLayouts

generation = typer.Typer(name="generation", help="Generations of records.", no_args_is_help=True)
EXIT_REFUSED = 1
_SPEC = typer.Option(help="The spec file.", show_default=False)
_REDIS = typer.Option(help="Where the records are: redis://host:port", show_default=False)
_NAME = typer.Argument(metavar="NAME", help="The generation; `base`: the records of none.", show_default=False)
_YES = typer.Option("--yes", "-y", help="Do not ask.")


@generation.callback()
def group() -> None:
    """Generations of records lie beside each other under one spec's name; clients read the one that is served.

    `user-state backfill` makes a generation from history while another one is served; `use` changes which is served,
    and changing back is the way back. `run --generation` keeps one up to date.
    """


@generation.command("list")
def list_generations(
    spec: Annotated[Path, _SPEC],
    redis: Annotated[str, _REDIS],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the generations, how many records each has, and which one is served.

    Example: `user-state generation list --spec user_state.yaml --redis redis://localhost:6379`
    """
    from rich.table import Table

    from user_state.generation_name import BASE
    from user_state.spec import load_spec
    from user_state.store.generations import Generations
    from user_state.times import format_time

    loaded = load_spec(spec)
    with Generations(redis, loaded.spec.name) as generations:
        served, known = generations.serving() or BASE, generations.listed()
    if as_json:
        say_json({"served": served, "generations": [_jsonable(one) for one in known]}, indent=2)
        return
    shown = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("generation", "records", "begun", "history", "state"):
        shown.add_column(heading, no_wrap=True, justify="right" if heading == "records" else "left")
    for name, one in ((BASE, None), *((one.name, one) for one in known)):
        state = "served" if name == served else ""
        begun, history = ("", "") if one is None else (format_time(_second(one.began_us)), _history(one))
        shown.add_row(name, _number(_found(loaded, name, redis)), begun, history, state)
    if served not in (BASE, *(one.name for one in known)):
        shown.add_row(served, _number(_found(loaded, served, redis)), "", "", "served")
    Terminal().print_table(shown)


@generation.command()
def use(
    name: Annotated[str, _NAME],
    spec: Annotated[Path, _SPEC],
    redis: Annotated[str, _REDIS],
    yes: Annotated[bool, _YES] = False,
) -> None:
    """Have clients read a generation from now on; they follow within ten seconds.

    Says what the generation holds beside the one that is served, and asks. Refused if there are no records, if its
    backfill has not come to its end, or if another spec than this one writes it.

    Example: `user-state generation use 2026-11 --spec user_state.yaml --redis redis://localhost:6379`
    """
    from user_state.errors import InputError
    from user_state.generation_name import BASE, generation_name
    from user_state.plan.compile import compile_plan
    from user_state.spec import load_spec
    from user_state.store.generations import Generations
    from user_state.store.specs import registered_specs

    generation_name(name)
    loaded = load_spec(spec)
    with Generations(redis, loaded.spec.name) as generations:
        before = generations.serving() or BASE
        if before == name:
            say(f"{name} is served already: nothing to do")
            return
        one, found = generations.find(name), _found(loaded, name, redis)
        if one is not None and not one.is_complete:
            raise InputError(
                f"expected a generation that is complete, got {name}, whose backfill has not come to its end"
            )
        if not found.held:
            raise InputError(f"expected a generation that has records, got {name}, which has none in this Redis")
        plan = compile_plan(loaded.of_generation(name))
        writer = registered_specs(redis, plan).current
        if writer != plan.definition:
            wrote = "no spec that is registered" if writer is None else f"spec {writer.hex()}"
            raise InputError(
                f"expected a generation of {spec} ({plan.definition.hex()}), got {name}, written by {wrote}"
            )
        say(f"{before}: {_number(_found(loaded, before, redis))} records, served now")
        say(f"{name}: {_number(found)} records")
        _ask(f"Serve {name}?", yes)
        generations.serve(name)
    say(f"{name} is served: clients read it within ten seconds. The way back: `user-state generation use {before}`")


@generation.command()
def drop(
    name: Annotated[str, _NAME],
    spec: Annotated[Path, _SPEC],
    redis: Annotated[str, _REDIS],
    yes: Annotated[bool, _YES] = False,
) -> None:
    """Delete a generation that is not served: records, remembered ids, learned items.

    Stop the run that writes it first.

    Example: `user-state generation drop 2026-10 --spec user_state.yaml --redis redis://localhost:6379`
    """
    from user_state.cli.progress import progress
    from user_state.errors import InputError
    from user_state.generation_name import generation_name
    from user_state.spec import load_spec
    from user_state.store.generations import Generations

    if generation_name(name) is None:
        raise InputError(f"expected a generation, got {name}: docs/howto/delete.md has how records of none are deleted")
    loaded = load_spec(spec)
    with Generations(redis, loaded.spec.name) as generations:
        if generations.serving() == name:
            raise InputError(
                f"expected a generation that is not served, got {name}: `generation use` another one first"
            )
        say(f"{name}: {_number(_found(loaded, name, redis))} records")
        _ask(f"Delete {name}?", yes)
        with progress(f"deleting {name}", None) as advance:
            deleted = generations.drop(name, advance)
    say(f"{name}: deleted {deleted:,} keys")


def _found(loaded: LoadedSpec, name: str, redis: str) -> StoredLayouts:
    from user_state.store.survey import stored_layouts

    return stored_layouts(redis, loaded.of_generation(name).keyspace)


def _number(found: StoredLayouts) -> str:
    return f"{found.held.total():,}{'' if found.whole else ' or more'}"


def _history(one: Generation) -> str:
    from user_state.times import format_time

    if not one.is_complete:
        return "being filled"
    end = "" if one.until_us is None else f" until {format_time(one.until_us)}"
    return f"{one.events:,} events{end}"


def _second(time_us: int) -> int:
    return time_us // 1_000_000 * 1_000_000


def _jsonable(one: Generation) -> dict[str, object]:
    from user_state.times import format_time

    times = {name: getattr(one, f"{name}_us") for name in ("began", "ended", "until", "latest")}
    told = {name: None if time_us is None else format_time(time_us) for name, time_us in times.items()}
    return {"name": one.name, **told, "events": one.events, "spec": one.definition}


def _ask(question: str, yes: bool) -> None:
    from user_state.errors import InputError

    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("cannot ask for confirmation without a terminal: add --yes")
    if not typer.confirm(question):
        raise typer.Exit(EXIT_REFUSED)
