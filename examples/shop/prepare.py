"""The shop's raw files -> what the spec asks for: a Parquet file of actions a day, and a table of product vectors.

    python -m examples.shop.prepare RAW OUT

RAW is `demo/jd-recommendation/data` of a clone of github.com/4paradigm/OpenMLDB. What is needed of it:

    bo_action/*.parquet     pair_id "user_product", time in ms, type of action 1 to 6, model_id, cate, br
    bo_product/*.parquet    sku_id, and three attributes a1, a2, a3: 1 to 3, or -1 for none

An export of your own has these columns already, and needs nothing of this.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KINDS = pa.array(["browse", "cart", "uncart", "order", "follow", "click"])
"""The types of action, from 1."""
DAY_MS = 86_400_000
DIMENSIONS = 32


def main() -> int:
    """Write the files."""
    parser = argparse.ArgumentParser(description="Write a Parquet file of actions a day, and one of product vectors.")
    parser.add_argument("raw", type=Path, help="demo/jd-recommendation/data of a clone of 4paradigm/OpenMLDB")
    parser.add_argument("out", type=Path, help="the folder of the files to write")
    options = parser.parse_args()
    try:
        actions = actions_of(_read(options.raw, "bo_action"), _read(options.raw, "bo_product"))
    except FileNotFoundError as exc:
        print(f"error: expected the raw files in {options.raw}: {exc}", file=sys.stderr)
        return 2
    files = write_days(actions, options.out / "actions")
    products = product_vectors(actions)
    pq.write_table(products, options.out / "products.parquet")
    print(f"{options.out}: {len(actions):,} actions in {files} files, and vectors of {len(products):,} products")
    return 0


def _read(raw: Path, name: str) -> pa.Table:
    found = sorted((raw / name).glob("*.parquet"))
    if not found:
        raise FileNotFoundError(f"no {name}/*.parquet")
    return pa.concat_tables([pq.read_table(path) for path in found])


def actions_of(raw: pa.Table, products: pa.Table) -> pa.Table:
    """Return the actions in order of time, with the columns of `action.avsc`."""
    raw = raw.sort_by("time")
    pair = pc.split_pattern(raw["pair_id"], "_").combine_chunks()
    sku = pc.list_element(pair, 1)
    page = pc.if_else(pc.equal(raw["model_id"], ""), None, raw["model_id"])
    # The export has no id of an action; what the row says is one, since no two rows say the same.
    ids = pc.binary_join_element_wise(
        raw["pair_id"], pc.cast(raw["time"], pa.string()), raw["type"], raw["model_id"], "_"
    )
    return pa.table(
        {
            "event_id": ids,
            "user_id": pc.cast(pc.list_element(pair, 0), pa.int64()),
            "sku_id": pc.cast(sku, pa.int64()),
            "time": pc.cast(raw["time"], pa.timestamp("ms", tz="UTC")),
            "action": pc.take(KINDS, pc.subtract(pc.cast(raw["type"], pa.int32()), 1)),
            "category": pc.cast(raw["cate"], pa.int32()),
            "brand": pc.cast(raw["br"], pa.int32()),
            "page": pc.cast(page, pa.int32()),
            "tags": _tags(sku, products),
        }
    )


def _tags(sku: pa.Array, products: pa.Table) -> pa.Array:
    """Return each action's product's attributes, such as ["a1:3", "a2:1"]."""
    tags = {
        row["sku_id"]: [f"{name}:{row[name]}" for name in ("a1", "a2", "a3") if row[name] != "-1"]
        for row in products.to_pylist()
    }
    return pa.array([tags.get(one, []) for one in sku.to_pylist()], pa.list_(pa.string()))


def write_days(actions: pa.Table, out: Path) -> int:
    """Write a file for each day, UTC; return how many."""
    out.mkdir(parents=True, exist_ok=True)
    day = pc.divide(pc.cast(actions["time"], pa.int64()), DAY_MS)
    days = pc.unique(day).to_pylist()
    for one in days:
        of_day = actions.filter(pc.equal(day, one))
        pq.write_table(of_day, out / f"{of_day['time'][0].as_py():%Y-%m-%d}.parquet")
    return len(days)


def product_vectors(actions: pa.Table) -> pa.Table:
    """Return a vector for each product: where category, brand and tags are alike, vectors are alike.

    A shop with a model has vectors of its own. These stand in for them: the mean of a fixed random vector for each of a
    product's properties, of length 1.
    """
    properties = {
        row["sku_id"]: [f"category:{row['category']}", f"brand:{row['brand']}", *row["tags"]]
        for row in actions.select(["sku_id", "category", "brand", "tags"]).to_pylist()
    }
    vectors = [_mean(map(_random, texts)) for texts in properties.values()]
    return pa.table({"id": list(properties), "vector": pa.array(vectors, pa.list_(pa.float32()))})


def _random(text: str) -> npt.NDArray[np.float64]:
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIMENSIONS)


def _mean(vectors: Iterable[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    total: npt.NDArray[np.float64] = np.sum(list(vectors), axis=0)
    return total / np.linalg.norm(total)


if __name__ == "__main__":
    sys.exit(main())
