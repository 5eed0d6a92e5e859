"""`user-state verify`: says equal where Redis is right, and names what is not."""

import json
import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import fastavro
import pytest
import yaml

from user_state.events.avro_files import interaction_schema, write_events
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.store.redis_store import RedisStateStore

SPEC = str(Path(__file__).parents[2] / "examples" / "starter" / "user_state.yaml")


def user_state(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "user_state.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def folded(valkey, tmp_path):
    """A file of events, already run into Redis."""
    traffic = str(tmp_path / "traffic.avro")
    user_state("generate", "--users", "50", "--events", "2000", "--duplicates", "0.05", "--out", traffic)
    dead = str(tmp_path / "dead-letters")
    ran = user_state("run", "--spec", SPEC, "--input", traffic, "--redis", valkey.url, "--dead-letters", dead)
    assert ran.returncode == 0, ran.stderr
    return traffic


def test_what_the_pipeline_wrote_is_verified(valkey, folded):
    verified = user_state("verify", "--spec", SPEC, "--events", folded, "--redis", valkey.url)
    assert verified.returncode == 0, verified.stderr
    assert "all equal" in verified.stdout
    assert "applied 1,900, duplicate 100" in verified.stdout


def test_records_missing_tampered_with_and_of_strangers_are_named_worst_first_and_fail(valkey, folded):
    loaded = load_spec(SPEC)
    with valkey.client() as client:
        lost, touched, *_ = sorted(key.decode()[6:-7] for key in client.scan_iter("feed:*:state"))
        client.copy(f"feed:{{{lost}}}:state", "feed:{a stranger%}:state")
        client.delete(f"feed:{{{lost}}}:state")
    now_us = time.time_ns() // 1000
    one_more = {"event_id": "smuggled", "user_id": touched, "item_id": "i", "action": "view", "event_time": now_us}
    with closing(RedisStateStore(valkey.url, "feed", timeout_s=5)) as store:
        folder = Folder(plan := compile_plan(loaded), store)
        decoder = EventDecoder(plan, loaded.schema)
        folder.fold([decoder.row(decoder.decode(decoder.encode({**one_more, "value": 1e6})), now_us)])
    verified = user_state("verify", "--spec", SPEC, "--events", folded, "--redis", valkey.url)
    assert verified.returncode == 1, verified.stderr
    _, *lines, summary = verified.stdout.splitlines()
    assert {
        "a stranger% record: expected 'missing', got 'present'",
        f"{lost} record: expected 'present', got 'missing'",
    } <= set(lines)
    assert {line.split(" ")[0] for line in lines} == {"a", lost, touched}
    # Worst first: what cannot be compared, then what is far off.
    off = [
        (number, float(found[1])) for number, line in enumerate(lines) if (found := re.search(r"\((\S+) % off", line))
    ]
    assert len(off) > 1
    assert [size for _, size in off] == sorted((size for _, size in off), reverse=True)
    assert off[0][0] > max(number for number, line in enumerate(lines) if " record: " in line)
    assert summary.endswith(f"{len(lines)} differ")


def test_events_that_do_not_exist_are_a_users_mistake(valkey, tmp_path):
    verified = user_state("verify", "--spec", SPEC, "--events", str(tmp_path / "none.avro"), "--redis", valkey.url)
    assert verified.returncode == 2
    assert "matches no file" in verified.stderr


SOME_USER, SOME_EVENT = "0b5e2b3a-6f5f-4f0e-9d0c-0a6f3a1e9a10", "7c9e6679-7425-40de-944b-e07fc1f90a{:02x}"
LOGICAL_TYPES = {
    "day": ("int", "date"),
    "clock_ms": ("int", "time-millis"),
    "clock_us": ("long", "time-micros"),
    "seen_ms": ("long", "timestamp-millis"),
    "seen_us": ("long", "timestamp-micros"),
    "local_ms": ("long", "local-timestamp-millis"),
    "local_us": ("long", "local-timestamp-micros"),
    "session": ("string", "uuid"),
}
LOGICAL_SPEC = {
    "name": "logical",
    "events": {"schema": "logical.avsc", "user": "user", "id": "id", "time": "at"},
    "allowed_lateness": "1d",
    "max_clock_skew": "5m",
    "retention": "90d",
    "features": {
        "last": {"aggregate": ["last", "max"], "of": "day", "windows": "7d"},
        "of_session": {"aggregate": "count_by", "by": "session", "windows": "7d"},
        "known": {"aggregate": "distinct", "of": "seen_ms", "windows": "7d"},
    },
    "sequences": {"recent": {"fields": list(LOGICAL_TYPES), "last": 5}},
}


@pytest.fixture
def logical(tmp_path):
    """A spec and a file of events with a field of every logical type, users and ids UUIDs."""

    def typed(kind, logical_type):
        return {"type": kind, "logicalType": logical_type}

    fields = [{"name": name, "type": typed("string", "uuid")} for name in ("user", "id")]
    fields += [{"name": "at", "type": typed("long", "timestamp-millis")}]
    fields += [{"name": name, "type": ["null", typed(*parts)]} for name, parts in LOGICAL_TYPES.items()]
    schema = {"type": "record", "name": "Logical", "fields": fields}
    (tmp_path / "logical.avsc").write_text(json.dumps(schema))
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(LOGICAL_SPEC))
    now_ms = time.time_ns() // 1_000_000
    made = []
    for number in range(20):
        event = {"user": SOME_USER, "id": SOME_EVENT.format(number), "at": now_ms - 1000 * number}
        values = {name: 1000 * number if kind != "string" else SOME_USER for name, (kind, _) in LOGICAL_TYPES.items()}
        made.append({**event, **(values if number else dict.fromkeys(LOGICAL_TYPES))})
    with (tmp_path / "events.avro").open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), made)
    return tmp_path


def test_events_with_fields_of_every_logical_type_are_judged_and_compared_as_run_read_them(valkey, logical):
    common = ("--spec", str(logical / "spec.yaml"), "--redis", valkey.url)
    events = str(logical / "events.avro")
    ran = user_state("run", *common, "--input", events, "--dead-letters", str(logical / "dead"))
    assert "read 20 = applied 20" in ran.stderr
    verified = user_state("verify", *common, "--events", events)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "applied 20, " in verified.stdout
    assert "all equal" in verified.stdout


def test_a_verify_that_compared_nothing_says_why_and_fails(valkey, tmp_path):
    """Source: datafold/data-diff#449, pgcopydb#1046: an empty comparison must neither pass nor look as one that did."""
    empty, invalid = tmp_path / "empty.avro", tmp_path / "invalid.avro"
    write_events(empty, [], interaction_schema())
    nobody = {"event_id": "e", "user_id": "", "item_id": "i", "action": "view", "event_time": time.time_ns() // 1000}
    write_events(invalid, [nobody] * 3, interaction_schema())
    common = ("--spec", SPEC, "--redis", valkey.url)
    for events, why in (
        (empty, "nothing was compared: the files hold no event"),
        (invalid, "nothing was compared: no event is applied, of 3 most are dead_letter/invalid (3)"),
    ):
        verified = user_state("verify", *common, "--events", str(events))
        assert verified.returncode == 1, verified.stdout + verified.stderr
        assert why in verified.stdout
        assert "all equal" not in verified.stdout


def test_a_verify_of_a_redis_without_the_records_compared_nothing(valkey, tmp_path):
    traffic = str(tmp_path / "traffic.avro")
    user_state("generate", "--users", "5", "--events", "50", "--out", traffic)
    verified = user_state("verify", "--spec", SPEC, "--events", traffic, "--redis", valkey.url)
    assert verified.returncode == 1
    assert "record: expected 'present', got 'missing'" in verified.stdout
    assert "nothing was compared: no record of the " in verified.stdout
