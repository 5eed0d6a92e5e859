"""The backfill of a spec with learned items, by the streaming pipeline, all events in order of time.

The record of a learned item is made of what all users did with it, and is judged by a clock of its own: users one after
the other would make most of it too late. So there are no shards of users here, and nothing goes on after it was killed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from beam_pipelines.dead_letter_limit import end
from beam_pipelines.running import run_streaming
from beam_pipelines.streaming import StreamingSettings
from transforms import counters, drain
from user_state.cli.terminal import Terminal
from user_state.errors import InputError
from user_state.plan.compile import compile_plan
from user_state.store.generations import Generation, Generations
from user_state.store.survey import stored_layouts

if TYPE_CHECKING:
    from user_state.spec import LoadedSpec


def backfill_in_order(
    loaded: LoadedSpec,
    files: str,
    redis: str,
    dead_letters: str,
    publish_time_attribute: str | None,
    shards: int,
    limit: float,
) -> None:
    """Make a generation of files.

    Args:
        loaded: the spec, of the generation.
        files: a path or a pattern.
        redis: where records go.
        dead_letters: where dead letters go.
        publish_time_attribute: as for `run`.
        shards: number of keys over which users are spread.
        limit: the greatest share of dead letters.

    Raises:
        InputError: there is something of the generation already.
        typer.Exit: it stays incomplete.
    """
    _begin(loaded, redis)
    began_s, generation = time.time(), loaded.generation
    settings = StreamingSettings(
        input=files,
        redis=redis,
        dead_letters=dead_letters,
        shards=shards,
        publish_time_attribute=publish_time_attribute,
        names_generation=True,
        fills_generation=True,
    )
    counts = run_streaming(loaded, settings, ["--runner=direct"], limit=limit)
    console = Terminal(stderr=True)
    end(console, counts, limit, loaded, dead_letters, began_s)
    if drain.draining():
        console.print(f"stopped before the end: {generation} stays incomplete; drop it and begin again")
        raise typer.Exit(1)
    with Generations(redis, loaded.spec.name) as generations:
        generations.end(str(generation), counts.get(counters.APPLIED, 0), time.time_ns() // 1000)
    console.print(f"{generation} is complete; `user-state run --generation {generation}` goes on from the stream")


def _begin(loaded: LoadedSpec, redis: str) -> None:
    """Note that the generation is being filled.

    Raises:
        InputError: there is something of it already.
    """
    name = str(loaded.generation)
    with Generations(redis, loaded.spec.name) as generations:
        if generations.find(name) is not None or stored_layouts(redis, loaded.keyspace).held:
            raise InputError(
                f"expected a new generation, got {name}, which is there already: name another one, or delete it with"
                f" `user-state generation drop {name}`"
            )
        generations.put(Generation(name, compile_plan(loaded).definition.hex(), time.time_ns() // 1000))
