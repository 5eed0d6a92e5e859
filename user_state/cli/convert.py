"""`user-state convert`: other files into Avro events. `user_state.events` does the work: convert, convert_rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from user_state.cli.progress import with_progress
from user_state.cli.terminal import say
from user_state.errors import InputError


def convert(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="With --spec: Parquet, CSV or JSON lines (.jsonl), or Avro; several files, or a pattern. Without: one"
            " delimited file with column names in its first line.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="The Avro file to write.", show_default=False)],
    spec: Annotated[
        Path | None,
        typer.Option(help="Write events of this spec: columns go to fields of their name.", show_default=False),
    ] = None,
    publish_time_column: Annotated[
        str | None,
        typer.Option(
            help="With --spec: the column with the time of publication; default: publish_time, if there is one.",
            show_default=False,
        ),
    ] = None,
    bad_rows: Annotated[
        Path | None,
        typer.Option(
            help="With --spec: the file for rows that are no events, with the reasons; default: OUT.bad.jsonl.",
            show_default=False,
        ),
    ] = None,
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
    """Turn other files into an Avro file of events, in order of time.

    With --spec, rows become events of the spec's schema. A row that is none goes to the file of bad rows, with the
    reason; the others are converted. Times are ISO text, or numbers of seconds, milliseconds, microseconds or
    nanoseconds; what has no zone is UTC. docs/files.md says what else a column may hold.

    user-state convert 'logs/*.parquet' --spec user_state.yaml --out events.avro

    Without --spec, one delimited file of interactions becomes events of avro/interaction.avsc. Event ids are made of
    user, item and time, so converting a file again gives the same events. Times of publication are left empty: the
    event time stands in for them when the file is run.

    Example, MovieLens-100k as RecBole packs it:

    user-state convert ml-100k.inter --out ml.avro --value-column rating --like-at 4
    --items ml-100k.item --category-column class --id-prefix ml
    """
    from user_state.events.convert import Columns
    from user_state.events.convert import convert as converted

    if spec is not None:
        _convert_rows(sources, spec, out, publish_time_column, bad_rows)
        return
    if len(sources) != 1 or publish_time_column is not None or bad_rows is not None:
        raise InputError("several files, --publish-time-column and --bad-rows need --spec")
    (source,) = sources
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


def _convert_rows(
    patterns: list[str], spec: Path, out: Path, publish_column: str | None, bad_rows: Path | None
) -> None:
    from user_state.events.convert_rows import convert_rows
    from user_state.events.segments import Segment
    from user_state.events.stored_files import check_of_this_machine, matching
    from user_state.spec import load_spec

    check_of_this_machine(out, "what is written")
    paths = [path for pattern in patterns for path in matching(pattern)]
    bad = Path(f"{out}.bad.jsonl") if bad_rows is None else bad_rows

    def watch(segments: Iterable[Segment], total: int | None) -> Iterable[Segment]:
        def rows() -> Iterator[Any]:
            for segment in segments:
                yield from (segment for _ in range(len(segment.messages)))

        return with_progress(rows(), "converting", total)

    done = convert_rows(paths, load_spec(spec), out, bad, publish_column=publish_column, watch=watch)
    say(f"wrote {done.events:,} events to {out}")
    if done.unused:
        say(f"columns that the schema has no field for: {', '.join(done.unused)}")
    if done.bad:
        say(f"{done.bad:,} rows are no events, and are in {bad}; most often: {done.why}")
