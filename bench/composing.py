"""What it costs to compose embeddings over a table at reading, beside a bare numpy multiply-add of the same vectors.

For each kind: microseconds a user and reading, for one user and for 100 at once, and the ratio to the bare sum of the
same 50 vectors, which knows their rows already: `matrix[rows] * weights` and add. Processor time, which a busy machine
changes least; the kinds take turns. Bytes are what 50 events add to a record; a further kind or half-life over the same
events adds none.

    python bench/composing.py [--quick] [--json]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from bench.report import arguments, finish, percentile
from user_state.embeddings.table import ItemTable
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.reading.features import Reader
from user_state.spec import parse_spec
from user_state.state.events import Events
from user_state.state.records import PackedRecords

ITEMS, DIMENSIONS, LAST = 20_000, 64, 50
NOW_US = 1_800_000_000_000_000
KINDS = {
    "decayed_mean": "kind: decayed_mean",
    "fold_in": "kind: fold_in",
    "interests": "kind: interests, most: 3",
}
HEAD = """
name: composed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
"""


def plan_of(kind: str | None) -> Plan:
    """Return the plan of one embedding over a table of this kind; of a count alone, if None."""
    counted = "features: {all: {aggregate: count, windows: lifetime}}\n"
    if kind is None:
        return compile_plan(parse_spec(HEAD + counted, beside=Path()))
    over = f"of: item_id, vectors: catalogue, half_life: 1h, last: {LAST}"
    embedding = (
        f"embeddings: {{taste: {{{KINDS[kind]}, {over}}}}}\nitems: {{catalogue: {{dimensions: {DIMENSIONS}}}}}\n"
    )
    return compile_plan(parse_spec(HEAD + counted + embedding, beside=Path()))


def records_of(plan: Plan, users: int) -> list[bytes | None]:
    """Return records of users with `LAST` events each."""
    rng = np.random.default_rng(1)
    names = [field.name for field in plan.fields]
    rows = []
    for number in range(users * LAST):
        item = f"item_{int(ITEMS * rng.random() ** 2)}"
        fields = [item if name == "item_id" else None for name in names]
        time_us = NOW_US - int(rng.integers(86_400_000_000))
        rows.append((f"u{number % users}", number * 0x9E3779B97F4A7C15 & 2**64 - 1, time_us, time_us, *fields))
    events = Events.from_rows(plan, rows)
    made, _ = PackedRecords(plan).fold([None] * users, events, np.zeros(users, np.int64), [bytes(8)] * users)
    return made


class Reading:
    """Reads records of a plan, and composes."""

    def __init__(self, plan: Plan, users: int, table: ItemTable) -> None:
        self._reader = Reader(plan, PackedRecords(plan))
        self._records = records_of(plan, users)
        self._vectors = {"catalogue": table}

    def once(self) -> None:
        """Read all once."""
        histories = self._reader.histories(self._records, NOW_US)
        self._reader.features(self._records, NOW_US, histories, self._vectors)


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    rounds = 100 if args.quick else 1_000
    rng = np.random.default_rng(2)
    table = ItemTable([f"item_{n}" for n in range(ITEMS)], rng.normal(size=(ITEMS, DIMENSIONS)).astype(np.float32))
    table.lookup([]), table.gram()
    results: dict[str, float | str | None] = {}
    plain = plan_of(None)
    bare_size = len(records_of(plain, 1)[0] or b"")
    for users in (1, 100):
        chosen = rng.integers(ITEMS, size=(users, LAST))
        weights = rng.random((users, LAST, 1))
        plans = {kind: plan_of(kind) for kind in KINDS}
        readings = {kind: Reading(plan, users, table) for kind, plan in plans.items()}
        nothing = Reading(plain, users, table)
        took: dict[str, list[float]] = {"bare": [], "features": [], **{kind: [] for kind in KINDS}}
        for _ in range(rounds):
            begin = time.process_time()
            (table.vectors[chosen] * weights).sum(axis=1)
            took["bare"].append(time.process_time() - begin)
            begin = time.process_time()
            nothing.once()
            took["features"].append(time.process_time() - begin)
            for kind, reading in readings.items():
                begin = time.process_time()
                reading.once()
                took[kind].append(time.process_time() - begin)
        bare, without = (percentile(took[name], 0.5) for name in ("bare", "features"))
        print(f"{users} users at once: bare numpy {1e6 * bare / users:.1f} us a user")
        for kind, plan in plans.items():
            added = percentile(took[kind], 0.5) - without
            size = len(records_of(plan, 1)[0] or b"") - bare_size
            print(
                f"  {kind:13} {1e6 * added / users:8.1f} us a user, {added / bare:6.1f} x bare; {size:,} bytes a user"
            )
            results[f"compose_ratio_to_numpy_{kind}_{users}"] = added / bare
            results[f"bytes_{kind}"] = float(size)
    finish(args, results)


if __name__ == "__main__":
    main()
