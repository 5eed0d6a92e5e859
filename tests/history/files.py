"""Worlds as files of events, and labels as tables, for tests of training sets."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.trying import T0, D, H, M, S, event, spec_of, text_of
from user_state.oracle import Arrival

UTC = pa.timestamp("us", tz="UTC")
PARTS: dict[str, Any] = {
    "features": {
        "views": {"aggregate": "count", "where": {"action": "view"}, "windows": ["10m", "1h", "1d", "lifetime"]},
        "worth": {"aggregate": ["sum", "mean"], "of": "value", "windows": ["1h", "1d"]},
    },
    "sequences": {"recent": {"fields": ["item_id", "action", "event_time", "value"], "last": 5}},
    "embeddings": {"taste": {"kind": "decayed_mean", "of": "item_id", "dimensions": 8, "half_life": "1h"}},
    "events": {
        **{"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "published": "published_at",
    },
    "retention": "2d",
}
COLUMNS = {
    "event_id": pa.string(),
    "user_id": pa.string(),
    "event_time": UTC,
    "published_at": UTC,
    "action": pa.string(),
    "item_id": pa.string(),
    "value": pa.float64(),
    "amount": pa.int64(),
    "bought": pa.bool_(),
}


def made_events(seed: int, number: int, users: int = 20, span_us: int = 5 * D) -> list[dict[str, Any]]:
    """Return events by chance: late, ahead of their publish time, doubled, tied."""
    chance = random.Random(seed)
    made: list[dict[str, Any]] = []
    for at in range(number):
        if made and chance.random() < 0.05:
            copy = dict(chance.choice(made))
            copy["published_at"] += chance.choice([0, S, M, 3 * H])
            made.append(copy)
            continue
        published = T0 + chance.randrange(span_us // M) * M
        time = published - chance.choice([0, 0, 0, S, 5 * M, H, H + 1, -30 * S, -M - 1])
        made.append(
            event(
                time,
                f"u{chance.randrange(users)}",
                f"e{at}",
                published_at=published,
                action=chance.choice(["view", "like", "skip"]),
                item_id=chance.choice([None, "a", "b", "ü"]),
                value=chance.choice([None, 0.5, 1.0, 2.25]),
            )
        )
    return made


def table_of(events: list[dict[str, Any]]) -> pa.Table:
    """Return events as a table of Arrow's types."""
    return pa.table({name: pa.array([one.get(name) for one in events], kind) for name, kind in COLUMNS.items()})


def write_events(folder: Path, events: list[dict[str, Any]], files: int = 3, row_group: int = 50) -> str:
    """Write events as Parquet; return the pattern."""
    for number in range(files):
        pq.write_table(table_of(events[number::files]), folder / f"events-{number}.parquet", row_group_size=row_group)
    return str(folder / "events-*.parquet")


def labels_at(events: list[dict[str, Any]], number: int, seed: int = 0) -> pa.Table:
    """Return labels at and about the times of events, duplicates and strangers among them."""
    chance = random.Random(seed)
    chosen = [chance.choice(events) for _ in range(number)]
    times = [one["event_time"] + chance.choice([0, 0, 1, S, H, 3 * D]) for one in chosen]
    return pa.table(
        {
            "user_id": [one["user_id"] if chance.random() < 0.95 else "nobody" for one in chosen],
            "event_time": pa.array(times, UTC),
            "clicked": [chance.random() < 0.3 for _ in chosen],
            "note": pa.array([chance.choice(["x", "y", None]) for _ in chosen]).dictionary_encode(),
        }
    )


def arrivals_of(events: list[dict[str, Any]]) -> list[Arrival]:
    """Return events as brute force takes them."""
    return [Arrival(one, None) for one in events]


def write_spec(folder: Path, **parts: Any) -> Path:
    """Write a spec beside its schema; return its path."""
    (folder / "tried.avsc").write_text((Path(__file__).parents[1] / "tried.avsc").read_text("utf-8"), "utf-8")
    path = folder / "spec.yaml"
    path.write_text(text_of(**{**PARTS, **parts}), "utf-8")
    return path


def in_order(table: pa.Table) -> pa.Table:
    """Return rows in the order of their labels."""
    return table.take(pa.array(np.argsort(table["label_row"].to_numpy(), kind="stable")))


LOADED = spec_of(**PARTS)
