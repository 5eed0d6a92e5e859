"""`user-state consistency`: is what the client answered what history says? What a training set rests on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from user_state.cli.terminal import say

if TYPE_CHECKING:
    from user_state.embeddings.table import ItemTable

EXIT_UNEXPLAINED = 1
SHOWN = 10


def consistency(
    *,
    spec: Annotated[Path, typer.Option(help="The spec that the client had.", show_default=False)],
    served: Annotated[
        Path, typer.Option(help="The folder that the client logged its answers to (AnswerLog).", show_default=False)
    ],
    events: Annotated[
        list[str],
        typer.Option(
            "--input",
            help="Files of events, from the first one that was folded: a path or a pattern; may be given again.",
            show_default=False,
        ),
    ],
    html: Annotated[Path | None, typer.Option(help="Also write the report as one HTML page.")] = None,
    in_flight: Annotated[
        str, typer.Option(help="How long after its publishing an event may still not be folded; later is unexplained.")
    ] = "1m",
    items: Annotated[
        list[str] | None,
        typer.Option(
            help="table=FILE: item vectors that embeddings over this table were composed of; once for each version."
        ),
    ] = None,
    any_spec: Annotated[
        bool, typer.Option("--any-spec", help="Compare answers by another spec too, with what this one says.")
    ] = False,
) -> None:
    """Compare what the client answered with what history says, and sort every difference.

    Each logged answer is computed again from the events published before it, as a training set does it. An output is
    `equal`; `in flight`, if the record's own fields prove which of the latest events had not been folded yet, and
    history without these gives what was served; or `unexplained`.

    Exits with 1 if anything is unexplained, or nothing could be compared. Numbers may differ by rounding.

    Log answers first: `UserStateClient.from_url(url, spec, log=AnswerLog("served", "1%"))`. Then:
    `user-state consistency --spec user_state.yaml --served served --input 'events/*' --html report.html`
    """
    from user_state.cli.progress import progress
    from user_state.consistency.compare import EQUAL, IN_FLIGHT, UNEXPLAINED
    from user_state.consistency.job import Against
    from user_state.consistency.job import consistency as compared
    from user_state.consistency.page import page
    from user_state.events.stored_files import matching
    from user_state.history.durable import whole_file
    from user_state.history.item_pins import parsed_files, pinned
    from user_state.history.training_set import parsed_delay_us
    from user_state.plan.compile import compile_plan
    from user_state.printable import printable
    from user_state.spec import load_spec
    from user_state.times import format_time

    loaded = load_spec(spec)
    plan = compile_plan(loaded)
    tables: dict[str, list[ItemTable]] = {}
    for table, paths in parsed_files(items or [], "--items").items():
        for path in paths:
            tables.setdefault(table, []).extend(pinned(loaded, plan, {table: path}, all_of_them=False).values())
    inputs = [path for pattern in events for path in matching(pattern)]
    against = Against(inputs, parsed_delay_us(in_flight), tables=tables, any_spec=any_spec)
    report, folder = compared(loaded, served, against, progress)

    for name in dict.fromkeys(name for name, _ in report.outputs):
        kinds = Counter({kind: report.outputs[name, kind] for kind in (EQUAL, IN_FLIGHT, UNEXPLAINED)})
        say(f"{name}: " + ", ".join(f"{number:,} {kind}" for kind, number in kinds.items() if number))
    for name, number in sorted(report.within_bounds.items()):
        say(f"{name}: {number:,} of these are not the same, but within the bounds that the output states")
    for why, number in sorted(report.left_out.items()):
        if number:
            say(f"{number:,} answers not compared: {why}")
    for one in report.samples[:SHOWN]:
        user, shown, history = printable(one.user), printable(one.served), printable(one.recomputed)
        say(f"{user} at {format_time(one.at_us)}: {one.output}: served {shown}, history {history}: {one.reason}")
    if html is not None:
        about = {
            "spec": str(spec),
            "answers": str(served),
            "events": ", ".join(events),
            "in flight": f"up to {in_flight}",
            "generations": ", ".join(f"{name} {number:,}" for name, number in sorted(folder.generations.items())),
        }
        with whole_file(html) as part:
            part.write_text(page(report, about), "utf-8")
    total = sum(report.answers.values())
    say(
        f"{total:,} answers: {report.answers[EQUAL]:,} equal, {report.answers[IN_FLIGHT]:,} in flight,"
        f" {report.answers[UNEXPLAINED]:,} unexplained"
    )
    if not total:
        say("error: no answer could be compared; the lines above say why", err=True)
    if not total or report.answers[UNEXPLAINED]:
        raise typer.Exit(EXIT_UNEXPLAINED)
