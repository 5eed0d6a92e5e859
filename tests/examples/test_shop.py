"""The shop's walk-through works on rows of the same shape, made up here; the shop's own are in nobody's repository."""

from __future__ import annotations

import datetime
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from examples.shop.labels import labels_of
from examples.shop.prepare import DAY_MS
from examples.shop.run import README, REPOSITORY, steps
from examples.shop.train import auc, ranked

VISITOR = "234519"
AS_OF = datetime.datetime(2016, 4, 10, 14, 30, tzinfo=datetime.UTC)
BROWSE, CART, UNCART, ORDER, CLICK = "1", "2", "3", "4", "6"
MADE_OF_VISITOR = [
    # minutes before AS_OF, product, type, page
    (5, 95850, CLICK, "217"),
    (6, 95850, CART, ""),
    (7, 95850, BROWSE, ""),
    (200, 95850, CLICK, "26"),
    (3 * 1440, 777, CLICK, "216"),
    (20 * 1440, 777, UNCART, ""),
    (40 * 1440, 777, BROWSE, ""),
]

LOOKS = [
    # visitor, minutes before AS_OF, product, type, page: every other one of these looks leads into the cart.
    action
    for number in range(40)
    for action in [
        (300_000 + number, 1000 * number + 30, number, CLICK, "0"),
        (300_000 + number, 1000 * number + 20, number, BROWSE, ""),
        (300_000 + number, 1000 * number + 10, number, CART if number % 2 else CLICK, ""),
    ]
]


def made(folder: Path) -> Path:
    """Write raw files of a few hundred actions; those of VISITOR are MADE_OF_VISITOR."""
    rng = random.Random(1)
    products = {95850: (8, 800), 777: (7, 489)} | {sku: (rng.randrange(4, 10), rng.randrange(900)) for sku in range(60)}
    actions = [(int(VISITOR), *action) for action in MADE_OF_VISITOR]
    actions += [
        (rng.choice([222248, *range(200_000, 200_030)]), rng.randrange(5, 60 * 1440), rng.choice(list(products)),
         rng.choice([BROWSE, CART, UNCART, ORDER, "5", CLICK, CLICK]), rng.choice(["", "0", "216"]))
        for _ in range(600)
    ]  # fmt: skip
    actions += LOOKS
    rng.shuffle(actions)
    rows = [
        {
            "ingestionTime": None,
            "pair_id": f"{user}_{sku}",
            "time": int(AS_OF.timestamp() * 1000) - minutes * 60_000,
            "model_id": page,
            "type": kind,
            "cate": str(products[sku][0]),
            "br": str(products[sku][1]),
        }
        for user, minutes, sku, kind, page in actions
    ]
    attributes: list[dict[str, Any]] = [
        {"sku_id": str(sku), "a1": "1", "a2": rng.choice(["1", "2"]), "a3": rng.choice(["-1", "1"])}
        for sku in products
        if sku != 777
    ]
    for name, table in (("bo_action", rows), ("bo_product", attributes)):
        (folder / name).mkdir()
        pq.write_table(pa.Table.from_pylist(table), folder / name / f"{name}.parquet")
    return folder


def run(raw: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.shop.run", str(raw)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "140"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.server
def test_the_walk_from_raw_files_to_features_works_and_is_right(tmp_path: Path) -> None:
    raw = made(tmp_path)
    ended = run(raw)
    assert ended.returncode == 0, ended.stdout
    events = len(MADE_OF_VISITOR) + len(LOOKS) + 600
    assert "user_state.yaml: ok. 12 features, 1 sequences, 1 embeddings of events of shop.Action" in ended.stdout
    assert f"read {events} = applied {events} + duplicate 0" in ended.stdout
    assert re.search(r"values of \d+ users at 2016-04-10T15:46:13Z: all equal", ended.stdout)
    shown = ended.stdout.split(f"{VISITOR}  as of 2016-04-10T14:30:00Z")[1]
    # Worked out by hand from MADE_OF_VISITOR.
    for line in (
        "actions_count 3 4 5 6",
        "actions_recency 300 300 300 300",
        "carts_count 1 1 1",
        "orders_count 0",
        "products_distinct 1 2",
        "deep_clicks_count 2",
        "best_tag_count 0 0",
        "categories_count_by_30d: 8: 4, 7: 2",
        "tags_count_by_30d: ",
        "recent.action: click, cart, browse, click, click, uncart, browse",
    ):
        assert line in re.sub(" +", " ", shown)
    assert "[ True  True False]" in ended.stdout
    assert_labels_are_what_followed(raw, ended.stdout)
    assert re.search(r"AUC with features of a day before: 0\.\d{3}\nAUC with fresh features: 0\.\d{3}\n", ended.stdout)
    (page,) = re.findall(rf"^```text\n{VISITOR} .*?^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names = re.findall(r"^ *([a-z]+_[a-z0-9_.]+)(?: |:)", page, re.MULTILINE)
    assert len(names) > 12
    for name in names:
        assert f"\n{name}" in shown or f"\n  {name}:" in shown


def assert_labels_are_what_followed(raw: Path, printed: str) -> None:
    """Compare the numbers of labels with those counted over pairs of raw rows."""
    rows = pq.read_table(raw / "bo_action").to_pylist()
    looks = [row for row in rows if row["type"] == BROWSE]
    wanted = [
        any(
            row["pair_id"] == look["pair_id"]
            and row["type"] in (CART, ORDER)
            and 0 <= row["time"] - look["time"] < DAY_MS
            for row in rows
        )
        for look in looks
    ]
    assert f"{len(looks):,} looks at a product, of which {sum(wanted):,} led into the cart" in printed
    assert sum(wanted) >= 20


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, wanted = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.3
    pairs = [(one, other) for one in scores[wanted] for other in scores[~wanted]]
    right = sum((one > other) + 0.5 * (one == other) for one, other in pairs)
    assert auc(scores, wanted) == pytest.approx(right / len(pairs))


def test_a_regression_finds_the_weights_that_labels_were_drawn_by() -> None:
    rng = np.random.default_rng(7)
    inputs = rng.normal(size=(20_000, 3))
    odds = inputs @ [1.5, -0.5, 0.0] - 1.0
    wanted = rng.random(20_000) < 1 / (1 + np.exp(-odds))
    trained = np.arange(20_000) < 15_000
    assert np.corrcoef(ranked(inputs, wanted, trained)[~trained], odds[~trained])[0, 1] > 0.99


@pytest.mark.parametrize(("after_ms", "wanted"), [(-1, False), (0, True), (DAY_MS - 1, True), (DAY_MS, False)])
def test_a_look_is_wanted_if_the_cart_follows_within_a_day(after_ms: int, wanted: bool) -> None:
    at = 1_460_000_000_000
    actions = [(1, 7, at, "browse"), (1, 7, at + after_ms, "cart"), (1, 8, at, "cart"), (2, 7, at, "order")]
    columns = dict(zip(("user_id", "sku_id", "time", "action"), map(list, zip(*actions, strict=True)), strict=True))
    columns["time"] = pa.array(columns["time"], pa.timestamp("ms", "UTC"))
    assert labels_of(pa.table(columns))["wanted"].to_pylist() == [wanted]


@pytest.mark.slow
def test_another_folder_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.returncode == 2
    assert f"error: expected the raw files in {tmp_path}: no bo_action/*.parquet" in ended.stdout
    assert "Traceback" not in ended.stdout


def test_every_numbered_step_of_the_page_is_typed() -> None:
    numbers = re.findall(r"^## (\d)\. ", README.read_text("utf-8"), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert [heading[0] for heading, _ in steps(README.read_text("utf-8"))] == numbers[1:]  # the first gets the files
