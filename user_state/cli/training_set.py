"""`user-state training-set`: labels with what serving would have answered at each, as Parquet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from user_state.cli.terminal import say


def training_set(
    *,
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    events: Annotated[
        list[str],
        typer.Option("--input", help="Files of events: a path or a pattern; may be given again.", show_default=False),
    ],
    labels: Annotated[
        Path,
        typer.Option(help="The labels: .parquet, .csv, .tsv, .arrow; a user and a time a row.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write; empty, or of this same job.", show_default=False)],
    as_of: Annotated[
        str,
        typer.Option(
            help="What a label sees: publish, events that had been published before it, as serving would have; event,"
            " events that had happened before it."
        ),
    ] = "publish",
    arrival_delay: Annotated[
        str | None,
        typer.Option(help="With --as-of publish: how long an event takes from being published to being served, as 5s."),
    ] = None,
    user_column: Annotated[
        str | None, typer.Option(help="The labels' column of users; default: as in the spec.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(help="The labels' column of times; default: as in the spec.")
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option(help="Of times that are whole numbers: s, ms, us or ns; timestamps have their own.")
    ] = None,
    event_id_column: Annotated[
        str | None,
        typer.Option(
            help="The labels' column of the events that they are made of: a label does not see its own event. Default:"
            " as in the spec, if there is such a column."
        ),
    ] = None,
    items: Annotated[
        list[str] | None,
        typer.Option(
            help="table=FILE, or table=VERSION of one in --redis: the item vectors that embeddings over this table are"
            " composed of, for all labels."
        ),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            help="redis://host:port: the item vectors of tables without --items are those that were in use there at the"
            " label's time."
        ),
    ] = None,
    item_version: Annotated[
        list[str] | None,
        typer.Option(help="With --redis: table=FILE of a version that it does not have any more; may be given again."),
    ] = None,
    users: Annotated[str, typer.Option(help="Answer this share of the users alone, such as 1%.")] = "100%",
    since: Annotated[str | None, typer.Option(help="Answer labels from this time on alone (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option(help="Answer labels before this time alone (RFC 3339).")] = None,
    shards: Annotated[
        int | None,
        typer.Option(help="How many parts the users are split into, a file each; default: one for 64 MB of input."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="How many shards are in memory at a time; default: one a core, at most 8.")
    ] = None,
    publish_time_column: Annotated[
        str | None, typer.Option(help="Of tables: the column of publish times; default: publish_time, if there is one.")
    ] = None,
) -> None:
    """Write labels with every feature, sequence and embedding as serving would have answered at the label's time.

    Events are judged and folded as the pipeline does it, and read as the client does it, each label knowing what had
    been published strictly before it. The labels' columns are kept; `label_row` is the number of a label's row.

    The folder gets a Parquet file a shard and _manifest.json. A job that was killed goes on when the same command is
    run again. What rows mean, and what may go in: docs/history.md.

    Example: `user-state training-set --spec user_state.yaml --input 'events/*' --labels labels.csv --out rows`
    """
    from user_state.cli.main import version
    from user_state.cli.progress import progress
    from user_state.cli.tables_in_use import tables_in_use
    from user_state.events.stored_files import check_of_this_machine, matching
    from user_state.history.job import Settings, TrainingSetJob
    from user_state.history.label_source import read_labels, times_of
    from user_state.history.memory import keep_in_one_place
    from user_state.history.training_set import id_columns, label_columns, parsed_delay_us
    from user_state.history.user_share import parsed_share
    from user_state.plan.compile import compile_plan
    from user_state.spec import load_spec
    from user_state.times import parse_time_us

    for path, what in ((labels, "labels"), (out, "what is written")):
        check_of_this_machine(path, what)
    keep_in_one_place()
    loaded = load_spec(spec)
    plan = compile_plan(loaded)
    ids = id_columns(loaded, user_column, event_id_column)
    columns = label_columns(
        loaded,
        read_labels(labels, ids).schema,
        user=user_column,
        time=time_column,
        time_unit=time_unit,
        event_id=event_id_column,
    )
    settings = Settings(
        [path for pattern in events for path in matching(pattern)],
        str(labels),
        columns,
        as_of,  # type: ignore[arg-type]  # the job checks it
        parsed_delay_us(arrival_delay),
        parsed_share(users),
        None if since is None else parse_time_us(since),
        None if until is None else parse_time_us(until),
        shards,
        publish_time_column,
        version(),
        min(8, os.cpu_count() or 1) if workers is None else workers,
    )
    tables = tables_in_use(
        loaded,
        plan,
        None if redis is None else times_of(read_labels(labels, ids), columns, settings.since_us, settings.until_us),
        items=items or [],
        item_version=item_version or [],
        redis=redis,
    )
    manifest = TrainingSetJob(loaded, plan, settings, tables, out, progress).run()
    for line in _lines(manifest, out):
        say(line)


def _lines(manifest: dict[str, Any], out: Path) -> list[str]:
    """Return what became of events and labels, for people."""
    events, labels = manifest["counts"]["events"], manifest["counts"]["labels"]
    lines = [f"events: {', '.join(f'{name} {number:,}' for name, number in sorted(events.items())) or 'none'}"]
    left_out = {name: labels[name] for name in ("other_users", "other_times") if name in labels}
    lines.append(
        f"labels: {labels['answered']:,} answered, {labels['present']:,} of users with events by then"
        + "".join(f", {name.replace('_', ' ')} {number:,}" for name, number in left_out.items())
    )
    if labels["held_back_own_event"]:
        lines.append(f"{labels['held_back_own_event']:,} labels would have seen their own event, which was held back")
    if labels["errors"]:
        lines.append(f"{labels['errors']:,} labels have no answer: the column `error` says why")
    lines.append(f"{out}: {manifest['shards']} files of Parquet and _manifest.json")
    return lines
