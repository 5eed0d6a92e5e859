"""`user-state verify`: says equal where Redis is right, and names what is not."""

import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

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
