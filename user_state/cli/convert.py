"""`user-state convert`: a delimited file into Avro events. The work itself is `user_state.events.convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from user_state.cli.progress import with_progress
from user_state.cli.terminal import say


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A delimited file with column names in its first line.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="The Avro file to write.", show_default=False)],
    user_column: Annotated[str, typer.Option(help="The column that names the user.")] = "user_id",
    item_column: Annotated[str, typer.Option(help="The column that names the item.")] = "item_id",
    time_column: Annotated[str, typer.Option(help="The column with the time, a number since 1970.")] = "timestamp",
    time_unit: Annotated[str, typer.Option(help="What it counts: s, ms or us.")] = "s",
    value_column: Annotated[str | None, typer.Option(help="A column with a number: rating, seconds, price.")] = None,
    action_column: Annotated[str | None, typer.Option(help="A column that says what the user did.")] = None,
    like_at: Annotated[
        float | None, typer.Option(help="Without an action column: values of at least this are `like`, others `view`.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="A second delimited file, with one row for each item, that has the categories.")
    ] = None,
    category_column: Annotated[
        str | None, typer.Option(help="The column with the item's categories; the first one is used.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Column separator; default: found in the first line (tab , ; |).")
    ] = None,
    id_prefix: Annotated[str | None, typer.Option(help="Prefix of event ids; default: the file's name.")] = None,
) -> None:
    """Turn a delimited file of interactions into an Avro file of events, in order of time.

    Event ids are made of user, item and time, so converting a file again gives the same events. Times of publication
    are left empty: the event time stands in for them when the file is run.

    Example, MovieLens-100k as RecBole packs it:

    user-state convert ml-100k.inter --out ml.avro --value-column rating --like-at 4
    --items ml-100k.item --category-column class --id-prefix ml
    """
    from user_state.events.convert import Columns
    from user_state.events.convert import convert as converted

    columns = Columns(
        user=user_column,
        item=item_column,
        time=time_column,
        time_unit=time_unit,
        value=value_column,
        action=action_column,
        like_at=like_at,
        category=category_column,
        delimiter="\t" if delimiter == "\\t" else delimiter,
    )
    count = converted(
        source, out, columns, items=items, id_prefix=id_prefix, watch=lambda rows: with_progress(rows, "converting")
    )
    say(f"wrote {count:,} events to {out}")
