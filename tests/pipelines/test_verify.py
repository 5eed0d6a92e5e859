"""`user-state verify`: says equal where Redis is right, and names what is not."""

import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_record_that_is_missing_is_named_and_fails(valkey, folded):
    with valkey.client() as client:
        lost = next(client.scan_iter("feed:*:state"))
        client.delete(lost)
    verified = user_state("verify", "--spec", SPEC, "--events", folded, "--redis", valkey.url)
    assert verified.returncode == 1
    assert f"{lost.decode()[6:-7]} record: expected 'present', got 'missing'" in verified.stdout
    assert "1 differ" in verified.stdout


def test_events_that_do_not_exist_are_a_users_mistake(valkey, tmp_path):
    verified = user_state("verify", "--spec", SPEC, "--events", str(tmp_path / "none.avro"), "--redis", valkey.url)
    assert verified.returncode == 2
    assert "matches no file" in verified.stderr
