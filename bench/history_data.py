"""Made-up history for `bench/history.py`: files of events and of labels, Parquet, the same for the same size.

Events are late (5 %), doubled (2 %) and of clocks ahead (0.5 %). A label is an event's user and time: it asks what was
known just before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILES = 8
BEGIN_US = 1_760_000_000_000_000
S, H, D = 10**6, 3600 * 10**6, 86_400 * 10**6
SPAN_US = 30 * D
ITEMS, CREATORS = 5_000, 500
ACTIONS, SHARES = ("view", "like", "share", "skip"), (0.64, 0.15, 0.05, 0.16)


@dataclass(frozen=True)
class History:
    """Where the files are, and what they hold."""

    events: str
    labels: str
    number_of_events: int
    number_of_labels: int


def write_history(folder: Path, events: int, users: int, labels: int, seed: int = 1, files: int = FILES) -> History:
    """Write the files; return where they are."""
    chance = np.random.default_rng(seed)
    published = np.sort(chance.integers(0, SPAN_US, events)) + BEGIN_US
    times = published - chance.integers(0, 2 * S, events)
    late, ahead = chance.random(events) < 0.05, chance.random(events) < 0.005
    times[late] -= chance.integers(60 * S, 20 * H, int(late.sum()))
    times[ahead] = published[ahead] + chance.integers(1, 240 * S, int(ahead.sum()))
    kind = pa.timestamp("us", "UTC")
    table = pa.table(
        {
            "event_id": _named("e", np.arange(events)),
            "user_id": _named("u", chance.integers(0, users, events)),
            "item_id": _named("i", chance.integers(0, ITEMS, events)),
            "action": pa.array(ACTIONS).take(pa.array(chance.choice(len(ACTIONS), events, p=SHARES))),
            "event_time": pa.array(times, kind),
            "value": pa.array(np.round(60 * chance.random(events), 1), mask=chance.random(events) < 0.05),
            "category": _named("k", chance.integers(0, 20, events)),
            "creator": _named("c", chance.integers(0, CREATORS, events)),
            "surface": pa.nulls(events, pa.string()),
            "published_at": pa.array(published, kind),
        }
    )
    doubled = np.flatnonzero(chance.random(events) < 0.02)
    again = table.take(pa.array(doubled))
    later = pa.array(published[doubled] + chance.integers(0, H, len(doubled)), kind)
    together = pa.concat_tables([table, again.set_column(table.num_columns - 1, "published_at", later)])
    whole = together.sort_by("published_at").combine_chunks()
    size = len(whole) // files + 1
    for file in range(files):
        pq.write_table(whole.slice(file * size, size), folder / f"events-{file}.parquet")
    chosen = pa.array(chance.integers(0, events, labels))
    asked = table.select(["user_id", "event_time"]).take(chosen)
    pq.write_table(asked.append_column("clicked", pa.array(chance.random(labels) < 0.1)), folder / "labels.parquet")
    return History(str(folder / "events-*.parquet"), str(folder / "labels.parquet"), len(whole), labels)


def _named(letter: str, numbers: np.ndarray) -> pa.Array:
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(letter, pa.array(numbers).cast(pa.string()), "")
