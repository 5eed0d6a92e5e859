"""Answers that are composed of item vectors are compared with the versions that they say they were composed of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.history.files import table_of
from tests.servers.redis import Valkey, running_valkey
from tests.trying import M, event, spec_of
from user_state.answers.log import AnswerLog
from user_state.cli.progress import progress
from user_state.client import UserStateClient
from user_state.consistency.compare import EQUAL, UNEXPLAINED, Report
from user_state.consistency.job import Against, consistency
from user_state.embeddings.table import ItemTable
from user_state.errors import InputError
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.store.item_tables import ItemTableStore
from user_state.store.redis_store import RedisStateStore

SPEC = spec_of(
    name="composed",
    embeddings={"near": {"kind": "decayed_mean", "of": "item_id", "vectors": "shelf", "last": 5, "half_life": "1h"}},
    items={"shelf": {"dimensions": 2}},
    events={
        **{"schema": "tried.avsc", "user": "user_id", "id": "event_id", "time": "event_time"},
        "published": "published_at",
    },
)
PLAN = compile_plan(SPEC)
FIRST, SECOND = (ItemTable(["a", "b"], np.array([[one, 2], [3, one]], np.float32)) for one in (1, 7))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as one:
        yield one


@pytest.fixture
def world(server: Valkey, tmp_path: Path) -> Path:
    """A folder with events, and answers to four users before a table is loaded, and by each of two versions."""
    with server.client() as redis:
        redis.flushall()
    now_us = time.time_ns() // 1000
    times = [now_us - (12 - at) * M for at in range(12)]
    events = [event(us, f"u{at % 4}", f"e{at}", published_at=us, item_id="ab"[at % 2]) for at, us in enumerate(times)]
    pq.write_table(table_of(events), tmp_path / "events.parquet")
    decoder = EventDecoder(PLAN, SPEC.schema)
    with closing(RedisStateStore(server.url, PLAN.name, timeout_s=5)) as store:
        Folder(PLAN, store).fold([decoder.row(one, one["published_at"]) for one in events])
    for table in (None, FIRST, SECOND):
        if table is not None:
            with ItemTableStore(server.url, PLAN.name) as tables:
                tables.load("shelf", table, at_us=0)
        log = AnswerLog(tmp_path / "served", 1.0)
        with UserStateClient.from_url(server.url, SPEC, timeout_s=5, log=log) as client:
            client.get_many([f"u{at}" for at in range(4)], now_us)
    return tmp_path


def report_of(world: Path, *tables: ItemTable) -> Report:
    against = Against([str(world / "events.parquet")], tables={"shelf": tables} if tables else {})
    return consistency(SPEC, world / "served", against, progress)[0]


def test_each_answer_is_compared_with_its_own_version(world: Path):
    report = report_of(world, FIRST, SECOND)
    assert (report.answers, report.samples) == ({EQUAL: 8}, [])
    assert report.left_out["composed of the table shelf before one was loaded, which --items does not name"] == 4


def test_answers_of_a_version_that_is_not_given_are_counted_and_not_compared_with_another(world: Path):
    report = report_of(world, SECOND)
    assert (report.answers, report.samples) == ({EQUAL: 4}, [])
    assert report.left_out[f"composed of version {FIRST.version} of the table shelf, which --items does not name"] == 4


def test_a_table_that_no_file_is_named_of_is_asked_for(world: Path):
    with pytest.raises(InputError, match="answers are composed of shelf: name the file of each version"):
        report_of(world)


def test_an_answer_that_says_another_version_than_it_was_composed_of_is_unexplained(world: Path):
    for path in (world / "served").iterdir():
        table = pq.read_table(path)
        texts = [text.replace(FIRST.version, SECOND.version) for text in table["served.item_versions"].to_pylist()]
        at = table.column_names.index("served.item_versions")
        pq.write_table(table.set_column(at, "served.item_versions", pa.array(texts)), path)
    report = report_of(world, FIRST, SECOND)
    assert report.answers[UNEXPLAINED] == 4
    assert {one.output for one in report.samples} == {"near_1h"}
