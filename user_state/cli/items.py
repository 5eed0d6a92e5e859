"""`user-state items`: tables of item vectors. The work is `user_state.items`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

items = typer.Typer(name="items", help="Tables of item vectors.", no_args_is_help=True)


@items.callback()
def group() -> None:
    """Make tables of item vectors."""


@items.command()
def fit(
    *,
    events: Annotated[Path, typer.Option("--input", help="The log: Avro events, a delimited file, or triples.")],
    output: Annotated[Path, typer.Option(help="The table to write, .npz.", show_default=False)],
    dimensions: Annotated[int, typer.Option(min=1, help="Numbers a vector.")] = 64,
    reach: Annotated[
        int, typer.Option(min=0, help="How many steps apart two items of a user may be; 0: any, all weighing alike.")
    ] = 30,
    fade: Annotated[float, typer.Option(help="What a step further apart multiplies a pair's weight with.")] = 0.9,
    spec: Annotated[Path | None, typer.Option(help="The spec of Avro events; interaction.avsc without.")] = None,
    log_format: Annotated[
        str, typer.Option("--format", help="auto, avro, table (names in the first line), triples (user item seconds).")
    ] = "auto",
    user_column: Annotated[str, typer.Option(help="Of a table: the column of the user.")] = "user_id",
    item_column: Annotated[str, typer.Option(help="The column or event field of the item.")] = "item_id",
    time_column: Annotated[str, typer.Option(help="Of a table: the column of the time since 1970.")] = "timestamp",
    time_unit: Annotated[str, typer.Option(help="Of a table: what the time counts: s, ms or us.")] = "s",
    value_column: Annotated[str | None, typer.Option(help="The column or event field of a number.")] = None,
    min_value: Annotated[float | None, typer.Option(help="Leave out interactions with less.")] = None,
) -> None:
    """Fit item vectors to a log: who chooses this chooses that. Good vectors in a minute, for those without a model.

    The leading eigenvectors of the co-occurrences of items in users' histories, pairs weighing less the more steps lie
    between, divided by the items' popularity. The inner product of two vectors is how much the items belong together;
    a user's decayed mean of them scores items. Items without a pair have no vector and are left out of the table.

    The table is numpy's .npz: `ids`, `vectors` (float32) and `version`, which names its content.

    Example: `user-state items fit --input events.avro --output items.npz`
    """
    import numpy as np

    from user_state.errors import InputError
    from user_state.evaluation.log_files import Reading, read_interactions
    from user_state.events.convert import Columns
    from user_state.items.cooccurrence import Fit, fit_vectors
    from user_state.items.table import checked_table
    from user_state.items.table_file import write_table
    from user_state.spec import load_spec

    how = Fit(dimensions=dimensions, reach=reach, fade=fade)
    how.check()
    columns = Columns(user=user_column, item=item_column, time=time_column, time_unit=time_unit, value=value_column)
    loaded = None if spec is None else load_spec(spec)
    log = read_interactions(events, Reading(log_format, columns, min_value, loaded))
    vectors = fit_vectors(log.user, log.item, len(log.items), how)
    paired = np.flatnonzero(np.abs(vectors).max(axis=1) > 0)
    if len(paired) == 0:
        raise InputError(f"expected users with two items or more in {events}, got none, so no item has a pair")
    table = checked_table([log.items[at] for at in paired.tolist()], vectors[paired], str(output))
    write_table(output, table)
    without = len(log.items) - len(paired)
    typer.echo(
        f"{output}: version {table.version}, {len(paired):,} items of {dimensions} dimensions from"
        f" {len(log):,} interactions; {without:,} items without a pair left out"
    )
