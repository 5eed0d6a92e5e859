"""The 19 windowed numbers of the starter spec by DuckDB's ASOF joins, in order of event time, as `history_polars`.

What a label finds just before it is the running count, or sum, of the user's last event before; a window is the
difference to what is found before its first tile. Each of these is a join of its own: 19 in one query. DuckDB is told
the same rules as Polars: the first copy of an id counts, and late events are not refused.
"""

from __future__ import annotations

from typing import Any

import duckdb

from bench.history_polars import COUNTS, WATCHED, WINDOWS


def training_set(events: str, labels: str, out: str) -> None:
    """Write labels with the 19 numbers, in any order of rows."""
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        connection.execute(
            f"CREATE TEMP TABLE known AS SELECT user_id, action, value, epoch_us(event_time) AS us"
            f" FROM read_parquet('{events}') QUALIFY row_number() OVER (PARTITION BY event_id) = 1"
        )
        connection.execute(f"COPY ({_query(labels)}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def rows(path: str) -> list[tuple[Any, ...]]:
    """Return the numbers of a file, sorted: to be compared with those of another."""
    names = ", ".join(f"coalesce({name}, 0)" for name in _columns() if "mean" not in name and "sum" not in name)
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT user_id, epoch_us(event_time), {names} FROM read_parquet('{path}') ORDER BY ALL"
        ).fetchall()


def _columns() -> list[str]:
    counts = [f"{feature}_count_{window}" for feature, (_, windows) in COUNTS.items() for window in windows]
    return [*counts, *(f"watch_time_{what}_{window}" for window in WATCHED for what in ("sum", "mean"))]


def _query(labels: str) -> str:
    tables, joins, numbers = [], [], []
    for feature, (actions, windows) in COUNTS.items():
        tables.append(_running(feature, f"action IN {actions!r}" if len(actions) > 1 else f"action = '{actions[0]}'"))
        joins.append(_join(feature, feature, "us"))
        for window in windows:
            numbers.append(f"coalesce({feature}.n, 0){_less(feature, window, 'n', joins)} AS {feature}_count_{window}")
    tables.append(_running("watched", "action = 'view' AND value IS NOT NULL"))
    joins.append(_join("watched", "watched", "us"))
    for window in WATCHED:
        total = f"coalesce(watched.total, 0){_less('watched', window, 'total', joins)}"
        count = f"coalesce(watched.n, 0) - coalesce(watched_{window}.n, 0)"
        numbers.append(f"{total} AS watch_time_sum_{window}")
        numbers.append(f"({total}) / nullif({count}, 0) AS watch_time_mean_{window}")
    begins = ", ".join(
        f"(us - {length}) // {tile} * {tile} AS begin_{window}" for window, (length, tile) in WINDOWS.items()
    )
    asked = f"asked AS (SELECT *, {begins} FROM (SELECT *, epoch_us(event_time) AS us FROM read_parquet('{labels}')))"
    cast = ", ".join(f"({text.rpartition(' AS ')[0]})::FLOAT AS {text.rpartition(' AS ')[2]}" for text in numbers)
    return (
        f"WITH {', '.join([asked, *tables])} SELECT l.user_id, l.event_time, l.clicked, {cast} FROM asked l"
        f" {' '.join(joins)}"
    )


def _running(name: str, where: str) -> str:
    """Return the running numbers of a user's events; those of one moment are all in them."""
    over = "OVER (PARTITION BY user_id ORDER BY us)"
    return (
        f"{name}_all AS (SELECT user_id, us, count(*) {over} AS n, sum(value) {over} AS total FROM known WHERE {where})"
    )


def _join(table: str, alias: str, time: str) -> str:
    return f"ASOF LEFT JOIN {table}_all {alias} ON l.user_id = {alias}.user_id AND l.{time} > {alias}.us"


def _less(table: str, window: str, number: str, joins: list[str]) -> str:
    """Return what is subtracted for a window; append its join, unless it is there."""
    if window == "lifetime":
        return ""
    join = _join(table, f"{table}_{window}", f"begin_{window}")
    if join not in joins:
        joins.append(join)
    return f" - coalesce({table}_{window}.{number}, 0)"
