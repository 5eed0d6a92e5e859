"""`user-state rollback`: have an earlier spec write again, after a newer one has taken over."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from user_state.cli.generation_option import Generation
from user_state.cli.terminal import Terminal, say
from user_state.errors import InputError
from user_state.times import format_time

if TYPE_CHECKING:
    from user_state.plan.plan import Plan
    from user_state.store.registry import Registered

EXIT_REFUSED = 1


def rollback(
    spec: Annotated[Path, typer.Option(help="The spec that is to write again.", show_default=False)],
    redis: Annotated[str, typer.Option(help="Where the records are: redis://host:port", show_default=False)],
    generation: Generation = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let an earlier spec write again.

    A run with a new spec takes over from the spec before; from then on `run` refuses the earlier one, which may have
    been started by mistake. This command shows which spec writes now and what becomes of the records, asks, and lets
    the given spec write. A run of the other spec ends by itself, with a message; it acknowledges nothing more.

    The spec's layout is registered as well, so this is also how records become readable whose registry was lost.

    Example: `user-state rollback --spec user_state.yaml --redis redis://localhost:6379`
    """
    from user_state.plan.compile import compile_plan
    from user_state.spec import load_spec
    from user_state.store.generations import generation_to_read
    from user_state.store.specs import force_epoch, registered_specs

    loaded = load_spec(spec)
    loaded = loaded.of_generation(generation_to_read(redis, loaded.spec.name, generation))
    plan = compile_plan(loaded)
    registered = registered_specs(redis, plan)
    if registered.current == plan.definition:
        say(f"{spec} writes {plan.keyspace} already, since {format_time(registered.epoch)}: nothing to do")
        return
    _show(plan, registered, redis)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("cannot ask for confirmation without a terminal: add --yes to roll back")
        if not typer.confirm("Roll back?"):
            raise typer.Exit(EXIT_REFUSED)
    force_epoch(redis, plan, time.time_ns() // 1000)
    say(f"{spec} writes {plan.keyspace} from now on: start it with `user-state run`")


def _show(plan: Plan, registered: Registered, redis: str) -> None:
    """Print who writes, who shall, and what becomes of the records."""
    from user_state.plan.spec_change import spec_change
    from user_state.store.survey import stored_layouts

    console = Terminal()
    before = registered.known.get(plan.definition)
    lines = [
        f"{plan.keyspace} is written by no spec that is registered"
        if registered.current is None
        else f"{plan.keyspace} is written by spec {registered.current.hex()}, since {format_time(registered.epoch)}",
        f"the spec given is {plan.definition.hex()}, which "
        + ("never wrote here" if before is None else f"took over at {format_time(before)} and was taken over from"),
    ]
    found = stored_layouts(redis, plan.keyspace)
    total = f"{found.held.total():,} records{'' if found.whole else ' looked at'}"
    for fingerprint, number in found.held.most_common():
        layout = found.registered.get(fingerprint)
        if fingerprint == plan.layout.fingerprint:
            lines.append(f"{number:,} of {total} have its layout: it keeps all")
        elif layout is None:
            lines.append(f"{number:,} of {total} have layout {fingerprint.hex()}, which is registered nowhere")
        else:
            lines.append(f"{number:,} of {total} have layout {fingerprint.hex()}; of these it")
            lines += [f"  {line}" for line in spec_change(plan, layout, found.registered.values()).lines()]
    lines.append("A run of the other spec ends by itself. What is dropped is gone once a user's record is written.")
    for line in lines:
        console.print(line)
