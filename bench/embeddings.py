"""What each kind of embedding costs: microseconds an event, bytes a user, beside a bare numpy multiply-add.

    python bench/embeddings.py [--quick] [--json]

update    from record bytes and event rows to record bytes again, as a pipeline does it (docs/design/native.md).
          Batches of 1,000 events; a batch's users are whoever acted. Users have 20 events before. Less what a record
          costs that keeps no embedding but counts events once, which is the line `none`
read      from record bytes to what is served, 500 records at a time, less the same of `none`; bench/composing.py has
          those over a table
bytes     what the median user's record takes more than that of `none`
numpy     S *= 2^-(age/H); S += w v for the same events, users, half-lives and vectors, one event after the other,
          float32 in one array of all users: no records, no bytes, no duplicates, nothing late

Processor time, in one process; compare within a run. 128 dimensions, three half-lives.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too


from bench.report import arguments, finish
from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.reading.features import Reader
from user_state.spec import parse_spec
from user_state.state.events import EventRow, Events
from user_state.state.records import PackedRecords

DIMENSIONS, HALF_LIVES = 128, ("10m", "1d", "7d")
HALF_LIVES_S = np.array([600.0, 86_400.0, 604_800.0], np.float32)
WEIGHTS = {"view": 1.0, "like": 3.0, "share": 5.0}
SETTINGS: dict[str, Any] = {"of": "item_id", "half_life": list(HALF_LIVES), "weights": WEIGHTS}
HASHED = {"dimensions": DIMENSIONS}
TABLE = {"vectors": "catalogue"}
KINDS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "decayed_mean": HASHED,
    "decayed_mean float16": {**HASHED, "storage": "float16"},
    "decayed_sum": HASHED,
    "decayed_sum unit": {**HASHED, "normalise": "unit"},
    "recent_items": {},
    "decayed_mean of a table": TABLE,
    "fold_in": TABLE,
    "interests": TABLE,
}
"""Name, whose first word is the kind -> its settings."""
HEAD = {
    "name": "bench",
    "events": {"schema": "interaction.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
    "allowed_lateness": "1d",
    "max_clock_skew": "5m",
    "retention": "90d",
    "features": {"events": {"aggregate": "count", "windows": "lifetime"}},
}
BEGIN_US, SECOND_US = 1_700_000_000_000_000, 1_000_000
BATCH, READ, PAST, ITEMS = 1_000, 500, 20, 5_000
Act = tuple[int, int, int, str]
"""User, time in microseconds, item, action."""


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    users, batches = (1_000, 2) if args.quick else (4_000, 12)
    past, coming = acts(users * PAST, users, 0), acts(batches * BATCH, users, 86_400 * 3)
    numpy_us = multiply_add(coming, users)
    print(f"{DIMENSIONS} dimensions, half-lives {', '.join(HALF_LIVES)}, {users:,} users, {len(coming):,} events")
    print(f"numpy alone: {numpy_us:.1f} us an event\n")
    print(f"{'kind':26}{'update us':>11}{'of numpy':>10}{'read us':>9}{'bytes':>8}")
    base_update = base_read = base_bytes = 0.0
    results: dict[str, float | str | None] = {"numpy_us": numpy_us}
    for name, settings in KINDS.items():
        update, read, size = measure(plan_of(name.split(maxsplit=1)[0], settings), past, coming)
        if settings is None:
            base_update, base_read, base_bytes = update, read, size
            print(f"{name:26}{update:11.1f}{'':10}{read:9.1f}{size:8,.0f}")
            continue
        ratio = (update - base_update) / numpy_us
        read_us = _or_dash(read - base_read)
        print(f"{name:26}{update - base_update:11.1f}{ratio:10.2f}{read_us:>9}{size - base_bytes:8,.0f}")
        label = name.replace(" ", "_")
        results[f"update_ratio_to_numpy_{label}"] = ratio
        results[f"bytes_a_user_{label}"] = size - base_bytes
    finish(args, results)


def _or_dash(number: float) -> str:
    return "-" if math.isnan(number) else f"{number:.1f}"


def acts(count: int, users: int, after_s: int) -> list[Act]:
    """Return what users do over three days from `after_s` on, in order; few items are liked by many."""
    rng = np.random.default_rng(after_s)
    times = np.sort(rng.integers(0, 86_400 * 3, count) + after_s) * SECOND_US + BEGIN_US
    items = (ITEMS * rng.random(count) ** 3).astype(np.int64)
    actions = rng.choice(list(WEIGHTS), count, p=[0.8, 0.15, 0.05])
    who = rng.integers(0, users, count)
    return list(zip(who.tolist(), times.tolist(), items.tolist(), actions.tolist(), strict=True))


def multiply_add(coming: Sequence[Act], users: int) -> float:
    """Return the microseconds an event that a loop of numpy takes, vectors looked up by item."""
    vectors = hashed_vectors([f"item{i}" for i in range(ITEMS)], DIMENSIONS).astype(np.float32)
    sums = np.zeros((users, len(HALF_LIVES), DIMENSIONS), np.float32)
    last_s = np.full(users, BEGIN_US // SECOND_US, np.float64)
    begin = time.process_time()
    for user, time_us, item, action in coming:
        state = sums[user]
        time_s = time_us / SECOND_US
        state *= np.exp2(np.float32(last_s[user] - time_s) / HALF_LIVES_S)[:, None]
        state += WEIGHTS[action] * vectors[item]
        last_s[user] = time_s
    return (time.process_time() - begin) / len(coming) * 1e6


def plan_of(kind: str, settings: dict[str, Any] | None) -> Plan:
    """Return the plan of a spec with one embedding beside a count, or none."""
    parts = dict(HEAD)
    if settings is not None:
        parts["embeddings"] = {"e": {"kind": kind, **SETTINGS, **settings}}
        if "vectors" in settings:
            parts["items"] = {settings["vectors"]: {"dimensions": DIMENSIONS}}
    return compile_plan(parse_spec(yaml.safe_dump(parts), beside=Path()))


def measure(plan: Plan, past: Sequence[Act], coming: Sequence[Act]) -> tuple[float, float, float]:
    """Return (microseconds to update by an event, to read a record, bytes of the median record)."""
    blobs: dict[str, bytes] = {}
    packed = PackedRecords(plan)
    for begin in range(0, len(past), BATCH):
        fold(packed, plan, blobs, rows_of(plan, past[begin : begin + BATCH], begin))
    updates = []
    for begin in range(0, len(coming), BATCH):
        rows = rows_of(plan, coming[begin : begin + BATCH], len(past) + begin)
        updates.append(timed(lambda rows=rows: fold(packed, plan, blobs, rows)) / len(rows))
    chosen = list(blobs.values())[:READ]

    reader = Reader(plan, packed)

    def read() -> None:
        reader.features(chosen, coming[-1][1] + SECOND_US)

    reading = math.nan if plan.item_tables else min(timed(read) for _ in range(3)) / len(chosen)
    return float(np.median(updates)) * 1e6, reading * 1e6, float(np.median([len(blob) for blob in blobs.values()]))


def rows_of(plan: Plan, acts: Sequence[Act], first: int) -> list[EventRow]:
    """Return acts as rows of a plan."""
    rows = []
    for number, (user, time_us, item, action) in enumerate(acts, first):
        values = {"item_id": f"item{item}", "action": action, "event_time": time_us}
        fields = (values[field.name] for field in plan.fields)
        rows.append((f"user{user}", number * 0x9E3779B97F4A7C15 % 2**64, time_us, time_us, *fields))
    return rows


def fold(packed: PackedRecords, plan: Plan, blobs: dict[str, bytes], rows: list[EventRow]) -> None:
    """Fold rows into the records of their users, from bytes to bytes."""
    events = Events.from_rows(plan, rows)
    held = [blobs.get(user) for user in events.users]
    none = np.zeros(len(held), np.int64)
    folded, _ = packed.fold(held, events, none, [bytes(8)] * len(held))
    blobs.update((user, blob) for user, blob in zip(events.users, folded, strict=True) if blob is not None)


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that `work` took."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
