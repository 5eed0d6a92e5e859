"""What happened in the shop -> labels for a training set: a visitor looks at a product; is it wanted within a day?

    python -m examples.shop.labels OUT

OUT has the files that `prepare.py` made. Writes OUT/labels.parquet, a row for each look, and
OUT/labels_day_before.parquet, the same looks with times a day earlier: a training set of these has the features that a
job of the night before would have left.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from examples.shop.prepare import DAY_MS

LOOKING, WANTING = "browse", pa.array(["cart", "order"])


def main() -> int:
    """Write the files."""
    parser = argparse.ArgumentParser(description="Write the shop's looks at products, and whether they were wanted.")
    parser.add_argument("out", type=Path, help="the folder that prepare.py wrote to")
    out = parser.parse_args().out
    files = sorted((out / "actions").glob("*.parquet"))
    if not files:
        print(f"error: expected the files that prepare.py makes, got no {out / 'actions'}/*.parquet", file=sys.stderr)
        return 2
    labels = labels_of(pa.concat_tables([pq.read_table(path) for path in files]))
    pq.write_table(labels, out / "labels.parquet")
    earlier = pc.subtract(labels["time"], pa.scalar(DAY_MS, pa.duration("ms")))
    at = labels.column_names.index("time")
    pq.write_table(labels.set_column(at, "time", earlier), out / "labels_day_before.parquet")
    print(f"{len(labels):,} looks at a product, of which {pc.sum(labels['wanted']).as_py():,} led into the cart")
    return 0


def labels_of(actions: pa.Table) -> pa.Table:
    """Return a row for each look, in order of time: user_id, sku_id, time and `wanted`.

    `wanted` says whether the visitor put this product into the cart, or ordered it, less than a day after, or in the
    same millisecond. A label sees no events of its own time, so what it is to predict is never among its features.
    """
    actions = actions.select(["user_id", "sku_id", "time", "action"])
    order = [(name, "ascending") for name in ("time", "user_id", "sku_id")]
    looks = actions.filter(pc.equal(actions["action"], LOOKING)).drop_columns("action").sort_by(order)
    times: dict[tuple[int, int], list[int]] = {}
    for user, sku, time in _rows(actions.filter(pc.is_in(actions["action"], WANTING))):
        times.setdefault((user, sku), []).append(time)
    wanted = [any(0 <= one - time < DAY_MS for one in times.get((user, sku), ())) for user, sku, time in _rows(looks)]
    return looks.append_column("wanted", pa.array(wanted, pa.bool_()))


def _rows(table: pa.Table) -> zip[tuple[int, ...]]:
    columns = (pc.cast(table[name], pa.int64()).to_pylist() for name in ("user_id", "sku_id", "time"))
    return zip(*columns, strict=True)


if __name__ == "__main__":
    sys.exit(main())
