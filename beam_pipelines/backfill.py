"""`user-state backfill`: a generation of records from history, beside the one that is served."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from user_state.spec import LoadedSpec

REACHABLE_S = 5.0


def backfill(
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            help="Files of events: a path or a pattern, Avro, Parquet, CSV or JSON lines (.jsonl), also gs:// and"
            " s3://.",
            show_default=False,
        ),
    ],
    redis: Annotated[str, typer.Option(help="Where records go: redis://host:port", show_default=False)],
    generation: Annotated[
        str, typer.Option(help="The generation to make, which nothing was written to yet.", show_default=False)
    ],
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
    shards: Annotated[int, typer.Option(min=1, max=10_000, help="Number of keys over which users are spread.")] = 8,
    max_dead_letters: Annotated[
        str,
        typer.Option(
            "--max_dead_letters",
            "--max-dead-letters",
            help="Largest share of messages that may become dead letters. With more, the generation stays incomplete.",
        ),
    ] = "10%",
) -> None:
    """Make a generation of records from history, while another one is served.

    Events are folded as `run` folds them, in order of time, into records and remembered ids under keys of their own.
    Those older than `retention` are counted as expired: their users have no record in the stream's generation either.
    Then `user-state run --generation NAME` goes on from the stream, sought back to before the files end (what both have
    counts once), and `user-state generation use NAME` has clients read it. A generation is made anew each time: what
    was interrupted is dropped with `user-state generation drop NAME`, and begun again.

    Example: `user-state backfill --spec user_state.yaml --input 'history/*.avro' --generation 2026-12
    --redis redis://localhost:6379`
    """
    from user_state.errors import InputError
    from user_state.spec import load_spec
    from user_state.store.connection import check_reachable

    loaded = load_spec(spec).of_generation(generation)
    if loaded.generation is None:
        raise InputError("expected a generation with a name of its own, got base, the records of none")
    if input_.startswith("pubsub://"):
        raise InputError(f"expected files, got {input_}: `user-state run --generation {generation}` reads the stream")
    check_reachable(redis, REACHABLE_S)
    _begin(loaded, redis)
    from beam_pipelines.dead_letter_limit import end, parse_share
    from beam_pipelines.running import run_streaming
    from beam_pipelines.streaming import StreamingSettings
    from transforms import counters, drain
    from user_state.cli.terminal import Terminal

    limit, began_s = parse_share(max_dead_letters), time.time()
    settings = StreamingSettings(
        input=input_,
        redis=redis,
        dead_letters=dead_letters,
        shards=shards,
        publish_time_attribute=publish_time_attribute,
        names_generation=True,
    )
    counts = run_streaming(loaded, settings, ["--runner=direct"], limit=limit)
    console = Terminal(stderr=True)
    end(console, counts, limit, loaded, dead_letters, began_s)
    if drain.draining():
        console.print(f"stopped before the end: {generation} stays incomplete; drop it and begin again")
        raise typer.Exit(1)
    _end(loaded, redis, counts.get(counters.APPLIED, 0))
    console.print(f"{generation} is complete; `user-state run --generation {generation}` goes on from the stream")


def _begin(loaded: LoadedSpec, redis: str) -> None:
    """Note that the generation is being filled.

    Raises:
        InputError: there is something of it already.
    """
    from user_state.errors import InputError
    from user_state.plan.compile import compile_plan
    from user_state.store.generations import Generation, Generations
    from user_state.store.survey import stored_layouts

    name = str(loaded.generation)
    with Generations(redis, loaded.spec.name) as generations:
        if generations.find(name) is not None or stored_layouts(redis, loaded.keyspace).held:
            raise InputError(
                f"expected a new generation, got {name}, which is there already: name another one, or delete it with"
                f" `user-state generation drop {name}`"
            )
        generations.put(Generation(name, compile_plan(loaded).definition.hex(), time.time_ns() // 1000))


def _end(loaded: LoadedSpec, redis: str, events: int) -> None:
    from user_state.store.generations import Generations

    with Generations(redis, loaded.spec.name) as generations:
        generations.end(str(loaded.generation), events, time.time_ns() // 1000)
