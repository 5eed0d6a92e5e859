"""`user-state evaluate`: how well states and vectors tell what users do next. The work is `user_state.evaluation`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from user_state.cli.log_options import ItemColumn, LogFormat, TimeColumn, TimeUnit, UserColumn, ValueColumn
from user_state.cli.progress import progress, with_progress
from user_state.cli.terminal import Terminal, say, say_json
from user_state.errors import InputError

if TYPE_CHECKING:
    from user_state.evaluation.catalogue import Choice
    from user_state.evaluation.interactions import F64
    from user_state.evaluation.results import Outcome
    from user_state.evaluation.trials import Age, Trial
    from user_state.plan.plan import Plan
    from user_state.spec import LoadedSpec

AGES = "0-10s,60s,5m,15m,1h,6h,24h"


def evaluate(
    *,
    events: Annotated[
        str, typer.Option("--input", help="The log: files of events (a path or pattern), a delimited file, or triples.")
    ],
    protocol: Annotated[str, typer.Option(help="tgb or prequential; see above.", show_default=False)],
    scorer: Annotated[
        list[str] | None,
        typer.Option(help="A scorer: NAME or NAME:setting=value,...; may be repeated. Default: those of the protocol."),
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="The spec of the events, for its embeddings.")] = None,
    ages: Annotated[
        str | None,
        typer.Option(help=f"Also test states of these ages, such as {AGES}: a lag, or 0-10s for a refresh every 10 s."),
    ] = None,
    first: Annotated[int | None, typer.Option(min=1, help="Use only this many interactions, the earliest.")] = None,
    log_format: LogFormat = "auto",
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    time_column: TimeColumn = None,
    time_unit: TimeUnit = None,
    value_column: ValueColumn = None,
    min_value: Annotated[
        float | None, typer.Option(help="Leave out interactions with a smaller value; their items stay candidates.")
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, help="Test only this many of the last interactions of the test part.")
    ] = None,
    through_pipeline: Annotated[
        bool,
        typer.Option("--through-pipeline", help="Read Redis while `user-state run` works on the events; see above."),
    ] = False,
    speed_up: Annotated[
        float, typer.Option(min=1e-3, help="Through the pipeline: how many times faster than real time.")
    ] = 10,
    segment: Annotated[
        str,
        typer.Option(
            help="Through the pipeline: length of the segments into which the test part is cut; they run in parallel."
        ),
    ] = "20m",
    redis: Annotated[
        str | None, typer.Option(help="Through the pipeline: the Redis to use. Default: an embedded server.")
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(help="Through the pipeline: publish to pubsub://projects/P/topics/T. Default: a paced file."),
    ] = None,
    subscription: Annotated[
        str | None, typer.Option(help="With --topic: its subscription, pubsub://projects/P/subscriptions/S.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the curves into this file, .svg, .png or .pdf; needs user-state[evaluate]."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: figures, curves over the stream and by age.")
    ] = False,
) -> None:
    """Measure next-item prediction: rank all items before each interaction, and compare methods with baselines.

    **tgb**: as the Temporal Graph Benchmark tests tgbl-wiki. All items are candidates. The last 15 % of interactions
    are the test part, the 15 % before it val. A scorer knows what happened strictly earlier; EdgeBank alone learns in
    batches of 200, as its figures were published.

    **prequential**: every interaction in order of time, those of one time in the file's order, is tested, then learnt.
    Candidates are the items that the user has not met; what the user repeats is learnt and not tested.

    An item's rank is 1 + the number of those scored higher + half the number of others scored the same. MRR is the mean
    of 1/rank, R@10 the share of ranks up to 10. Scores that are not finite are an error.

    Scorers: `chance`, `popularity`, `edgebank`, `transitions`, `knn`, `isgd`, `ials` for comparison; `recent`,
    `sketch`, `sketch_reference`, `table`, `composed`, `projection`, `mixture` for this project's methods; `spec:NAME`
    for the embedding NAME of the --spec. `sketch`, `composed` and `spec:NAME` are scored from the bytes that Redis
    would hold.

    **--through-pipeline**: the test part's events are published as they happened, only faster, a real `user-state run`
    folds them into Redis, and states are read from there when they are asked for: fresh, and at each of the ages. The
    part is cut into segments that are played side by side, each with users of its own. Beside every figure stands the
    ideal, the same with a state of no delay, and how long events took to become readable.

    Examples:
    user-state evaluate --protocol tgb --input wiki.txt --scorer recent --scorer sketch:dimensions=256

    user-state evaluate --protocol prequential --input ml-100k.inter --value-column rating --min-value 4 --plot ml.svg
    """
    from user_state.cli.evaluate_through import Asked, passing
    from user_state.evaluation import trials
    from user_state.evaluation.catalogue import BASELINES, Choice
    from user_state.evaluation.log_files import Reading, read_interactions
    from user_state.evaluation.results import report
    from user_state.evaluation.spec_columns import columns_of
    from user_state.spec import load_spec

    if protocol not in BASELINES:
        raise InputError(f"expected a protocol of {', '.join(BASELINES)}, got {protocol!r}")
    choices = [Choice.parse(text) for text in scorer or BASELINES[protocol]]
    if plot is not None:
        _check_drawing(plot)
    states = [trials.Age.parse(text) for text in ages.split(",")] if ages else []
    loaded = None if spec is None else load_spec(spec)
    columns = columns_of(
        loaded, user=user_column, item=item_column, time=time_column, time_unit=time_unit, value=value_column
    )
    with progress(f"reading {events}") as advance:
        log = read_interactions(events, Reading(log_format, columns, min_value, loaded), advance)
    if first is not None:
        log = log.first(first)
    trial = trials.tgb(log) if protocol == "tgb" else trials.prequential(log)
    if last is not None:
        trial = trial.last(last)
    if through_pipeline:
        passing(trial, scorer, ages, Asked(speed_up, segment, redis, topic, subscription, plot, json, spec is not None))
        return
    plan = _plan(loaded)
    for choice in choices:
        choice.make(log.first(1), plan)  # so that a wrong setting is told before an hour's work, not after it
    outcomes = [_outcome(choice, trial, plan, states) for choice in choices]
    if plot is not None:
        _draw(plot, outcomes, "mrr" if protocol == "tgb" else "recall")
    if json:
        say_json(report(trial, outcomes))
    else:
        _print(trial, outcomes)


def _plan(loaded: LoadedSpec | None) -> Plan | None:
    from user_state.plan.compile import compile_plan

    return None if loaded is None else compile_plan(loaded)


def _outcome(choice: Choice, trial: Trial, plan: Plan | None, ages: list[Age]) -> Outcome:
    from user_state.evaluation.results import Outcome, Quality
    from user_state.evaluation.trials import aged

    began = time.monotonic()
    fitting = choice.trial(trial)
    ranks = _measured(choice, fitting, plan, choice.text)
    outcome = Outcome(choice.text, fitting, ranks, time.monotonic() - began)
    counted = trial.only(trial.counted)
    for age in ages:
        ranks = _measured(choice, aged(counted, age), plan, f"{choice.text}, {age} old")
        outcome.by_age.append((age, Quality.of(ranks)))
    return outcome


def _measured(choice: Choice, trial: Trial, plan: Plan | None, doing: str) -> F64:
    from user_state.evaluation.scoring import measure

    with progress(f"preparing {doing}"):
        made = choice.make(trial.log, plan)
    return measure(choice.text, made, trial, lambda asked: with_progress(asked, doing, len(trial.tested)))


def _check_drawing(path: Path) -> None:
    from user_state.evaluation.chart import check_drawing

    check_drawing(path)


def _draw(path: Path, outcomes: list[Outcome], measure: str) -> None:
    from user_state.evaluation.chart import draw

    draw(path, outcomes, measure)
    say(f"drew {path}", err=True)


def _print(trial: Trial, outcomes: list[Outcome]) -> None:
    from rich.table import Table

    from user_state.evaluation.results import CUTOFF

    log = trial.log
    left_out = "".join(f"; left out {count:,} {reason}" for reason, count in log.left_out if count)
    say(
        f"{log.source}: {len(log):,} interactions of {len(log.users):,} users with {len(log.items):,} items{left_out}\n"
        f"{trial.protocol}: {len(trial.tested):,} tested against"
        f" {'the items their users had not met' if trial.unseen_only else 'all items'}, ties at their mean rank\n"
    )
    console = Terminal()
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("scorer", no_wrap=True)
    for part in trial.parts:
        for measure in ("MRR", f"R@{CUTOFF}"):
            table.add_column(measure if len(trial.parts) == 1 else f"{part} {measure}", justify="right")
    table.add_column("seconds", justify="right")
    for outcome in outcomes:
        figures = [f"{value:.4f}" for quality in outcome.parts.values() for value in (quality.mrr, quality.recall)]
        table.add_row(outcome.scorer, *figures, f"{outcome.seconds:.0f}")
    console.print_table(table)
    if outcomes[0].by_age:
        by_age = Table(box=None, pad_edge=False, padding=(0, 2))
        by_age.add_column(f"{trial.counted} MRR by age of the state", no_wrap=True)
        for age, _ in outcomes[0].by_age:
            by_age.add_column(age.text, justify="right")
        for outcome in outcomes:
            by_age.add_row(outcome.scorer, *(f"{quality.mrr:.4f}" for _, quality in outcome.by_age))
        console.print("")
        console.print_table(by_age)
