"""`user-state items`: tables of item vectors. `user_state.embeddings` and `store.item_tables` do the work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from user_state.cli.log_options import ItemColumn, LogFormat, TimeColumn, TimeUnit, UserColumn, ValueColumn
from user_state.cli.terminal import Terminal, say

if TYPE_CHECKING:
    from user_state.embeddings.table import ItemTable
    from user_state.spec import LoadedSpec

items = typer.Typer(name="items", help="Tables of item vectors.", no_args_is_help=True)


@items.callback()
def group() -> None:
    """Make tables of item vectors, and put them where readers find them."""


@items.command()
def fit(
    *,
    events: Annotated[
        str, typer.Option("--input", help="The log: files of events (a path or pattern), a delimited file, or triples.")
    ],
    output: Annotated[Path, typer.Option(help="The table to write, .npz.", show_default=False)],
    dimensions: Annotated[int, typer.Option(min=1, help="Length of a vector.")] = 64,
    reach: Annotated[
        int,
        typer.Option(min=0, help="Largest distance in steps between two items of a user; 0: any, with equal weights."),
    ] = 30,
    fade: Annotated[
        float, typer.Option(help="Factor on a pair's weight for each further step between its items.")
    ] = 0.9,
    spec: Annotated[Path | None, typer.Option(help="The spec of the events; default: interaction.avsc.")] = None,
    log_format: LogFormat = "auto",
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    time_column: TimeColumn = None,
    time_unit: TimeUnit = None,
    value_column: ValueColumn = None,
    min_value: Annotated[float | None, typer.Option(help="Leave out interactions with a smaller value.")] = None,
    load_into: Annotated[
        str | None, typer.Option("--load", help="Also load it into --redis, as this table of --spec.")
    ] = None,
    redis: Annotated[str | None, typer.Option(help="With --load: redis://host:port")] = None,
) -> None:
    """Compute item vectors from the co-occurrences in a log, in a minute, for those without a model.

    The leading eigenvectors of the co-occurrences of items in users' histories, pairs weighing less the more steps lie
    between, divided by the items' popularity. The inner product of two vectors is how much the items belong together;
    a user's decayed mean of them scores items. Items without a pair, and those that the leading dimensions leave out,
    have no vector and are left out of the table. In a log in which few users have two items, many have none.

    The table is numpy's .npz: `ids`, `vectors` (float32) and `version`, which names its content.

    Example: `user-state items fit --input events.avro --output items.npz`
    """
    from user_state.cli.progress import progress
    from user_state.embeddings.cooccurrence import Fit, fit_vectors, steps_of, with_vectors
    from user_state.embeddings.table import checked_table
    from user_state.embeddings.table_file import write_table
    from user_state.errors import InputError
    from user_state.evaluation.log_files import Reading, read_interactions
    from user_state.evaluation.spec_columns import columns_of
    from user_state.events.row_files import JSON_LINES, PARQUET
    from user_state.spec import load_spec

    how = Fit(dimensions=dimensions, reach=reach, fade=fade)
    how.check()
    if load_into is not None:
        if spec is None or redis is None:
            raise InputError("--load needs --spec and --redis, which say where the table is loaded")
        wanted = _declared(spec, load_into).spec.items[load_into].dimensions
        if wanted != dimensions:
            raise InputError(f"expected --dimensions {wanted}, as `items.{load_into}` of {spec} says, got {dimensions}")
    loaded = None if spec is None else load_spec(spec)
    columns = columns_of(
        loaded,
        user=user_column,
        item=item_column,
        time=time_column,
        time_unit=time_unit,
        value=value_column,
        table=load_into,
    )
    # With --load the spec says where the table belongs, and not that a delimited file holds its events.
    are_events = log_format in ("events", "avro") or events.lower().endswith((".avro", *PARQUET, *JSON_LINES))
    of_events = loaded if load_into is None or are_events else None
    with progress(f"reading {events}") as advance:
        log = read_interactions(events, Reading(log_format, columns, min_value, of_events), advance)
    with progress("fitting", steps_of(log.user, log.item, len(log.items), how)) as advance:
        vectors = fit_vectors(log.user, log.item, len(log.items), how, advance)
    paired = with_vectors(vectors)
    if len(paired) == 0:
        raise InputError(f"expected users with two items or more in {events}, got none, so no item has a pair")
    table = checked_table([log.items[at] for at in paired.tolist()], vectors[paired], str(output))
    write_table(output, table)
    without = len(log.items) - len(paired)
    say(
        f"{output}: version {table.version}, {len(paired):,} items of {dimensions} dimensions from"
        f" {len(log):,} interactions; {without:,} items without a pair, or outside the"
        f" leading dimensions, left out"
    )
    if load_into is not None and loaded is not None and redis is not None:
        put(loaded, load_into, table, str(output), redis, 600)


_SPEC = typer.Option(help="The spec file.", show_default=False)
_TABLE = typer.Option(help="The table's name under `items:` in the spec.", show_default=False)
_REDIS = typer.Option(help="Where the records are: redis://host:port", show_default=False)
_GRACE = typer.Option(help="How long the replaced version is kept for readers that still use it.")


@items.command()
def load(
    *,
    spec: Annotated[Path, _SPEC],
    table: Annotated[str, _TABLE],
    source: Annotated[
        Path, typer.Option("--from", help="The file: .npz (ids, vectors), .avro or .parquet.", show_default=False)
    ],
    redis: Annotated[str, _REDIS],
    id_column: Annotated[str, typer.Option(help="Of Avro and Parquet: the column of the id.")] = "id",
    vector_column: Annotated[str, typer.Option(help="Of Avro and Parquet: the column of the vector.")] = "vector",
    grace: Annotated[str, _GRACE] = "10m",
) -> None:
    """Load a table of item vectors into Redis, next to the version in use, then switch to it.

    What is no table, or has another dimension than the spec says, is refused before anything is written. A version is
    the hash of ids and vectors: loading the same file again changes nothing, and mends what is broken.

    Readers take the new version within seconds, as a whole, without a restart.

    Example: `user-state items load --spec user_state.yaml --table catalogue --from items.npz --redis redis://localhost:6379`
    """
    from user_state.embeddings.import_file import import_table

    loaded = _declared(spec, table)
    grace_s = _seconds(grace)
    vectors = import_table(source, id_column=id_column, vector_column=vector_column)
    put(loaded, table, vectors, str(source), redis, grace_s)


@items.command("list")
def list_(*, spec: Annotated[Path, _SPEC], redis: Annotated[str, _REDIS]) -> None:
    """List the tables of a spec: the version in use, and what it replaced as long as that is there.

    Example: `user-state items list --spec user_state.yaml --redis redis://localhost:6379`
    """
    from rich.table import Table

    from user_state.spec import load_spec
    from user_state.store.item_tables import ItemTableStore
    from user_state.times import format_time

    loaded = load_spec(spec)
    shown = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("table", "version", "items", "dimensions", "loaded", "state"):
        shown.add_column(heading, no_wrap=True, justify="right" if heading in ("items", "dimensions") else "left")
    with ItemTableStore(redis, loaded.spec.name) as store:
        for table, declared in loaded.spec.items.items():
            if declared.learned is not None:
                shown.add_row(table, "-", "-", str(declared.dimensions), "-", "learned by the pipeline")
                continue
            versions = store.versions(table)
            if not versions:
                shown.add_row(table, "-", "-", str(declared.dimensions), "-", "not loaded")
            for number, (held, left) in enumerate(versions):
                missing = store.missing_chunks(table, held)
                state = "in use" if number == 0 else f"replaced, expires in {left} s"
                state += f"; chunk {missing[0]} missing, load it again" if missing else ""
                at = format_time(held.loaded_at_us // 1_000_000 * 1_000_000)
                shown.add_row(table, held.version, f"{held.items:,}", str(held.dimensions), at, state)
    if not loaded.spec.items:
        say(f"{spec} has no `items:`")
    Terminal().print_table(shown)


@items.command()
def use(
    *,
    spec: Annotated[Path, _SPEC],
    table: Annotated[str, _TABLE],
    version: Annotated[str, typer.Option(help="The version, as `items list` shows it.", show_default=False)],
    redis: Annotated[str, _REDIS],
    grace: Annotated[str, _GRACE] = "10m",
) -> None:
    """Switch back to a version that was replaced and is still in Redis.

    Example: `user-state items use --spec user_state.yaml --table catalogue --version 0f3a... --redis redis://localhost:6379`
    """
    from user_state.store.item_tables import ItemTableStore

    loaded = _declared(spec, table)
    with ItemTableStore(redis, loaded.spec.name) as store:
        used = store.use(table, version, grace_s=_seconds(grace))
    say(f"{table}: version {used.version} in use, {used.items:,} items of {used.dimensions} dimensions")


def put(loaded: LoadedSpec, table: str, vectors: ItemTable, where: str, redis: str, grace_s: int) -> None:
    """Write a table into Redis with a bar, and say what is in use now.

    Raises:
        InputError: it has another dimension than the spec says.
    """
    from user_state.cli.progress import with_progress
    from user_state.errors import InputError
    from user_state.store.item_tables import CHUNK_ITEMS, ItemTableStore

    expected = loaded.spec.items[table].dimensions
    if vectors.dimensions != expected:
        raise InputError(
            f"expected {expected} dimensions, as `items.{table}` of the spec says, in {where}, got {vectors.dimensions}"
        )
    with ItemTableStore(redis, loaded.spec.name) as store:
        made, before = store.load(
            table,
            vectors,
            at_us=time.time_ns() // 1000,
            grace_s=grace_s,
            watch=lambda chunks: with_progress(chunks, f"loading {table}", -(-len(vectors) // CHUNK_ITEMS)),
        )
    replaced = "" if before is None or before.version == made.version else f", in place of {before.version}"
    say(f"{table}: version {made.version} in use{replaced}, {made.items:,} items of {made.dimensions} dimensions")


def _declared(spec: Path, table: str) -> LoadedSpec:
    """Return the spec, which has that table."""
    from user_state.errors import InputError
    from user_state.spec import load_spec

    loaded = load_spec(spec)
    if table not in loaded.spec.items:
        known = ", ".join(loaded.spec.items) or "it has none"
        raise InputError(f"expected a table under `items:` of {spec} ({known}), got {table!r}")
    if loaded.spec.items[table].learned is not None:
        raise InputError(f"expected a table that is loaded, got {table!r}, which the pipeline learns")
    return loaded


def _seconds(duration: str) -> int:
    from user_state.durations import SECOND_US, parse_duration_us
    from user_state.errors import InputError

    try:
        return parse_duration_us(duration) // SECOND_US
    except ValueError as exc:
        raise InputError(f"expected a duration such as 10m for --grace, got {duration!r}") from exc
