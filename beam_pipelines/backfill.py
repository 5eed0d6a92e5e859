"""`user-state backfill`: a generation of records from history, beside the one that is served."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

REACHABLE_S = 5.0
MOST_WORKERS = 8


def backfill(
    context: typer.Context,
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    input_: Annotated[
        list[str],
        typer.Option(
            "--input",
            help="Files of events: a path or a pattern, Avro, Parquet, CSV or JSON lines (.jsonl), also gs:// and"
            " s3://; may be given again.",
            show_default=False,
        ),
    ],
    redis: Annotated[str, typer.Option(help="Where records go: redis://host:port", show_default=False)],
    generation: Annotated[
        str, typer.Option(help="The generation to make, which nothing was written to yet.", show_default=False)
    ],
    until: Annotated[
        str | None,
        typer.Option(
            help="Take events published before this time alone (RFC 3339): the cut where the stream takes over.",
            show_default=False,
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            help="The folder for what is on the way, gone at the end; empty, or of this same backfill, which goes on"
            " then where it was killed. Default: .backfill-NAME@GENERATION in the current folder.",
            show_default=False,
        ),
    ] = None,
    users: Annotated[str, typer.Option(help="Make records of this share of the users alone, such as 1%.")] = "100%",
    dead_letters: Annotated[
        str, typer.Option("--dead-letters", "--dead_letters", help="A folder, or pubsub://projects/P/topics/T.")
    ] = "dead-letters",
    publish_time_attribute: Annotated[
        str | None,
        typer.Option(
            "--publish_time_attribute",
            "--publish-time-attribute",
            help="Of messages: the attribute that holds the publish time. Of Parquet, CSV and JSON lines: the column;"
            " default there: publish_time.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many parts the users are split into; default: one for 64 MB of input.", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many shards are in memory at a time; default: one a core, at most 8.",
            show_default=False,
        ),
    ] = None,
    max_dead_letters: Annotated[
        str,
        typer.Option(
            "--max_dead_letters",
            "--max-dead-letters",
            help="Largest share of messages that may become dead letters. With more, the generation stays incomplete;"
            " without --runner, nothing is written then.",
        ),
    ] = "10%",
    runner: Annotated[
        str | None,
        typer.Option(
            help="Run in batch on Beam: direct, flink, dataflow, or the name of a Beam runner, with Beam's own options"
            " for it. Default: without Beam, in this process.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a generation of records from history, while another one is served.

    Events are split by user, sorted in order of publishing, and folded a user at a time by the code that folds in the
    pipeline, into records and remembered ids under keys of their own. Users whose `retention` has passed by now are
    counted as expired. A backfill that was killed goes on when the same command is run again.

    Then `user-state run --generation NAME` goes on from the stream, sought back to before the files or --until end
    (what both have counts once), and `user-state generation use NAME` has clients read it.

    Example: `user-state backfill --spec user_state.yaml --input 'history/*.parquet' --generation 2026-12
    --redis redis://localhost:6379`
    """
    from user_state.errors import InputError
    from user_state.history.memory import keep_in_one_place
    from user_state.history.user_share import parsed_share
    from user_state.plan.compile import compile_plan
    from user_state.schema_registry.start import check_registry
    from user_state.spec import load_spec
    from user_state.store.connection import check_reachable
    from user_state.times import parse_time_us

    keep_in_one_place()
    loaded = load_spec(spec).of_generation(generation)
    if loaded.generation is None:
        raise InputError("expected a generation with a name of its own, got base, the records of none")
    for one in input_:
        if one.startswith("pubsub://"):
            raise InputError(f"expected files, got {one}: `user-state run --generation {generation}` reads the stream")
    until_us = None if until is None else parse_time_us(until)
    share = parsed_share(users)
    check_reachable(redis, REACHABLE_S)
    check_registry(loaded.schema)
    from beam_pipelines.dead_letter_limit import parse_share

    limit = parse_share(max_dead_letters)
    if runner is None and context.args:
        raise InputError(f"expected options of `user-state backfill`, got {' '.join(context.args)}")
    if runner is not None and work is not None:
        raise InputError("expected no --work with --runner: Redis itself knows which shards are there")
    plan = compile_plan(loaded)
    if plan.learned:
        from beam_pipelines.backfill_in_order import backfill_in_order

        if len(input_) > 1 or until_us is not None or share != 1 or work is not None or runner is not None:
            raise InputError(
                "expected one --input, and no --until, --users, --work or --runner, with items that are learned: their"
                " records are made of all users in order of time, by the streaming pipeline"
            )
        backfill_in_order(loaded, input_[0], redis, dead_letters, publish_time_attribute, shards or 8, limit)
        return
    from beam_pipelines.backfill_report import bins, lines, takeover_line
    from beam_pipelines.dead_letter_limit import end
    from transforms.file_systems import described, matching, open_path
    from transforms.letters_of_files import LetterSink
    from user_state.backfill.job import BackfillJob, Settings
    from user_state.cli.main import version
    from user_state.cli.progress import progress
    from user_state.cli.terminal import Terminal

    console, began_s = Terminal(stderr=True), time.time()
    settings = Settings(
        [path for pattern in input_ for path in matching(pattern)],
        redis,
        until_us,
        share,
        shards,
        publish_time_attribute,
        version(),
        workers or min(MOST_WORKERS, os.cpu_count() or 1),
        open_file=open_path,
        describe=described,
    )

    def check(counts: Counter[str]) -> None:
        end(console, bins(counts), limit, loaded, dead_letters, began_s)

    if runner is not None:
        from beam_pipelines.backfill_batch import backfill_on_beam

        filled = backfill_on_beam(loaded, settings, dead_letters, runner, context.args, check)
    else:
        filled = BackfillJob(
            loaded,
            plan,
            settings,
            work or Path(f".backfill-{loaded.keyspace}"),
            progress,
            LetterSink(dead_letters).store,
            check=check,
            say=console.print,
        ).run()
    if filled.was_complete:
        console.print(f"{generation} was complete already: nothing to do")
    else:
        for line in lines(filled.counts, plan.retention_us):
            console.print(line)
        check(filled.counts)
    console.print(takeover_line(generation, until_us, filled.latest_us, plan.allowed_lateness_us))
