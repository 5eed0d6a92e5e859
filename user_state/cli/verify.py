"""`user-state verify`: is what Redis serves what brute force says of the same events? What a sceptic runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from user_state.cli.generation_option import Generation
from user_state.cli.terminal import say
from user_state.client import UserStateClient
from user_state.errors import InputError
from user_state.spec import load_spec
from user_state.times import format_time, parse_time_us

EXIT_DIFFERENT = 1
SHOWN = 20
REACHABLE_S = 10.0


def verify(
    *,
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    events: Annotated[
        str,
        typer.Option(
            "--events",
            "--input",
            help="Every event file that was ever ingested: a path or a pattern.",
            show_default=False,
        ),
    ],
    redis: Annotated[str, typer.Option(help="Where the records are: redis://host:port", show_default=False)],
    at: Annotated[str | None, typer.Option(help="Read as of this time (RFC 3339); default: now.")] = None,
    generation: Generation = None,
    until: Annotated[
        str | None,
        typer.Option(help="Of a backfilled generation: compare with events published before this time alone."),
    ] = None,
    publish_time_attribute: Annotated[
        str | None,
        typer.Option(
            "--publish_time_attribute",
            "--publish-time-attribute",
            help="Of Parquet, CSV and JSON lines: the column of the publish times that `run` was given.",
        ),
    ] = None,
) -> None:
    """Compare every user and feature with brute force over the events; print the differences, worst first.

    What is exact must be equal, floating point to 1e-6; sketches, and tables with more keys than are kept, within what
    they state. A record of a user without events is a difference too.

    Brute force is `user_state.oracle`: plain loops over lists, sharing no code with the pipeline. It judges lateness by
    the files' publish times and in the order of `run`: all files as one stream in order of time. Exits with 1 if
    anything differs, or if nothing was compared.

    Whether an event was older than `retention`, or ahead of the clock, depends on when `run` read it. Where that
    decides what is applied, the record of the user has to be right for one such moment.

    A generation that `backfill` has made is compared with all events in order of publishing: as they arrived. While the
    stream has not gone on from it, give --until as `backfill` had it.

    Example: `user-state verify --spec user_state.yaml --events 'traffic/*.avro' --redis redis://localhost:6379`
    """
    from user_state.cli.progress import progress
    from user_state.cli.verified_events import is_history, read_history, read_stream
    from user_state.events.stored_files import matching
    from user_state.generation_name import BASE
    from user_state.store.connection import check_reachable
    from user_state.store.generations import generation_to_read
    from user_state.store.survey import stored_users
    from user_state.verify import verify as compare

    loaded = load_spec(spec)
    check_reachable(redis, REACHABLE_S)  # told now, and not after all events have been judged
    loaded = loaded.of_generation(generation_to_read(redis, loaded.spec.name, generation))
    paths = matching(events)
    at_us = time.time_ns() // 1000 if at is None else parse_time_us(at)
    now_us = time.time_ns() // 1000
    until_us = None if until is None else parse_time_us(until)
    if is_history(loaded, redis):
        read = read_history(loaded, paths, publish_time_attribute, now_us, until_us)
    elif until_us is not None:
        raise InputError("expected --until with a generation that `backfill` has made alone")
    else:
        read = read_stream(loaded, paths, publish_time_attribute, now_us)
    pinned = loaded.generation or BASE
    with UserStateClient.from_url(redis, loaded, timeout_s=10, generation=pinned) as client:
        stored = (user for user in stored_users(redis, loaded.keyspace) if user not in read.expiring)
        with progress("comparing users", len(read.applied.keys() | read.possible.keys())) as advance:
            verified = compare(client, loaded, read.applied, at_us, stored, read.possible, advance)
    say(", ".join(f"{name} {number:,}" for name, number in sorted(read.counts.items())))
    if read.possible:
        say(
            f"{len(read.possible):,} of {verified.users:,} users have events that are older than `retention` by now, or"
            " were published after their file was written: compared with what reading them earlier would have given"
        )
    if read.expiring:
        say(f"{len(read.expiring):,} users whose `retention` ends within an hour, or has, are not compared")
    for difference in verified.differences[:SHOWN]:
        say(str(difference))
    if len(verified.differences) > SHOWN:
        say(f"... and {len(verified.differences) - SHOWN:,} more")
    if not verified.values:
        say(nothing_compared(read.counts, verified.users))
        raise typer.Exit(EXIT_DIFFERENT)
    outcome = "all equal" if not verified.differences else f"{len(verified.differences):,} differ"
    say(f"{verified.values:,} values of {verified.users:,} users at {format_time(at_us)}: {outcome}")
    if verified.differences:
        raise typer.Exit(EXIT_DIFFERENT)


def nothing_compared(counts: Mapping[str, int], users: int) -> str:
    """Return why no value was compared, and what to look at.

    >>> nothing_compared({"applied": 0, "duplicate": 0, "ignored": 0, "dead_letter/invalid": 9, "expired": 1}, 0)
    'nothing was compared: no event is applied, of 10 most are dead_letter/invalid (9); `user-state run` says why'
    >>> nothing_compared({"applied": 5, "ignored": 2}, 3)
    "nothing was compared: no record of the 3 users with applied events could be read; is it the run's --redis?"
    """
    events = sum(counts.values())
    if not events:
        return "nothing was compared: the files hold no event"
    if users:
        return (
            f"nothing was compared: no record of the {users:,} users with applied events could be read; is it the"
            " run's --redis?"
        )
    commonest, number = max(counts.items(), key=lambda item: item[1])
    return (
        f"nothing was compared: no event is applied, of {events:,} most are {commonest} ({number:,}); `user-state run`"
        " says why"
    )
