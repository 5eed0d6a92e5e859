"""Training sets from history, beside Polars for what it can do, and beside copying the same tables.

    python -m bench.history [--quick] [--json]

    training set   the 19 windowed numbers of the starter spec, from files to Parquet, in order of publishing; Polars
                   makes the same numbers in event order, as an expert writes them (history_polars.py), and so does
                   DuckDB by ASOF joins (history_duckdb.py)
    join alone     the same without files: columns in memory to numbers in memory
    bare copy      whole rows of the feed example (60 features, sequences, embeddings), beside reading the same events
                   and labels and writing the same rows, with nothing between

Each run of ours is next to one of the other's; ratios are the other's time by ours (how many times as fast), of the
bare copy ours by the other's (how many times as long). The median of several pairs counts. Time is of the clock: either
uses the cores that it can. Polars and DuckDB are development dependencies.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench import history_duckdb, history_polars
from bench.history_data import History, write_history
from bench.report import arguments, finish
from user_state.events.stored_files import matching
from user_state.history.event_source import EventSource
from user_state.history.item_periods import ItemPeriods
from user_state.history.job import Settings, TrainingSetJob
from user_state.history.label_source import labels_in, read_labels
from user_state.history.shards import Shards
from user_state.history.training import TrainingRows
from user_state.history.training_set import label_columns
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, load_spec, parse_spec

EXAMPLES = Path(__file__).parent.parent / "examples"
EVENTS, USERS, LABELS, PAIRS = 2_000_000, 40_000, 300_000, 5
QUICK_EVENTS, QUICK_USERS, QUICK_LABELS, QUICK_PAIRS = 300_000, 6_000, 45_000, 3
SHARDS = 8
FEED_SHARE = 20
"""The rows of the feed example are so many times fewer than those of the 19 numbers: each is 60 times as wide."""


def windowed(text: str) -> str:
    """Return the starter spec with its windowed numbers alone."""
    head, _, rest = text.partition("  liked_creators:")
    return head if rest else text


@contextmanager
def timed(into: list[float]) -> Any:
    """Append how long the block took, seconds."""
    began_s = time.perf_counter()
    yield
    into.append(time.perf_counter() - began_s)


def interleaved(ours: Callable[[int], None], other: Callable[[int], None], pairs: int) -> tuple[float, float, float]:
    """Return (median seconds of ours, of the other, median of the ratios of the other's to ours)."""
    ours_s: list[float] = []
    other_s: list[float] = []
    ours(-1), other(-1)
    for number in range(pairs):
        with timed(ours_s):
            ours(number)
        with timed(other_s):
            other(number)
    ratios = [theirs / own for theirs, own in zip(other_s, ours_s, strict=True)]
    return statistics.median(ours_s), statistics.median(other_s), statistics.median(ratios)


@contextmanager
def silent(_doing: str, _total: int | None) -> Any:
    """Show no progress."""
    yield bool


def make(spec: LoadedSpec, history: History, out: Path) -> None:
    """Make a training set in a folder."""
    plan = compile_plan(spec)
    columns = label_columns(spec, read_labels(history.labels).schema)
    settings = Settings(matching(history.events), history.labels, columns, shards=SHARDS, workers=os.cpu_count() or 1)
    TrainingSetJob(spec, plan, settings, ItemPeriods.always({}), out, silent).run()


def training(spec: LoadedSpec, history: History, folder: Path, pairs: int) -> float:
    """Measure files to Parquet beside Polars."""
    ours_s, polars_s, ratio = interleaved(
        lambda number: make(spec, history, folder / f"ours-{number}"),
        lambda number: history_polars.training_set(
            history.events, history.labels, str(folder / f"polars-{number}.parquet")
        ),
        pairs,
    )
    check(folder)
    print(
        f"19 numbers, files to Parquet: {ours_s:.2f} s, Polars (event order) {polars_s:.2f} s:"
        f" {ratio:.2f} times as fast"
    )
    return ratio


def beside_duckdb(spec: LoadedSpec, history: History, folder: Path, pairs: int) -> float:
    """Measure files to Parquet beside DuckDB, whose numbers are those of Polars."""
    ours_s, duckdb_s, ratio = interleaved(
        lambda number: make(spec, history, folder / f"again-{number}"),
        lambda number: history_duckdb.training_set(
            history.events, history.labels, str(folder / f"duckdb-{number}.parquet")
        ),
        pairs,
    )
    counts, of_polars = (history_duckdb.rows(str(folder / f"{name}--1.parquet")) for name in ("duckdb", "polars"))
    if counts != of_polars:
        raise SystemExit("error: the counts of DuckDB are not those of Polars")
    print(
        f"19 numbers, files to Parquet: {ours_s:.2f} s, DuckDB (ASOF, event order) {duckdb_s:.2f} s:"
        f" {ratio:.2f} times as fast"
    )
    return ratio


def check(folder: Path) -> None:
    """Hold our numbers against those of Polars where both orders say the same: nearly everywhere."""
    ours = pq.read_table(folder / "ours--1").sort_by("label_row")
    theirs = pq.read_table(folder / "polars--1.parquet")
    same = sum(
        float((ours[name].to_numpy() == theirs[name].to_numpy()).mean())
        for name in ("views_count_7d", "skips_count_7d")
    )
    if not 1.6 < same <= 2:
        raise SystemExit(f"error: only {same / 2:.0%} of the counts are those of Polars")


def join(spec: LoadedSpec, history: History, folder: Path, pairs: int) -> float:
    """Measure columns to numbers beside Polars."""
    plan = compile_plan(spec)
    opened = read_labels(history.labels)
    columns = label_columns(spec, opened.schema)
    shards = Shards(folder, plan, 1)
    users, _, _ = shards.split_labels(opened, columns, None, None)
    shards.split_events(EventSource(plan, spec).of_files(matching(history.events)), users, None, bool)
    events, labels = shards.events(0), labels_in(shards.labels(0))
    frames = history_polars.read(history.events, history.labels)

    def ours(_number: int) -> None:
        for one in TrainingRows(plan, threads=os.cpu_count() or 1).answer(events, labels):
            assert len(one.finished.values) == len(one.rows)

    def polars(_number: int) -> None:
        history_polars.with_numbers(*frames)

    ours_s, polars_s, ratio = interleaved(ours, polars, pairs)
    print(
        f"19 numbers, columns to numbers: {ours_s:.2f} s, Polars (event order) {polars_s:.2f} s:"
        f" {ratio:.2f} times as fast"
    )
    return ratio


def copying(spec: LoadedSpec, history: History, folder: Path, pairs: int) -> float:
    """Measure whole rows beside reading the same tables and writing the same rows."""
    make(spec, history, folder / "rows")
    parts = sorted((folder / "rows").glob("*.parquet"))
    rows = [pq.read_table(part) for part in parts]

    def bare(number: int) -> None:
        for path in [*matching(history.events), history.labels]:
            pq.read_table(path)
        for at, table in enumerate(rows):
            pq.write_table(table, folder / f"copy-{number}-{at}.parquet", compression="zstd")

    ours_s, bare_s, ratio = interleaved(lambda number: make(spec, history, folder / f"feed-{number}"), bare, pairs)
    print(
        f"whole rows of the feed example: {ours_s:.2f} s, {history.number_of_labels / ours_s:,.0f} rows/s; reading and"
        f" writing the same tables {bare_s:.2f} s: {1 / ratio:.2f} times as long"
    )
    return 1 / ratio


def main() -> None:
    """Measure, and print."""
    args = arguments(__doc__ or "")
    quick = args.quick
    size = (QUICK_EVENTS, QUICK_USERS, QUICK_LABELS) if quick else (EVENTS, USERS, LABELS)
    pairs = QUICK_PAIRS if quick else PAIRS
    starter = EXAMPLES / "starter"
    numbers = parse_spec(windowed((starter / "user_state.yaml").read_text("utf-8")), beside=starter)
    feed = load_spec(EXAMPLES / "feed" / "user_state.yaml")
    with tempfile.TemporaryDirectory(prefix="bench-history-") as made:
        folder = Path(made)
        for name in ("events", "numbers", "join", "fewer", "feed"):
            (folder / name).mkdir()
        history = write_history(folder / "events", *size)
        print(f"{history.number_of_events:,} events, {size[1]:,} users, {size[2]:,} labels")
        training_ratio = training(numbers, history, folder / "numbers", pairs)
        duckdb_ratio = beside_duckdb(numbers, history, folder / "numbers", pairs)
        join_ratio = join(numbers, history, folder / "join", pairs)
        fewer = write_history(folder / "fewer", *(number // FEED_SHARE for number in size))
        copy_ratio = copying(feed, fewer, folder / "feed", pairs)
    finish(
        args,
        {
            "training_ratio_to_polars": training_ratio,
            "training_ratio_to_duckdb": duckdb_ratio,
            "training_join_ratio_to_polars": join_ratio,
            "training_ratio_to_bare_copy": copy_ratio,
        },
    )


if __name__ == "__main__":
    main()
