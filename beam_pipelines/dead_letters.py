"""`user-state dead-letters`: what was refused, why, when; and, after a fix, published again or written to a file."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from user_state.cli.progress import with_progress
from user_state.cli.terminal import Terminal, say, say_json
from user_state.dead_letters.explain import reason_lines, sample_json, sample_line
from user_state.dead_letters.hints import hints
from user_state.dead_letters.letters import Letter, letter_files, read_letters
from user_state.dead_letters.summary import Summary
from user_state.durations import SECOND_US, format_duration
from user_state.errors import InputError
from user_state.printable import printable
from user_state.spec import LoadedSpec
from user_state.times import format_time

PUBSUB = "pubsub://"


@dataclass(frozen=True)
class Shown:
    """What to show.

    Attributes:
        reasons: only letters of these; empty for all.
        samples: how many letters of each reason.
        payload: whether to show bodies and attributes.
        as_json: print JSON.
        most: how many letters of a subscription are looked at.
    """

    reasons: tuple[str, ...] = ()
    samples: int = 1
    payload: bool = False
    as_json: bool = False
    most: int = 100_000


def show_dead_letters(where: Sequence[str], spec: LoadedSpec | None, shown: Shown) -> None:
    """Print what the dead letters at `where` come to.

    Raises:
        InputError: there are none such files, or the subscription cannot be read.
    """
    with _letters(where, shown) as (letters, _):
        summary = Summary.of(with_progress(letters, "reading dead letters"))
    if shown.as_json:
        say_json(_jsonable(summary, spec, shown), indent=2)
        return
    if not summary.number:
        say("no dead letters")
        return
    say(f"{summary.number:,} dead letters{_between(summary)}")
    for reason, held in summary.reasons.items():
        say("")
        for line in reason_lines(reason, held, spec):
            say(line)
        for letter in held.samples[: shown.samples]:
            say(f"  for example: {sample_line(letter, spec, payload=shown.payload)}")
    _print_over_time(summary)


def replay_dead_letters(
    where: Sequence[str], target: str, spec: LoadedSpec | None, attribute: str | None, shown: Shown
) -> None:
    """Publish the messages of dead letters again as they were, or write them to a file that `run --input` reads.

    Those of a subscription are acknowledged once they are published or written; files stay.

    Raises:
        InputError: they cannot be read, published or written.
    """
    with _letters(where, shown) as (letters, taken):
        replayed: list[Letter] = []

        def counted() -> Iterator[Letter]:
            for letter in with_progress(letters, "replaying dead letters"):
                replayed.append(letter._replace(data=b"", attributes={}))
                yield letter

        if target.startswith(PUBSUB):
            from beam_pipelines.publish import publish_messages
            from transforms.pubsub_check import check_topic

            check_topic(target)
            stamped = ((one.data, _stamped(one, attribute)) for one in counted())
            empty = publish_messages(stamped, target).empty
        else:
            empty = 0
            _write(target, counted())
        taken()
    by_reason = Counter(letter.reason for letter in replayed)
    listed = ", ".join(f"{printable(reason)} {number:,}" for reason, number in by_reason.most_common())
    left_out = f"; left out {empty:,} empty ones, which Pub/Sub refuses" if empty else ""
    say(f"replayed {len(replayed):,} messages to {target}{f' ({listed})' if listed else ''}{left_out}")
    if target.startswith(PUBSUB) and attribute is None and by_reason["too_late"] and spec is not None:
        say(
            "they get new publish times: events that were too late are so again, unless --publish_time_attribute is"
            " given"
        )


def _stamped(letter: Letter, attribute: str | None) -> dict[str, str]:
    if attribute is None or letter.published_us is None:
        return letter.attributes
    return {**letter.attributes, attribute: str(letter.published_us)}


def _write(target: str, letters: Iterator[Letter]) -> None:
    """Write messages to a file, whole or not at all.

    Raises:
        InputError: it is there already, or cannot be written.
    """
    from user_state.events.avro_files import interaction_schema, write_messages
    from user_state.events.message import Message

    path = Path(target)
    if path.exists():
        raise InputError(f"expected a new file or a topic for --replay, got {target}, which is there already")
    if path.suffix != ".avro":
        raise InputError(f"expected pubsub://projects/P/topics/T or a new .avro file for --replay, got {target}")
    messages = (Message(one.data, one.attributes, one.published_us, None, one.origin) for one in letters)
    write_messages(path, messages, interaction_schema())


@contextmanager
def _letters(where: Sequence[str], shown: Shown) -> Iterator[tuple[Iterator[Letter], Any]]:
    """Yield the letters, and what to call once they have been replayed."""
    of_pubsub = [one for one in where if one.startswith(PUBSUB)]
    if of_pubsub and len(where) > 1:
        raise InputError("expected files and folders, or one subscription or topic, got several of these")
    if not of_pubsub:
        files = letter_files(list(where))
        every = itertools.chain.from_iterable(map(read_letters, files))
        yield (one for one in every if not shown.reasons or one.reason in shown.reasons), lambda: None
        return
    from transforms.pubsub_peek import peeking

    with peeking(where[0]) as peek:
        ack_ids: list[str] = []

        def wanted() -> Iterator[Letter]:
            for leased in peek.letters(shown.most):
                if not shown.reasons or leased.letter.reason in shown.reasons:
                    ack_ids.append(leased.ack_id)
                    yield leased.letter

        yield wanted(), lambda: peek.acknowledge(ack_ids)
        if peek.others:
            Terminal(stderr=True).print(f"{peek.others:,} messages of {peek.subscription} are no dead letters")


def _between(summary: Summary) -> str:
    first = [held.first_us for held in summary.reasons.values() if held.first_us is not None]
    last = [held.last_us for held in summary.reasons.values() if held.last_us is not None]
    if not first:
        return ""
    begin, end = (format_time(time_us // SECOND_US * SECOND_US) for time_us in (min(first), max(last)))
    return f", refused at {begin}" if begin == end else f", refused from {begin} to {end}"


def _print_over_time(summary: Summary) -> None:
    from rich.table import Table

    step_s, steps = summary.over_time()
    if len(steps) < 2:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column(f"refused in {format_duration(step_s * SECOND_US)} from", no_wrap=True)
    for reason in summary.reasons:
        table.add_column(printable(reason), justify="right", no_wrap=True)
    for begin_s, counts in steps.items():
        cells = (f"{counts[reason]:,}" if counts[reason] else "" for reason in summary.reasons)
        table.add_row(format_time(begin_s * SECOND_US), *cells)
    say("")
    Terminal().print_table(table)


def _jsonable(summary: Summary, spec: LoadedSpec | None, shown: Shown) -> dict[str, Any]:
    step_s, steps = summary.over_time()
    return {
        "dead_letters": summary.number,
        "reasons": {
            reason: {
                "number": held.number,
                "details": {held.wordings[pattern]: number for pattern, number in held.details.most_common()},
                "first": None if held.first_us is None else format_time(held.first_us),
                "last": None if held.last_us is None else format_time(held.last_us),
                "hints": [] if spec is None else hints(spec, reason, held.samples),
                "samples": [sample_json(letter, payload=shown.payload) for letter in held.samples[: shown.samples]],
            }
            for reason, held in summary.reasons.items()
        },
        "over_time": {
            "step_s": step_s,
            "steps": [{"from": format_time(begin_s * SECOND_US), **counts} for begin_s, counts in steps.items()],
        },
        "read_at": format_time(time.time_ns() // 1000),
    }
