"""`user-state get`: what Redis holds of a few users, for people and for scripts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from user_state.cli.generation_option import Generation


def get(
    users: Annotated[list[str], typer.Argument(help="User ids.", show_default=False)],
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    redis: Annotated[str, typer.Option(help="Where the records are: redis://host:port", show_default=False)],
    at: Annotated[str | None, typer.Option(help="Read as of this time (RFC 3339); default: now.")] = None,
    generation: Generation = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: user -> present, as_of, features, ...")] = False,
) -> None:
    """Read users' features, sequences and embeddings as a ranking service would.

    Example: `user-state get --spec user_state.yaml --redis redis://localhost:6379 u1 u2 --json`
    """
    from user_state.cli.shown_state import as_jsonable, measured_tables, show, time_columns
    from user_state.cli.terminal import Terminal, say_json
    from user_state.client import UserStateClient
    from user_state.errors import CodecError
    from user_state.printable import printable
    from user_state.spec import load_spec
    from user_state.times import parse_time_us

    at_us = None if at is None else parse_time_us(at)
    loaded = load_spec(spec)
    with UserStateClient.from_url(redis, loaded, timeout_s=5, generation=generation) as client:
        batch = client.get_many(users, at_us)
        batch = replace(batch, errors=batch.errors | client.not_records(batch))
    states = [batch[index] for index in range(len(batch))]
    if as_json:
        say_json({state.user: as_jsonable(state) for state in states}, indent=2)
    else:
        console, times, measures = Terminal(), time_columns(loaded), measured_tables(loaded)
        for state in states:
            show(console, state, times, measures)
    for user, reason in batch.errors.items():
        raise CodecError(f"cannot read the record of {printable(user)}: {reason}")
