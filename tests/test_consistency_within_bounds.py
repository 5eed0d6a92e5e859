"""Logged answers of outputs that depend on batching beyond their caps are held to the bounds that these state."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.history.files import table_of
from tests.servers.redis import Valkey, running_valkey
from tests.trying import H, M, S, event, spec_of
from user_state.answers.columns import USER
from user_state.answers.log import AnswerLog
from user_state.cli.progress import progress
from user_state.client import UserStateClient
from user_state.consistency.bounds import outputs_with_bounds
from user_state.consistency.compare import EQUAL, IN_FLIGHT, UNEXPLAINED, Report
from user_state.consistency.job import Against, consistency
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.store.redis_store import RedisStateStore

SPEC = spec_of(
    name="capped",
    features={
        "items": {"aggregate": "decayed_count_by", "by": "item_id", "k": 3, "keys": 8, "half_life": "1h"},
        "worth": {"aggregate": ["approx_quantiles", "sum"], "of": "value", "quantiles": [0.5, 0.9], "windows": ["1d"]},
        "different": {"aggregate": "approx_distinct", "of": "item_id", "windows": ["1d"]},
    },
    embeddings={
        "half": {"kind": "decayed_mean", "of": "item_id", "dimensions": 4, "half_life": "1h", "storage": "float16"},
        "whole": {"kind": "decayed_mean", "of": "item_id", "dimensions": 4, "half_life": "1h"},
    },
    events={
        **{"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "published": "published_at",
    },
)
PLAN = compile_plan(SPEC)
USERS, ASKED = 3, 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as one:
        yield one


def lived(server: Valkey, folder: Path, lag: int = 0) -> Path:
    """Fold events of many items in batches by chance, the last `lag` of each time later, while answers are logged."""
    with server.client() as redis:
        redis.flushall()
    chance = random.Random(lag)
    published_us = time.time_ns() // 1000 - 4 * H
    events: list[dict[str, Any]] = []
    decoder = EventDecoder(PLAN, SPEC.schema)
    log = AnswerLog(folder / "served", 1.0)
    with (
        closing(RedisStateStore(server.url, PLAN.name, timeout_s=5)) as store,
        UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client,
    ):
        folding, folded = Folder(PLAN, store), 0
        for turn in range(3 * ASKED):
            for _ in range(chance.randrange(1, 20)):
                published_us += chance.randrange(1, 4 * S)
                happened_us = published_us - chance.choice([0, S, 5 * M, 40 * M])
                item = f"i{int(chance.expovariate(0.05))}"
                fields = {"item_id": item, "value": chance.random() * 100}
                user, name = f"u{chance.randrange(USERS)}", f"e{len(events)}"
                events.append(event(happened_us, user, name, published_at=published_us, **fields))
            now = len(events) - min(lag, len(events) - folded)
            folding.fold([decoder.row(one, one["published_at"]) for one in events[folded:now]])
            folded = now
            published_us += S
            if turn % 3 == 2:
                client.get_many([f"u{at}" for at in range(USERS)], published_us)
    pq.write_table(table_of(events), folder / "events.parquet")
    return folder


def report_of(folder: Path) -> Report:
    against = Against([str(folder / "events.parquet")], within_us=H)
    return consistency(SPEC, folder / "served", against, progress)[0]


def test_which_outputs_may_have_bounds():
    assert outputs_with_bounds(SPEC.spec) == {
        *("items_decayed_count_by_1h", "worth_approx_quantiles_1d", "different_approx_distinct_1d", "half_1h"),
    }


@pytest.mark.parametrize("lag", [0, 4])
def test_what_differs_within_its_bounds_is_explained(server: Valkey, tmp_path: Path, lag: int):
    report = report_of(lived(server, tmp_path, lag))
    assert report.samples == []
    assert report.answers.total() == ASKED * USERS
    assert (report.answers[IN_FLIGHT] > 20) is (lag > 0)
    # Batches matter to these outputs: without the bounds they would be unexplained.
    assert report.within_bounds["items_decayed_count_by_1h"] > 5
    assert report.within_bounds["worth_approx_quantiles_1d"] > 5
    assert set(report.within_bounds) <= outputs_with_bounds(SPEC.spec)
    for name in report.within_bounds:
        assert report.outputs[name, EQUAL] + report.outputs[name, IN_FLIGHT] == ASKED * USERS


BEYOND: dict[str, Callable[[Any], Any]] = {
    "items_decayed_count_by_1h.item_id": lambda old: ["another", *old[1:]],
    "worth_approx_quantiles_1d": lambda old: [old[0] + 60, *old[1:]],
    "half_1h": lambda old: [old[0] + 0.1, *old[1:]],
    "worth_sum_1d": lambda old: old * 1.001,
}


@pytest.mark.parametrize("column", BEYOND)
def test_what_is_beyond_its_bounds_is_unexplained(server: Valkey, tmp_path: Path, column: str):
    folder = lived(server, tmp_path)
    (path,) = (folder / "served").iterdir()
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[-1][column] = BEYOND[column](rows[-1][column])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    report = report_of(folder)
    assert report.answers[UNEXPLAINED] == 1
    assert column.partition(".")[0] in {one.output for one in report.samples}
    assert {one.user for one in report.samples} == {rows[-1][USER]}
