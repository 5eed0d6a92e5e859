"""A trial through the real pipeline: events are published as they happened, only faster; states are read from Redis.

    publish (paced) ──> Pub/Sub ──> user-state run ──> Redis ──> serving client ──> scores ──> ranks
    or a paced file ──────────────────┘

`user-state run` and `user-state publish` are processes of their own, found as any user finds them; nothing here imports
them. What happened before the test is folded into Redis beforehand, by the fold that the pipeline runs. See
`stretches` for how a month is played in minutes without speeding it up beyond what a state's age allows.

Every figure stands beside the ideal: the same scorer of the same records, asked the same, with a state of no delay.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from user_state.client import UserStateClient
from user_state.core.compile import compile_plan
from user_state.core.events import EventRow
from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.evaluation.asking import Answers, Reads, Watched, ask
from user_state.evaluation.catalogue import Choice
from user_state.evaluation.interactions import F64, I64
from user_state.evaluation.own_spec import own_spec_text
from user_state.evaluation.results import PLACES, Outcome, Quality
from user_state.evaluation.scoring import measure
from user_state.evaluation.served import ServedScorer, served_scorer
from user_state.evaluation.stretches import Stretches, cut
from user_state.evaluation.trials import Age, Trial, aged
from user_state.events.avro_files import interaction_schema, write_events
from user_state.fold import Folder
from user_state.spec import LoadedSpec, load_spec
from user_state.store.redis_store import RedisStateStore

FRESH = Age("fresh", 0, 0)
USER_STATE = (sys.executable, "-m", "user_state.cli.main")
TIME_ATTRIBUTE = "event_time"
WARM_ROWS = 20_000
WATCHED_AT_MOST = 5_000
BLOCK_BYTES = 300
"""Of a file that is paced: a few events a block."""
MARGIN_S = 0.2
"""A state is read this long before what it is asked to foretell is published, or the reader might come too late."""
START_TIMEOUT_S = 60.0
AHEAD_S = 8.0
"""Between the start of the pipeline and the first event, so that it is at work by then."""
FILE_AHEAD_S = 20.0
"""The same for a file, from before the pipeline is started, since it is told beforehand."""
DRAIN_TIMEOUT_S = 60.0
STARTED = "Ctrl-C drains and stops"
"""What `user-state run` says when its checks are done."""


@dataclass(frozen=True)
class Way:
    """How events get into Redis.

    Attributes:
        redis: URL of the Redis; it must hold nothing under the name that is used.
        topic, subscription: pubsub:// names of what events are published to and read from; None plays a paced file.
        speed: how much faster than it happened.
        stretch_us: length of a stretch, microseconds.
    """

    redis: str
    topic: str | None = None
    subscription: str | None = None
    speed: float = 10.0
    stretch_us: int = 1_200 * SECOND_US

    def check(self) -> None:
        """Raise InputError if the settings do not fit together."""
        if (self.topic is None) != (self.subscription is None):
            raise InputError("expected a topic and a subscription, or neither to play a file, got one of them")
        if not 0 < self.speed < float("inf"):
            raise InputError(f"expected a speed-up above 0, got {self.speed!r}")
        if self.stretch_us <= 0:
            raise InputError("expected a stretch longer than 0")


@dataclass(frozen=True)
class AtAge:
    """What reading at one age came to.

    Attributes:
        age: that was asked for.
        ideal, real: figures with a state of no delay, and with the state that was read.
        loss: (ideal MRR - real MRR), and its standard error, from the same questions.
        behind: share of reads whose state lacked something that one of no delay would show.
        left_out: reads that came too late to count, on either side.
    """

    age: Age
    ideal: Quality
    real: Quality
    loss: tuple[float, float]
    behind: float
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        return {
            "age": self.age.text,
            "mean_age_s": self.age.mean_s,
            "ideal": self.ideal.to_json(),
            "through_pipeline": self.real.to_json(),
            "mrr_loss": round(self.loss[0], PLACES),
            "mrr_loss_standard_error": round(self.loss[1], PLACES),
            "reads_behind": round(self.behind, PLACES),
            "reads_left_out": self.left_out,
        }


@dataclass
class Passage:
    """What a run through the pipeline came to.

    Attributes:
        scorer: as it was asked for.
        trial: what was asked.
        way: how events went.
        by_age: figures at each age.
        outcomes: the ideal and the real, for the chart.
        readable_s: (m,) wall seconds from when an event was due until it could be read; NaN where it never could.
        played, stretches, seconds: how many events and stretches, and how long it took.
        accounting: what `user-state run` said last.
    """

    scorer: str
    trial: Trial
    way: Way
    by_age: list[AtAge] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    readable_s: F64 = field(default_factory=lambda: np.zeros(0))
    played: int = 0
    stretches: int = 0
    seconds: float = 0.0
    accounting: str = ""

    @property
    def delays_s(self) -> Mapping[str, float]:
        """Wall seconds until an event could be read: some quantiles, and the greatest."""
        seen = self.readable_s[np.isfinite(self.readable_s)]
        if len(seen) == 0:
            raise InputError("expected events to become readable, got none; did the pipeline run?")
        quantiles = {f"p{q}": float(np.quantile(seen, q / 100)) for q in (50, 90, 99)}
        return {**quantiles, "max": float(seen.max())}

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        delays = self.delays_s
        return {
            "scorer": self.scorer,
            "input": self.trial.log.source,
            "protocol": self.trial.protocol,
            "tested": len(self.trial.tested),
            "source": "file" if self.way.topic is None else "pubsub",
            "speed_up": self.way.speed,
            "read_before_event_s": MARGIN_S * self.way.speed,
            "stretches": self.stretches,
            "stretch_s": self.way.stretch_us / SECOND_US,
            "events_played": self.played,
            "seconds": round(self.seconds, 1),
            "readable_after_wall_s": {name: round(value, 3) for name, value in delays.items()},
            "readable_after_event_s": {name: round(value * self.way.speed, 2) for name, value in delays.items()},
            "events_timed": len(self.readable_s),
            "events_never_readable": int(np.isnan(self.readable_s).sum()),
            "ages": [at.to_json() for at in self.by_age],
            "accounting": self.accounting,
        }


def pass_through(
    choice: Choice, trial: Trial, ages: list[Age], way: Way, told: Callable[[str], None] = lambda _: None
) -> Passage:
    """Run a trial's questions against a pipeline at work, at FRESH and at each age.

    Args:
        choice: a scorer that reads records.
        trial: all of its questions are asked.
        ages: lags and refreshes beside FRESH.
        way: how events get into Redis.
        told: gets a line now and then on what is going on.

    Raises:
        InputError: settings that do not fit, or a process that ended before its time; the message has its last words.
        StoreUnavailable, StoreError: Redis cannot be read or written.
    """
    way.check()
    scorer = served_scorer(choice, trial.log.items)
    ages = [FRESH, *ages]
    lead_us = max(age.lag_us + age.refreshed_us for age in ages) + round(MARGIN_S * way.speed * SECOND_US)
    stretches = cut(trial, way.stretch_us, lead_us)
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
        _write_events(events, trial, stretches)
        told(f"folding {len(stretches.warm):,} earlier events of {len(stretches.users):,} users into Redis")
        warm_up(spec, way.redis, trial, stretches)
        answers, due_order, accounting = _played(spec_file, spec, scorer, trial, stretches, ages, way, events, told)
    told("asking the same with a state of no delay")
    passage = Passage(choice.text, trial, way, played=len(stretches.played), accounting=accounting)
    passage.readable_s = answers.readable_s
    passage.stretches = len({user.partition(".")[0] for user in stretches.users})
    _compare(passage, choice, answers, due_order, stretches, ages)
    passage.seconds = time.monotonic() - began
    return passage


def warm_up(spec: LoadedSpec, redis: str, trial: Trial, stretches: Stretches) -> None:
    """Fold what users did before their stretch, as the pipeline would have.

    Raises:
        StoreUnavailable, StoreError: as the store.
    """
    plan = compile_plan(spec)
    store = RedisStateStore(redis, plan.name)
    try:
        folder = Folder(plan, store, cache_bytes=0)
        folder.start()
        items = trial.log.items
        codes = trial.log.item[stretches.warm].tolist()
        users, times = stretches.warm_user.tolist(), stretches.warm_us.tolist()
        rows: list[EventRow] = [
            (stretches.users[user], _id_hash(f"{user}-{at}"), time_us, time_us, items[code])
            for user, at, time_us, code in zip(users, stretches.warm.tolist(), times, codes, strict=True)
        ]
        for part in stretches.warm_users(WARM_ROWS):
            folder.fold(rows[part])
    finally:
        store.close()


def _played(
    spec_file: Path,
    spec: LoadedSpec,
    scorer: ServedScorer,
    trial: Trial,
    stretches: Stretches,
    ages: list[Age],
    way: Way,
    events: Path,
    told: Callable[[str], None],
) -> tuple[Answers, I64, str]:
    """Play and ask; return the answers, the order of reads that they are in, and the pipeline's accounting."""
    folder = events.parent
    output = folder / "run.log"
    arguments = ["run", "--spec", str(spec_file), "--redis", way.redis, "--dead-letters", str(folder / "dead-letters")]
    first_s = time.time() + FILE_AHEAD_S
    if way.subscription is None:
        arguments += ["--input", str(events), "--replay_speed", f"{way.speed}", "--replay_start", f"{first_s}"]
    else:
        arguments += ["--input", way.subscription, "--publish_time_attribute", TIME_ATTRIBUTE]
    with _process(arguments, output) as pipeline:
        _wait_for_start(pipeline, output)
        publishing = None
        if way.topic is not None:
            first_s = time.time() + AHEAD_S
            publishing = ["publish", "--spec", str(spec_file), "--from", str(events), "--to", way.topic]
            publishing += ["--replay_speed", f"{way.speed}", "--replay_start", f"{first_s}"]
            publishing += ["--publish_time_attribute", TIME_ATTRIBUTE]
        first_us = int(stretches.played_us[0])

        def due(time_us: I64) -> F64:
            seconds: F64 = first_s + (time_us - first_us) / SECOND_US / way.speed
            return seconds

        margin_us = round(MARGIN_S * way.speed * SECOND_US)
        reads, order = _reads(trial, stretches, ages, margin_us, due)
        watched = _watched(stretches, due)
        minutes = (float(reads.due_s[-1]) - time.time()) / 60
        told(
            f"playing {len(stretches.played):,} events {way.speed:g} times as fast as they happened: {minutes:.0f} min"
        )
        with _maybe_process(publishing, folder / "publish.log") as publisher:

            def each_second(share: float) -> None:
                _check_running(pipeline, output)
                if publisher is not None:
                    _check_running(publisher, folder / "publish.log")

            with UserStateClient.from_url(way.redis, spec, timeout_s=10) as client:
                answers = ask(
                    client,
                    scorer,
                    reads,
                    watched,
                    lambda now_s: round(first_us + (now_s - first_s) * way.speed * SECOND_US),
                    each_second,
                )
        return answers, order, _drained(pipeline, output)


def _reads(
    trial: Trial, stretches: Stretches, ages: list[Age], margin_us: int, due: Callable[[I64], F64]
) -> tuple[Reads, I64]:
    """Return all reads in order of time, and their order: read r is number `order[r]` of ages after questions."""
    latest = stretches.asked_us - margin_us
    moments = [np.minimum(stretches.moments(trial, age), latest) for age in ages]
    newest = np.concatenate([stretches.newest_before(moment) for moment in moments])
    due_s = due(np.concatenate(moments))
    order = np.argsort(due_s, kind="stable")
    user = np.tile(stretches.asked_user, len(ages))[order]
    item = np.tile(trial.log.item[trial.tested[stretches.asked]], len(ages))[order]
    at_us = np.tile(stretches.asked_us, len(ages))[order]
    names = [stretches.users[u] for u in user.tolist()]
    return Reads(due_s[order], names, item, at_us, newest[order]), order


def _watched(stretches: Stretches, due: Callable[[I64], F64]) -> Watched:
    """Return which events' way is timed: all, or evenly chosen ones."""
    count = len(stretches.played)
    chosen = np.unique(np.linspace(0, count - 1, min(count, WATCHED_AT_MOST)).astype(np.int64))
    users = [stretches.users[user] for user in stretches.played_user[chosen].tolist()]
    return Watched(due(stretches.played_us[chosen]), users, stretches.played_us[chosen])


def _compare(
    passage: Passage, choice: Choice, answers: Answers, order: I64, stretches: Stretches, ages: list[Age]
) -> None:
    """Put what was read beside the ideal, age by age."""
    trial = passage.trial
    questions = len(trial.tested)
    rank, behind = np.empty(len(order)), np.empty(len(order), np.bool_)
    rank[order], behind[order] = answers.rank, answers.behind
    ideal, real = (Outcome(f"{choice.text}, {what}", trial, np.zeros(0), 0.0) for what in ("ideal", "through pipeline"))
    for at, age in enumerate(ages):
        part = slice(at * questions, (at + 1) * questions)
        asked = np.empty(questions)
        asked[stretches.asked] = rank[part]
        lacking = np.empty(questions, np.bool_)
        lacking[stretches.asked] = behind[part]
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
        passage.by_age.append(compared)
        for outcome, ranks, quality in ((ideal, best, compared.ideal), (real, asked, compared.real)):
            outcome.by_age.append((age, quality))
            if age is FRESH:
                outcome.ranks = np.where(counted, ranks, best)
    passage.outcomes = [ideal, real]


def _write_events(path: Path, trial: Trial, stretches: Stretches) -> None:
    items = trial.log.items
    codes = trial.log.item[stretches.played].tolist()
    users, times = stretches.played_user.tolist(), stretches.played_us.tolist()
    events = (
        {
            "event_id": f"{user}-{at}",
            "user_id": stretches.users[user],
            "item_id": items[code],
            "action": "view",
            "event_time": time_us,
            "value": None,
            "category": None,
        }
        for user, at, time_us, code in zip(users, stretches.played.tolist(), times, codes, strict=True)
    )
    write_events(path, events, interaction_schema(), "null", BLOCK_BYTES)


def _id_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


@contextmanager
def _process(arguments: list[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `user-state ARGUMENTS` with its output in a file; it ends with the `with` block at the latest."""
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*USER_STATE, *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def _maybe_process(arguments: list[str] | None, output: Path) -> Iterator[subprocess.Popen[bytes] | None]:
    if arguments is None:
        yield None
        return
    with _process(arguments, output) as process:
        yield process


def _wait_for_start(process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while STARTED not in output.read_text("utf-8", "replace"):
        _check_running(process, output)
        if process.poll() is not None or time.monotonic() > deadline:
            raise InputError(f"expected `user-state run` to start within {START_TIMEOUT_S:.0f} s")
        time.sleep(0.1)


def _check_running(process: subprocess.Popen[bytes], output: Path) -> None:
    if process.poll() not in (None, 0):  # a file, once read, ends the pipeline in peace, and publishing too
        said = output.read_text("utf-8", "replace").strip()[-2000:]
        raise InputError(f"`user-state {output.stem}` ended before its time:\n{said}")


def _drained(process: subprocess.Popen[bytes], output: Path) -> str:
    """Ask the pipeline to stop, as Ctrl-C does; return its accounting."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(DRAIN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise InputError(f"expected `user-state run` to drain within {DRAIN_TIMEOUT_S:.0f} s") from None
    lines = [line for line in output.read_text("utf-8", "replace").splitlines() if line.startswith("read ")]
    return lines[-1] if lines else ""
