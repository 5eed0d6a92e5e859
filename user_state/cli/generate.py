"""`user-state generate`: made-up traffic into an Avro file. The traffic itself is `user_state.events.generate`."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Annotated

import typer

from user_state.cli.progress import with_progress
from user_state.cli.terminal import say
from user_state.durations import parse_duration_us
from user_state.errors import InputError


def generate(
    *,
    out: Annotated[Path, typer.Option(help="The Avro file to write.", show_default=False)],
    users: Annotated[int, typer.Option(help="Number of users; a few of them are the most active.")] = 1_000,
    events: Annotated[int, typer.Option(help="How many messages, duplicates and corrupt ones included.")] = 100_000,
    seed: Annotated[int, typer.Option(help="The same seed and --end give the same file.")] = 1,
    span: Annotated[str, typer.Option(help="Time over which the messages are spread.", metavar="DURATION")] = "30d",
    end: Annotated[
        str,
        typer.Option(help="When the last message arrives; default: now.", metavar="RFC3339", show_default=False),
    ] = "",
    late: Annotated[float, typer.Option(help="Share of events 10 minutes to 20 hours old on arrival.")] = 0.0,
    too_late: Annotated[float, typer.Option(help="Share of events 2 to 5 days old on arrival.")] = 0.0,
    future: Annotated[float, typer.Option(help="Share of events dated an hour after their arrival.")] = 0.0,
    duplicates: Annotated[float, typer.Option(help="Share of messages that repeat an earlier one.")] = 0.0,
    corrupt: Annotated[float, typer.Option(help="Share of messages that cannot be decoded.")] = 0.0,
    shuffle: Annotated[
        str,
        typer.Option(help="Shuffle messages that arrive within this time; 0 keeps their order.", metavar="DURATION"),
    ] = "0",
    spec: Annotated[
        Path | None,
        typer.Option(help="Write the events of this spec, some with each version of their schema.", show_default=False),
    ] = None,
) -> None:
    """Write synthetic traffic of an app to an Avro file: bursty, skewed and, if you ask for it, faulty.

    Users act in sessions, have tastes, and see popular items most. The shares of faults are shares of all messages,
    exact to the message, and no message has two: with --events 20000 --late 0.05, 1000 messages are late.

    Events are written as plain Avro (avro/interaction.avsc). With --corrupt, messages are written as they would
    stand on the wire, in envelopes (avro/message.avsc), since what is corrupt is no event. `run` and
    `publish` read both.

    With --spec, events are written as the spec's `schema` and `versions` have them, in its `encoding`: fields that the
    made-up app has too, by name, alias or part (user, id, time), others with values of their type, and such that the
    spec's filters are met and missed. These are messages too.

    Example: user-state generate --users 500 --events 20000 --seed 7 --out traffic.avro --span 2d --late 0.05
    """
    from user_state.events.as_written import Writers
    from user_state.events.avro_files import interaction_schema, write_events, write_messages
    from user_state.events.generate import Faults
    from user_state.events.generate import generate as generated
    from user_state.spec import load_spec

    end_us = time.time_ns() // 1000 if not end else _moment_us(end)
    faults = Faults(
        late, too_late, future, duplicates, corrupt, 0 if shuffle == "0" else _duration_us("shuffle", shuffle)
    )
    writers = None if spec is None else Writers(load_spec(spec))
    messages = generated(
        users, events, seed, end_us=end_us, span_us=_duration_us("span", span), faults=faults, writers=writers
    )
    shown = with_progress(messages, "generating", events)
    if writers is not None or faults.counts(events)["corrupt"]:
        write_messages(out, shown, interaction_schema())
        kind = "messages"
    else:
        write_events(out, (m.event for m in shown if m.event is not None), interaction_schema())
        kind = "events"
    say(f"wrote {events:,} {kind} of up to {users:,} users to {out} ({out.stat().st_size / 1e6:.1f} MB)")


def _duration_us(option: str, text: str) -> int:
    try:
        return parse_duration_us(text)
    except ValueError as exc:
        raise InputError(f"--{option}: {exc}") from exc


def _moment_us(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InputError(f"--end: expected a time with its zone, such as 2025-06-01T12:00:00Z, got {text!r}")
    return round(moment.timestamp() * 1_000_000)
