"""Running the streaming pipeline as a user does: check first, show progress, drain on Ctrl-C or SIGTERM, account."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions

from beam_pipelines.accounting import closing_lines, progress_line
from beam_pipelines.beam_patches.versions import put_in_place, uses
from beam_pipelines.dead_letter_limit import LimitWatch
from beam_pipelines.streaming import StreamingSettings, build, check_settings, sign_off
from transforms import counters, drain, letter_samples, metrics
from transforms.pubsub_pending import acknowledge_pending, give_up_pending
from user_state.cli.terminal import Terminal
from user_state.errors import InputError, UserStateError
from user_state.plan.compile import compile_plan
from user_state.plan.spec_change import spec_change
from user_state.spec import LoadedSpec
from user_state.store.credentials import check_travels
from user_state.store.specs import plans_of
from user_state.store.survey import check_readable

INTERVAL_S = 1.0
"""How often progress is printed on a terminal; a tenth as often elsewhere."""
DIRECT_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def run_streaming(
    spec: LoadedSpec,
    settings: StreamingSettings,
    beam_arguments: Sequence[str],
    *,
    stop_when_idle_s: float | None = None,
    limit: float = 1.0,
) -> Mapping[str, int]:
    """Run until the input ends or a drain is requested; print progress and the accounting; return the counts.

    Args:
        spec: what to run.
        settings: how.
        beam_arguments: options of Beam.
        stop_when_idle_s: drain after this long without a message.
        limit: the greatest share of dead letters that nothing is said of while it runs.

    Raises:
        UserStateError: the settings cannot be used, or the store refused for good.
    """
    options = beam_options(beam_arguments)
    runner = options.view_as(StandardOptions).runner
    if runner != DIRECT_RUNNER:
        check_travels(settings.redis, runner)
    pipeline = new_pipeline(options)
    settings = check_settings(spec, settings)
    console = Terminal(stderr=True)
    drain.reset()
    counters.reset()
    letter_samples.reset()
    print_spec_changes(console, spec, settings.redis)
    build(pipeline, spec, settings)
    console.print(f"{settings.input} -> {spec.keyspace} in Redis. Ctrl-C drains and stops.")
    with draining_on_signals(console), reporting(console, stop_when_idle_s, limit), without_stack_traces():
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except BaseException as exc:
            give_up_pending()
            if isinstance(exc, Exception):
                raise translated(exc) or exc from exc
            raise
    if settings.state == "runner":
        acknowledge_pending()  # a runner within this process has nothing in flight now
        sign_off(spec, settings)
    counts = committed_counters(result)
    console.print(closing_lines(counts, spec.spec.retention))
    return counts


def print_spec_changes(console: Terminal, spec: LoadedSpec, redis: str) -> None:
    """Print what becomes of the records that are in Redis already, if the spec has changed since they were written.

    Raises:
        StoreUnavailable, CodecError: as `check_readable`.
        StoreError: as well if the spec cannot read them.
    """
    plan, *items = plans_of(compile_plan(spec))
    for one in items:
        check_readable(redis, one.keyspace, one.layout.fingerprint)
    found = check_readable(redis, plan.keyspace, plan.layout.fingerprint)
    total = f"{found.held.total():,} records{'' if found.whole else ' looked at'}"
    for fingerprint, number in found.held.most_common():
        if fingerprint == plan.layout.fingerprint:
            continue
        layout, which = found.registered.get(fingerprint), f"{number:,} of {total}"
        if layout is None:
            line = f"{which} cannot be read: their layout {fingerprint.hex()} is not registered; see docs/recovery.md"
            console.print(line)
            continue
        console.print(f"the spec has changed since {which} were written (layout {fingerprint.hex()}):")
        for line in spec_change(plan, layout, found.registered.values()).lines():
            console.print(f"  {line}")


def beam_options(arguments: Sequence[str], *, streaming: bool = True) -> PipelineOptions:
    """Return Beam's options for a run.

    Raises:
        InputError: an argument is no option that Beam knows.
    """
    options = PipelineOptions(list(arguments))
    unknown = _unknown_options(arguments)
    if unknown:
        raise InputError(f"expected options of user-state run or of Apache Beam, got {' '.join(unknown)}")
    standard = options.view_as(StandardOptions)
    standard.streaming = streaming
    if standard.runner is None or standard.runner.lower() in ("directrunner", "direct"):
        # By that name Beam 2.77 first tries to download Prism, and runs on whichever it gets.
        standard.runner = DIRECT_RUNNER
        put_in_place("direct_metrics", "state_sizes", "state_writes")
    # Nothing that is pickled lives in __main__.
    options.view_as(SetupOptions).save_main_session = False
    return options


def new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Return an empty pipeline.

    Raises:
        InputError: there is no such runner, or it refuses the options.
    """
    try:
        pipeline = beam.Pipeline(options=options)
    except (ValueError, ImportError, AttributeError) as exc:
        raise InputError(f"expected options that Apache Beam accepts: {exc}") from exc
    # Beam makes a folder for every pipeline, and removes it only after a run.
    folder = getattr(pipeline, "local_tempdir", None)
    if folder is not None:
        weakref.finalize(pipeline, shutil.rmtree, folder, ignore_errors=True)
    return pipeline


def _unknown_options(arguments: Sequence[str]) -> list[str]:
    """Return what is no option of Beam's, as far as that can be known."""
    if not uses("option_names"):
        return []
    from beam_pipelines.beam_patches.option_names import unknown_options

    return unknown_options(arguments)


def committed_counters(result: Any) -> dict[str, int]:
    """Return the counts of committed bundles by name."""
    found = result.metrics().query()["counters"]
    counts: dict[str, int] = {}
    for counter in found:
        if counter.key.metric.namespace == metrics.NAMESPACE:
            name = counter.key.metric.name
            counts[name] = counts.get(name, 0) + (counter.committed or 0)
    return counts


@contextmanager
def draining_on_signals(console: Terminal) -> Iterator[None]:
    """Drain on the first Ctrl-C or SIGTERM; end at once on the second Ctrl-C."""

    def handle(number: int, frame: Any) -> None:
        if drain.draining() and number == signal.SIGINT:
            raise KeyboardInterrupt
        drain.request_drain()
        # Not through rich: a handler may interrupt a print that holds rich's lock.
        sys.stderr.write("\ndraining: storing what was read, then stopping\n")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """Prints how a run fares: every INTERVAL_S on a terminal, a tenth as often elsewhere, if anything has changed."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._interval_s = INTERVAL_S if console.is_terminal else 10 * INTERVAL_S
        self._began_s = self._printed_s = time.monotonic()
        self._printed: Mapping[str, int] = {}

    def show(self, counts: Mapping[str, int]) -> None:
        """Print the counts if it is time; call it as often as you like."""
        now_s = time.monotonic()
        if now_s - self._printed_s < self._interval_s or counts == self._printed:
            return
        read = counts.get(counters.READ, 0) - self._printed.get(counters.READ, 0)
        rate = max(0.0, read / (now_s - self._printed_s))
        self._console.print(progress_line(now_s - self._began_s, counts, rate))
        self._printed_s, self._printed = now_s, counts


@contextmanager
def reporting(console: Terminal, stop_when_idle_s: float | None, limit: float = 1.0) -> Iterator[None]:
    """Print progress from a thread while the pipeline runs; request a drain once it has been idle for long enough."""
    ended = threading.Event()

    def report() -> None:
        progress = Progress(console)
        refused = LimitWatch(limit, time.monotonic())
        last_change, last_read = time.monotonic(), 0
        while not ended.wait(0.2):
            now = time.monotonic()
            counts = counters.so_far()
            read = counts[counters.READ]
            if read != last_read:
                last_change, last_read = now, read
            progress.show(counts)
            if (said := refused.look(counts, now)) is not None:
                console.print(said)
            if stop_when_idle_s is not None and now - last_change >= stop_when_idle_s and not drain.draining():
                drain.request_drain()

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def without_stack_traces() -> Iterator[None]:
    """Keep Beam from logging an error of ours with its stack trace: it ends the run, and is the run's last line."""
    if not uses("logged_errors"):
        yield
        return
    from beam_pipelines.beam_patches.logged_errors import left_out

    with left_out(lambda raised: isinstance(translated(raised), UserStateError)):
        yield


def translated(exc: BaseException | None) -> BaseException | None:
    """Return our own error if one lies beneath what the runner raised, else what it raised."""
    beneath = exc
    while beneath is not None:
        if isinstance(beneath, UserStateError):
            return beneath
        beneath = beneath.__cause__ or beneath.__context__
    logging.getLogger(__name__).debug("the runner failed", exc_info=exc)
    return exc
