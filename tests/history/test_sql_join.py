"""Counts, sums and means are those of an inequality join in DuckDB, in both orders.

SQL knows no more than docs/history.md says: which events are admitted, which of them a label sees, and that the old
edge of a window is rounded down to its tile. Times are to the minute, so that many events are at a label's microsecond.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from tests.history.files import labels_at, made_events, table_of
from tests.trying import D, H, M, S, spec_of
from user_state import history

WINDOWS = {"10m": (10 * M, 10 * S), "1h": (H, M), "1d": (D, 30 * M)}
"""Length and tile width, microseconds."""
LATENESS, SKEW, RETENTION = D, M, 400 * D
LOADED = spec_of(
    events={
        **{"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "published": "published_at",
    },
    allowed_lateness="1d",
    max_clock_skew="1m",
    retention="400d",
    features={
        "views": {"aggregate": "count", "where": {"action": "view"}, "windows": list(WINDOWS)},
        "worth": {"aggregate": ["sum", "mean"], "of": "value", "windows": list(WINDOWS)},
    },
)
# Of a day's lateness and events that are at most an hour late, what is admitted depends on each event alone; and of
# copies the first to be published counts.
ADMITTED = f"""
CREATE TABLE admitted AS SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY who, id ORDER BY published, time) AS copy FROM events
  WHERE time <= published + {SKEW} AND time >= published - {LATENESS}) WHERE copy = 1
"""
SEEN = {"publish": "e.published < l.asked", "event": "e.time < l.asked"}


def joined(database: duckdb.DuckDBPyConnection, order: str, length_us: int, tile_us: int) -> list[tuple[float, ...]]:
    """Return (views, sum, count of values) of each label."""
    return database.execute(f"""
        SELECT COUNT(*) FILTER (e.action = 'view'), COALESCE(SUM(e.value), 0), COUNT(e.value)
        FROM labels l LEFT JOIN admitted e ON e.who = l.who AND {SEEN[order]}
          AND e.time >= (l.asked - {length_us}) - (l.asked - {length_us}) % {tile_us}
        GROUP BY l.number ORDER BY l.number""").fetchall()


@pytest.mark.slow
@pytest.mark.parametrize("order", ["publish", "event"])
def test_counts_sums_and_means_are_those_of_an_inequality_join(order: str):
    events = made_events(21, 6_000, users=30, span_us=3 * D)
    labels = labels_at(events, 4_000)
    database = duckdb.connect()
    names = {"who": "user_id", "id": "event_id", "time": "event_time", "published": "published_at"}
    names |= {"action": "action", "value": "value"}
    database.register("events", pa.table({to: [one[name] for one in events] for to, name in names.items()}))
    asked = labels["event_time"].cast(pa.int64())
    numbers = pa.array(range(len(labels)))
    database.register("labels", pa.table({"number": numbers, "who": labels["user_id"], "asked": asked}))
    database.execute(ADMITTED)
    found = pa.Table.from_batches(list(history.training_set(LOADED, table_of(events), labels, as_of=order)))
    found = found.sort_by("label_row")
    compared = 0
    for window, (length_us, tile_us) in WINDOWS.items():
        expected = joined(database, order, length_us, tile_us)
        views, total, mean = (
            found[f"{name}_{window}"].to_pylist() for name in ("views_count", "worth_sum", "worth_mean")
        )
        for row, (seen, sum_of, number) in enumerate(expected):
            assert views[row] == (seen or 0)
            assert total[row] == pytest.approx(sum_of)
            if number:
                assert mean[row] == pytest.approx(sum_of / number, rel=1e-6)
                compared += 1
    assert compared > 4_000
