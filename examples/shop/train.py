"""A small ranker on training sets of the shop, with fresh features and with those of a day before.

    python -m examples.shop.train ROWS ROWS_OF_THE_DAY_BEFORE PRODUCTS

Both are folders of `user-state training-set` for the same labels, those of the second a day earlier; PRODUCTS is the
file of vectors. Fits a logistic regression to the earlier looks, and prints how well it ranks the later ones: the area
under the ROC curve (AUC), the share of the pairs of a wanted and an unwanted look that it has in the right order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from examples.shop.prepare import DAY_MS

Floats = npt.NDArray[np.float64]
TRAINED_SHARE = 0.7
"""Of the looks, the earliest."""
PENALTY = 10.0
"""Half of it times the squared weights is added to the loss."""
DRAWS = 1000


def main() -> int:
    """Fit and print."""
    parser = argparse.ArgumentParser(description="Rank what visitors look at, with fresh features and with old ones.")
    parser.add_argument("fresh", type=Path, help="the training set of labels.parquet")
    parser.add_argument("stale", type=Path, help="the training set of labels_day_before.parquet")
    parser.add_argument("products", type=Path, help="products.parquet")
    options = parser.parse_args()
    fresh, stale = (pq.read_table(path).sort_by("label_row") for path in (options.fresh, options.stale))
    if fresh["label_row"] != stale["label_row"] or fresh["wanted"] != stale["wanted"]:
        print("error: expected two training sets of the same labels", file=sys.stderr)
        return 2
    vectors = pq.read_table(options.products)
    products = dict(zip(vectors["id"].to_pylist(), vectors["vector"].to_numpy(), strict=True))
    times = fresh["time"].cast(pa.int64()).to_numpy()
    wanted = fresh["wanted"].to_numpy(zero_copy_only=False)
    cut = np.quantile(times, TRAINED_SHARE)
    # What became of a look is known a day after it, so those of the last day could not have been learned from.
    trained, tried = times < cut - DAY_MS, times >= cut
    if not (wanted[trained].any() and wanted[tried].any()):
        print("error: expected looks at what was wanted in both parts of the time", file=sys.stderr)
        return 2
    scores = [ranked(inputs_of(rows, products), wanted, trained)[tried] for rows in (stale, fresh)]
    print(f"fitted to {trained.sum():,} looks, tried on {tried.sum():,} later ones, {wanted[tried].sum():,} wanted")
    for what, odds in zip(("features of a day before", "fresh features"), scores, strict=True):
        print(f"AUC with {what}: {auc(odds, wanted[tried]):.3f}")
    low, high = difference(scores[1], scores[0], wanted[tried])
    print(f"fresh is better by {low:.3f} to {high:.3f} (95 % of {DRAWS:,} draws of the looks)")
    return 0


def inputs_of(rows: pa.Table, products: Mapping[int, Floats]) -> Floats:
    """Return (n, f) inputs of a linear model: the visitor's numbers, and what they say of the product looked at.

    Counts and seconds go in as log(1 + x), and what is missing as 0 with a column that says so.
    """
    numbers = [rows[name].to_numpy() for name in rows.column_names if rows.schema.field(name).type == pa.float32()]
    columns = [*numbers, *_of_product(rows, products)]
    made = np.column_stack(columns).astype(np.float64)
    missing = np.isnan(made)
    made = np.where(missing, 0.0, np.sign(made) * np.log1p(np.abs(made)))
    return np.column_stack([made, missing[:, missing.any(axis=0)]])


def _of_product(rows: pa.Table, products: Mapping[int, Floats]) -> list[Floats]:
    """Return what the visitor's last 50 actions say of the product of each label.

    How many of them are of it, how many times it was put into the cart, the seconds since the last of them, and how
    near it is to the visitor's taste.
    """
    count, cart, seconds, nearness = (np.zeros(len(rows)) for _ in range(4))
    skus, times, recent = (rows[name].to_pylist() for name in ("sku_id", "time", "recent.sku_id"))
    actions, event_times = rows["recent.action"].to_pylist(), rows["recent.time"].to_pylist()
    tastes = np.stack(rows["taste_7d"].combine_chunks().to_numpy(zero_copy_only=False))
    for at, sku in enumerate(skus):
        same = [place for place, one in enumerate(recent[at]) if one == sku]
        count[at] = len(same)
        cart[at] = sum({"cart": 1, "uncart": -1}.get(actions[at][place], 0) for place in same)
        seconds[at] = (times[at] - event_times[at][same[0]]).total_seconds() if same else np.nan
        vector = products.get(sku)
        length = np.linalg.norm(tastes[at])
        nearness[at] = np.nan if vector is None or length == 0 else tastes[at] @ vector / length
    return [count, cart, seconds, nearness]


def ranked(inputs: Floats, wanted: npt.NDArray[np.bool_], trained: npt.NDArray[np.bool_]) -> Floats:
    """Return (n,) log-odds by a logistic regression that is fitted to the rows `trained`, by Newton's method."""
    middle, spread = inputs[trained].mean(axis=0), inputs[trained].std(axis=0)
    x = np.column_stack([(inputs - middle) / np.where(spread > 0, spread, 1.0), np.ones(len(inputs))])
    fitted, y = x[trained], wanted[trained]
    penalty = PENALTY * np.diag([*np.ones(inputs.shape[1]), 0.0])
    weights = np.zeros(x.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-fitted @ weights))
        slope = fitted.T @ (chance - y) + penalty @ weights
        step = np.linalg.solve((fitted.T * (chance * (1 - chance))) @ fitted + penalty, slope)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    odds: Floats = x @ weights
    return odds


def auc(scores: Floats, wanted: npt.NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: Mann and Whitney's U over the number of pairs; a tie counts half."""
    values, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    hits = int(wanted.sum())
    return float((ranks[wanted].sum() - hits * (hits + 1) / 2) / (hits * (len(values[places]) - hits)))


def difference(one: Floats, other: Floats, wanted: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the middle 95 % of the difference of two AUC, over draws of the rows with replacement (bootstrap)."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(DRAWS):
        drawn = rng.integers(0, len(wanted), len(wanted))
        if 0 < wanted[drawn].sum() < len(drawn):
            found.append(auc(one[drawn], wanted[drawn]) - auc(other[drawn], wanted[drawn]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
