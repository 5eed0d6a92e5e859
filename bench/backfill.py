"""A backfill beside reading its files, beside itself through Beam, and beside the same windows the usual Beam way.

    python -m bench.backfill [--quick] [--json]

    bare read      the same Parquet, every column, read by pyarrow with all the threads that it likes: how many times
                   as long a backfill takes, from files to records in Redis
    through Beam   the same backfill on DirectRunner in batch: its time without Beam by its time through Beam
    beam windows   a footnote: a few sliding counts of a few events as one writes them in Beam, SlidingWindows and
                   CombinePerKey, on the same runner: events a second of a backfill through Beam by those. What comes
                   out is less: numbers at each slide, not a record that can be asked at any moment

Runs are interleaved; the median of the ratios counts. Time is of the clock. The spec has the 19 windowed numbers of the
starter spec; Redis is a Valkey of its own, on the same cores.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from bench.history import EXAMPLES, silent, windowed
from bench.history_data import History, write_history
from bench.report import arguments, finish
from tests.servers.redis import running_valkey
from user_state.backfill.job import BackfillJob, Settings
from user_state.events.stored_files import matching
from user_state.history.memory import keep_in_one_place
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec

EVENTS, USERS, ROUNDS = 2_000_000, 40_000, 5
QUICK_EVENTS, QUICK_USERS, QUICK_ROUNDS = 400_000, 8_000, 3
SHARDS = 8
WINDOWED_EVENTS = 500
"""Of the usual Beam way: it takes a millisecond a window of an event."""
WINDOWS_S = ((600, 60), (3600, 300), (86_400, 3600))
"""Length and slide of its windows, seconds."""
KEPT_US = 3650 * 86_400 * 10**6


def timed(action: Callable[[], object]) -> float:
    """Return how long something takes, seconds."""
    began_s = time.perf_counter()
    action()
    return time.perf_counter() - began_s


class Backfills:
    """Backfills of the same files, each into a generation of its own."""

    def __init__(self, spec: LoadedSpec, history: History, redis: str, folder: Path) -> None:
        self._spec = spec
        self._redis = redis
        self._folder = folder
        self._number = 0
        self._settings = Settings(matching(history.events), redis, shards=SHARDS, workers=os.cpu_count() or 1)
        self._size = history.number_of_events

    def without_beam(self) -> None:
        """Make a generation in this process."""
        spec = self._next()
        job = BackfillJob(spec, compile_plan(spec), self._settings, self._folder / "work", silent, lambda _: None)
        self._check(job.run().counts)

    def through_beam(self) -> None:
        """Make a generation on DirectRunner."""
        from beam_pipelines.backfill_batch import backfill_on_beam

        dead = str(self._folder / "dead")
        self._check(backfill_on_beam(self._next(), self._settings, dead, "direct", [], bool).counts)

    def _next(self) -> LoadedSpec:
        self._number += 1
        return self._spec.of_generation(f"g{self._number}")

    def _check(self, counts: dict[str, int]) -> None:
        if counts["applied"] + counts["duplicate"] != self._size:
            raise SystemExit(f"error: expected {self._size} events in records, got {counts}")


def bare_read(history: History) -> None:
    """Read every column of the files."""
    for path in matching(history.events):
        pq.read_table(path)


def usual_windows(history: History, events: int) -> float:
    """Count some events in sliding windows as one does in Beam; return events a second."""
    import apache_beam as beam
    from apache_beam.transforms.window import SlidingWindows, TimestampedValue

    from beam_pipelines.running import DIRECT_RUNNER

    table = pq.read_table(matching(history.events)[0]).slice(0, events)
    columns = (table[name].to_pylist() for name in ("user_id", "action", "event_time"))
    rows = [TimestampedValue(((user, action), 1), at.timestamp()) for user, action, at in zip(*columns, strict=True)]

    def run() -> None:
        with beam.Pipeline(runner=DIRECT_RUNNER) as pipeline:
            read = pipeline | "Rows" >> beam.Create(rows) | "Stamp" >> beam.Map(lambda row: row)
            for length_s, slide_s in WINDOWS_S:
                counted = read | f"Window{length_s}" >> beam.WindowInto(SlidingWindows(length_s, slide_s))
                counted | f"Count{length_s}" >> beam.CombinePerKey(sum)

    return len(rows) / timed(run)


def main() -> None:
    """Measure, and print."""
    args = arguments(__doc__ or "")
    keep_in_one_place()
    size = (QUICK_EVENTS, QUICK_USERS) if args.quick else (EVENTS, USERS)
    rounds = QUICK_ROUNDS if args.quick else ROUNDS
    starter = EXAMPLES / "starter"
    spec = parse_spec(windowed((starter / "user_state.yaml").read_text("utf-8")), beside=starter)
    spec = replace(spec, spec=spec.spec.model_copy(update={"retention": KEPT_US}))
    with tempfile.TemporaryDirectory(prefix="bench-backfill-") as made, running_valkey(Path(made) / "redis") as server:
        folder = Path(made)
        history = write_history(folder, *size, labels=1)
        print(f"{history.number_of_events:,} events, {size[1]:,} users")
        backfills = Backfills(spec, history, server.url, folder)
        bare_read(history), backfills.without_beam(), backfills.through_beam()
        without_s, through_s, read_s = [], [], []
        for _ in range(rounds):
            read_s.append(timed(lambda: bare_read(history)))
            without_s.append(timed(backfills.without_beam))
            through_s.append(timed(backfills.through_beam))
        windows = usual_windows(history, WINDOWED_EVENTS)
    to_read = statistics.median(ours / bare for ours, bare in zip(without_s, read_s, strict=True))
    to_beam = statistics.median(ours / beams for ours, beams in zip(without_s, through_s, strict=True))
    took_s = statistics.median(without_s)
    rate = history.number_of_events / statistics.median(through_s)
    print(
        f"backfill: {took_s:.2f} s, {history.number_of_events / took_s:,.0f} events/s; reading the same files"
        f" {statistics.median(read_s):.2f} s: {to_read:.2f} times as long"
    )
    print(
        f"through Beam: {statistics.median(through_s):.2f} s; without Beam it takes {to_beam:.2f} of that,"
        f" so through Beam is {to_beam:.2f} times as fast"
    )
    print(f"sliding windows of Beam: {windows:,.0f} events/s for {len(WINDOWS_S)} windows: {rate / windows:,.0f} times")
    finish(
        args,
        {
            "backfill_ratio_to_bare_read": to_read,
            "backfill_beam_ratio": to_beam,
            "backfill_speedup_over_beam_windows": rate / windows,
        },
    )


if __name__ == "__main__":
    main()
