"""Files of every kind through the whole pipeline: in order of time, rows refused one by one, and `verify` agrees."""

from __future__ import annotations

import datetime
import gzip
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers.pipeline import Accounting, running_pipeline
from tests.servers.redis import Valkey
from user_state.client import UserStateClient
from user_state.events.avro_files import write_events

pytestmark = pytest.mark.slow

DAY_S = 86_400
FIELDS = [
    {"name": "eid", "type": "string"},
    {"name": "who", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
]
SCHEMA = {"type": "record", "name": "Step", "fields": FIELDS}
SPEC = """name: steps
events: {schema: step.avsc, user: who, id: eid, time: at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 3650d
features: {n: {aggregate: count, windows: lifetime}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "step.avsc").write_text(json.dumps(SCHEMA))
    (tmp_path / "steps.yaml").write_text(SPEC)
    return tmp_path / "steps.yaml"


@pytest.fixture
def first_s() -> int:
    return int(time.time()) - 200 * DAY_S


def run(spec: Path, pattern: str, valkey: Valkey, *more: str) -> tuple[Accounting, str]:
    folder = spec.parent / "dead"
    arguments = ["--spec", spec, "--input", pattern, "--redis", valkey.url, "--dead-letters", folder, *more]
    with running_pipeline(*arguments, output=spec.parent / "run.log") as pipeline:
        return pipeline.wait_for_end(240), pipeline.output


def count(spec: Path, valkey: Valkey, user: str) -> float:
    with UserStateClient.from_url(valkey.url, spec) as client:
        return client.get(user).features["n_count_lifetime"]


def verified(spec: Path, pattern: str, valkey: Valkey) -> str:
    command = ["verify", "--spec", str(spec), "--events", pattern, "--redis", valkey.url]
    ended = subprocess.run(
        [sys.executable, "-m", "user_state.cli.main", *command],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def rows(name: str, times_s: list[int], users: int) -> list[dict[str, Any]]:
    return [{"eid": f"{name}-{n}", "who": f"u{n % users}", "at": at * 10**6} for n, at in enumerate(times_s)]


def test_hundreds_of_files_in_any_order_lose_nothing(tmp_path: Path, spec: Path, valkey: Valkey, first_s: int) -> None:
    """opensearch-project/opensearch-spark#90: daily files with names in no order, topics side by side, an empty one.

    Read side by side, the newest of them makes nearly all of the others too late.
    """
    rng = random.Random(3)
    (tmp_path / "logs").mkdir()
    events = 0
    for number, day in enumerate(rng.sample(range(180), 180)):
        for topic in ("clicks", "orders") if day % 3 else ("clicks",):
            begin = first_s + day * DAY_S
            # Some overlap with the next day.
            made = rows(f"{topic}{day}", sorted(begin + rng.randrange(DAY_S + 7200) for _ in range(60)), 20)
            events += len(made)
            path = tmp_path / "logs" / f"{rng.randrange(10**6)}-{number}-{topic}.avro"
            write_events(path, made, SCHEMA)
            if day % 7 == 0:
                path.with_suffix(".avro.gz").write_bytes(gzip.compress(path.read_bytes()))
                path.unlink()
    write_events(tmp_path / "logs" / "empty.avro", [], SCHEMA)
    pattern = str(tmp_path / "logs" / "*")
    accounting, _ = run(spec, pattern, valkey)
    assert (accounting.read, accounting.applied, accounting.reasons) == (events, events, {})
    assert sum(count(spec, valkey, f"u{n}") for n in range(20)) == events


@pytest.mark.parametrize("ahead_days", [2, 30, 150])
def test_a_row_of_a_wrong_clock_is_refused_alone(
    tmp_path: Path, spec: Path, valkey: Valkey, first_s: int, ahead_days: int
) -> None:
    """apache/metron#1197: one message two days ahead, and all that is right counts as two days old."""
    made = rows("a", [first_s + n * 60 for n in range(1000)], 7)
    made[100]["at"] += ahead_days * DAY_S * 10**6
    write_events(tmp_path / "a.avro", made, SCHEMA)
    accounting, _ = run(spec, str(tmp_path / "a.avro"), valkey)
    assert (accounting.applied, accounting.reasons) == (999, {"from_future": 1})
    assert "all equal" in verified(spec, str(tmp_path / "a.avro"), valkey)


def test_tables_are_read_as_they_are(tmp_path: Path, spec: Path, valkey: Valkey, first_s: int) -> None:
    """Parquet, CSV and JSON lines of three days, with a bad row each but the Parquet."""
    (tmp_path / "logs").mkdir()
    moments = [[first_s + day * DAY_S + n * 400 for n in range(200)] for day in range(3)]
    table = {"eid": [f"p{n}" for n in range(200)], "who": ["u"] * 200, "at": pa.array(moments[0], pa.timestamp("s"))}
    pq.write_table(pa.table(table), tmp_path / "logs" / "z.parquet")
    text = [datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat() for at in moments[1]]
    lines = ["eid,who,at,more", *(f"c{n},u,{at},x" for n, at in enumerate(text)), "c,u,never,x"]
    (tmp_path / "logs" / "y.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    objects = [json.dumps({"eid": f"j{n}", "who": "u", "at": at}) for n, at in enumerate(moments[2])]
    (tmp_path / "logs" / "x.jsonl").write_text("\n".join([*objects, "{"]))
    pattern = str(tmp_path / "logs" / "*")
    accounting, _ = run(spec, pattern, valkey)
    assert (accounting.read, accounting.applied) == (602, 600)
    assert accounting.reasons == {"invalid": 1, "undecodable": 1}
    assert count(spec, valkey, "u") == 600
    assert "all equal" in verified(spec, pattern, valkey)
