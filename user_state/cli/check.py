"""`user-state check`: is the spec right, what comes out of it, and what a user costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from user_state.cli.generation_option import Generation


def check(
    spec: Annotated[Path, typer.Argument(help="The spec file.", show_default=False)],
    sessions_a_day: Annotated[
        float | None,
        typer.Option(help="Also estimate the record of a user with this many sessions a day.", min=0.01, max=1000),
    ] = None,
    events_a_session: Annotated[int, typer.Option(help="Events in each of those sessions.", min=1, max=10_000)] = 10,
    days: Annotated[int, typer.Option(help="For how many days that user has been active.", min=1, max=365)] = 30,
    redis: Annotated[
        str | None,
        typer.Option(
            help="Also say what this spec keeps, starts, misses and drops of the records there: redis://host:port"
        ),
    ] = None,
    generation: Generation = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: outputs, event_schemas, costs, worst_case, records.")
    ] = False,
) -> None:
    """Validate a spec and list its outputs: type, window, tile width, error bound, default; and the bytes a user.

    Lists the event schemas that are accepted, with their fingerprints, and how other versions' fields differ.

    A window may reach back further than it says by at most its tile width: that is the error bound of what is exact
    otherwise. Sketches add their own: of a count its relative standard error, of quantiles how far their rank may be
    off, in 99 of 100 cases. The default is what an output is over nothing. The bytes beside a feature are what it adds
    to a typical user's record; what several share is counted for none of them.

    The worst case is the largest record that a user can make of this spec, with texts as long as they are accepted;
    `max_record` in the spec keeps every record within a limit.

    Example: `user-state check user_state.yaml --sessions-a-day 3`; with `--redis redis://localhost:6379` before a
    changed spec is run.
    """
    from user_state.cli.checked_spec import check_spec

    given = None if sessions_a_day is None else (sessions_a_day, events_a_session, days)
    check_spec(spec, given, redis, generation, as_json)
