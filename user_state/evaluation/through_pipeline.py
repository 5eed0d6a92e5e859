"""A trial through the real pipeline: events are published as they happened, only faster; states are read from Redis.

    publish (paced) ──> Pub/Sub ──> user-state run ──> Redis ──> serving client ──> scores ──> ranks
    or a paced file ──────────────────┘

`user-state run` and `user-state publish` are processes of their own, found as any user finds them; nothing here imports
them. What happened before the test is folded into Redis beforehand, by the fold that the pipeline runs. See
`segments` for how a month is played in minutes without speeding it up beyond what a state's age allows.

Every figure stands beside the ideal: the same scorer of the same records, asked the same, with a state of no delay.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from user_state.client import UserStateClient
from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.evaluation.catalogue import Choice
from user_state.evaluation.interactions import F64, I64
from user_state.evaluation.own_spec import own_spec_text
from user_state.evaluation.pipeline_result import MARGIN_S, AtAge, PipelineResult, Way
from user_state.evaluation.processes import check_running, drained, maybe_running, running, wait_for_start
from user_state.evaluation.results import Outcome, Quality
from user_state.evaluation.scoring import measure
from user_state.evaluation.segments import Segments, cut
from user_state.evaluation.served import ServedScorer, served_scorer
from user_state.evaluation.timed_reads import Answers, Reads, Watched, ask
from user_state.evaluation.trials import Age, Trial, aged
from user_state.events.avro_files import interaction_schema, write_events
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, load_spec
from user_state.state.events import EventRow
from user_state.store.credentials import passed_on
from user_state.store.redis_store import RedisStateStore

FRESH = Age("fresh", 0, 0)
TIME_ATTRIBUTE = "event_time"
WARM_ROWS = 20_000
WATCHED_AT_MOST = 5_000
BLOCK_BYTES = 300
"""Of a file that is paced: a few events a block."""
AHEAD_S = 8.0
"""Between the start of the pipeline and the first event, so that it is at work by then."""
FILE_AHEAD_S = 20.0
"""The same for a file, from before the pipeline is started, since it is told beforehand."""


def evaluate_through(
    choice: Choice, trial: Trial, ages: list[Age], way: Way, report: Callable[[str], None] = lambda _: None
) -> PipelineResult:
    """Run a trial's questions against a pipeline at work, at FRESH and at each age.

    Args:
        choice: a scorer that reads records.
        trial: all of its questions are asked.
        ages: lags and refreshes beside FRESH.
        way: how events get into Redis.
        report: gets a line now and then on what is going on.

    Raises:
        InputError: settings that do not fit, or a process that ended before its time; the message has its last words.
        StoreUnavailable, StoreError: Redis cannot be read or written.
    """
    way.check()
    scorer = served_scorer(choice, trial.log.items)
    ages = [FRESH, *ages]
    lead_us = max(age.lag_us + age.refreshed_us for age in ages) + round(MARGIN_S * way.speed * SECOND_US)
    segments = cut(trial, way.segment_us, lead_us)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="user-state-evaluate-") as name:
        folder = Path(name)
        spec_file = folder / "user_state.yaml"
        spec_file.write_text(
            own_spec_text({"embeddings": dict(scorer.embeddings)}, name=f"evaluated_{os.getpid()}_{time.time_ns()}"),
            "utf-8",
        )
        spec = load_spec(spec_file)
        events = folder / "events.avro"
        _write_events(events, trial, segments)
        report(f"folding {len(segments.warm):,} earlier events of {len(segments.users):,} users into Redis")
        warm_up(spec, way.redis, trial, segments)
        answers, due_order, accounting = _played(spec_file, spec, scorer, trial, segments, ages, way, events, report)
    report("asking the same with a state of no delay")
    result = PipelineResult(choice.text, trial, way, played=len(segments.played), accounting=accounting)
    result.readable_s = answers.readable_s
    result.segments = len({user.partition(".")[0] for user in segments.users})
    _compare(result, choice, answers, due_order, segments, ages)
    result.seconds = time.monotonic() - began
    return result


def warm_up(spec: LoadedSpec, redis: str, trial: Trial, segments: Segments) -> None:
    """Fold what users did before their segment, as the pipeline would have.

    Raises:
        StoreUnavailable, StoreError: as the store.
    """
    plan = compile_plan(spec)
    store = RedisStateStore(redis, plan.name)
    try:
        folder = Folder(plan, store, cache_bytes=0)
        folder.start()
        items = trial.log.items
        codes = trial.log.item[segments.warm].tolist()
        users, times = segments.warm_user.tolist(), segments.warm_us.tolist()
        rows: list[EventRow] = [
            (segments.users[user], _id_hash(f"{user}-{at}"), time_us, time_us, items[code])
            for user, at, time_us, code in zip(users, segments.warm.tolist(), times, codes, strict=True)
        ]
        for part in segments.warm_users(WARM_ROWS):
            folder.fold(rows[part])
    finally:
        store.close()


def _played(
    spec_file: Path,
    spec: LoadedSpec,
    scorer: ServedScorer,
    trial: Trial,
    segments: Segments,
    ages: list[Age],
    way: Way,
    events: Path,
    report: Callable[[str], None],
) -> tuple[Answers, I64, str]:
    """Play and ask; return the answers, the order of reads that they are in, and the pipeline's accounting."""
    folder = events.parent
    output = folder / "run.log"
    redis, environment = passed_on(way.redis)
    arguments = ["run", "--spec", str(spec_file), "--redis", redis, "--dead-letters", str(folder / "dead-letters")]
    first_s = time.time() + FILE_AHEAD_S
    if way.subscription is None:
        arguments += ["--input", str(events), "--replay_speed", f"{way.speed}", "--replay_start", f"{first_s}"]
    else:
        arguments += ["--input", way.subscription, "--publish_time_attribute", TIME_ATTRIBUTE]
    with running(arguments, output, environment) as pipeline:
        wait_for_start(pipeline, output)
        publishing = None
        if way.topic is not None:
            first_s = time.time() + AHEAD_S
            publishing = ["publish", "--spec", str(spec_file), "--from", str(events), "--to", way.topic]
            publishing += ["--replay_speed", f"{way.speed}", "--replay_start", f"{first_s}"]
            publishing += ["--publish_time_attribute", TIME_ATTRIBUTE]
        first_us = int(segments.played_us[0])

        def due(time_us: I64) -> F64:
            seconds: F64 = first_s + (time_us - first_us) / SECOND_US / way.speed
            return seconds

        margin_us = round(MARGIN_S * way.speed * SECOND_US)
        reads, order = _reads(trial, segments, ages, margin_us, due)
        watched = _watched(segments, due)
        minutes = (float(reads.due_s[-1]) - time.time()) / 60
        report(
            f"playing {len(segments.played):,} events {way.speed:g} times as fast as they happened: {minutes:.0f} min"
        )
        with maybe_running(publishing, folder / "publish.log") as publisher:

            def each_second(share: float) -> None:
                check_running(pipeline, output)
                if publisher is not None:
                    check_running(publisher, folder / "publish.log")

            with UserStateClient.from_url(way.redis, spec, timeout_s=10) as client:
                answers = ask(
                    client,
                    scorer,
                    reads,
                    watched,
                    lambda now_s: round(first_us + (now_s - first_s) * way.speed * SECOND_US),
                    each_second,
                )
        return answers, order, drained(pipeline, output)


def _reads(
    trial: Trial, segments: Segments, ages: list[Age], margin_us: int, due: Callable[[I64], F64]
) -> tuple[Reads, I64]:
    """Return all reads in order of time, and their order: read r is number `order[r]` of ages after questions."""
    latest = segments.asked_us - margin_us
    moments = [np.minimum(segments.moments(trial, age), latest) for age in ages]
    newest = np.concatenate([segments.newest_before(moment) for moment in moments])
    due_s = due(np.concatenate(moments))
    order = np.argsort(due_s, kind="stable")
    user = np.tile(segments.asked_user, len(ages))[order]
    item = np.tile(trial.log.item[trial.tested[segments.asked]], len(ages))[order]
    at_us = np.tile(segments.asked_us, len(ages))[order]
    names = [segments.users[u] for u in user.tolist()]
    return Reads(due_s[order], names, item, at_us, newest[order]), order


def _watched(segments: Segments, due: Callable[[I64], F64]) -> Watched:
    """Return which events' way is timed: all, or evenly chosen ones."""
    count = len(segments.played)
    chosen = np.unique(np.linspace(0, count - 1, min(count, WATCHED_AT_MOST)).astype(np.int64))
    users = [segments.users[user] for user in segments.played_user[chosen].tolist()]
    return Watched(due(segments.played_us[chosen]), users, segments.played_us[chosen])


def _compare(
    result: PipelineResult, choice: Choice, answers: Answers, order: I64, segments: Segments, ages: list[Age]
) -> None:
    """Put what was read beside the ideal, age by age."""
    trial = result.trial
    questions = len(trial.tested)
    rank, behind = np.empty(len(order)), np.empty(len(order), np.bool_)
    rank[order], behind[order] = answers.rank, answers.behind
    ideal, real = (Outcome(f"{choice.text}, {what}", trial, np.zeros(0), 0.0) for what in ("ideal", "through pipeline"))
    for at, age in enumerate(ages):
        part = slice(at * questions, (at + 1) * questions)
        asked = np.empty(questions)
        asked[segments.asked] = rank[part]
        lacking = np.empty(questions, np.bool_)
        lacking[segments.asked] = behind[part]
        best = measure(f"{choice.text}, {age.text} old", choice.make(trial.log), aged(trial, age))
        counted = np.isfinite(asked)
        if not counted.any():
            raise InputError(f"expected reads at {age.text} to come in time, got none; is the machine too busy?")
        difference = 1 / best[counted] - 1 / asked[counted]
        error = float(difference.std() / np.sqrt(len(difference)))
        compared = AtAge(
            age,
            Quality.of(best[counted]),
            Quality.of(asked[counted]),
            (float(difference.mean()), error),
            float(lacking[counted].mean()),
            int(questions - counted.sum()),
        )
        result.by_age.append(compared)
        for outcome, ranks, quality in ((ideal, best, compared.ideal), (real, asked, compared.real)):
            outcome.by_age.append((age, quality))
            if age is FRESH:
                outcome.ranks = np.where(counted, ranks, best)
    result.outcomes = [ideal, real]


def _write_events(path: Path, trial: Trial, segments: Segments) -> None:
    items = trial.log.items
    codes = trial.log.item[segments.played].tolist()
    users, times = segments.played_user.tolist(), segments.played_us.tolist()
    events = (
        {
            "event_id": f"{user}-{at}",
            "user_id": segments.users[user],
            "item_id": items[code],
            "action": "view",
            "event_time": time_us,
            "value": None,
            "category": None,
        }
        for user, at, time_us, code in zip(users, segments.played.tolist(), times, codes, strict=True)
    )
    write_events(path, events, interaction_schema(), "null", BLOCK_BYTES)


def _id_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
