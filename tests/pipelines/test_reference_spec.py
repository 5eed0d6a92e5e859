"""The reference spec from end to end: traffic with every fault, the pipeline, every value held against brute force."""

import re
import shutil
from pathlib import Path

import pytest

from tests.servers.pipeline import run_command
from tests.servers.redis import Valkey

SPEC = Path(__file__).parents[2] / "examples" / "feed" / "user_state.yaml"
FAULTS = {"late": 0.05, "too-late": 0.01, "future": 0.01, "duplicates": 0.05, "corrupt": 0.01}


def assert_compared(printed: str) -> None:
    """Every output was compared, of nearly every user: when they act depends on the hour, so one may only be late."""
    ((values, users),) = re.findall(r"([\d,]+) values of (\d+) users", printed)
    assert 490 <= int(users) <= 500
    assert int(values.replace(",", "")) == 65 * int(users)


@pytest.mark.slow
def test_the_reference_spec_equals_brute_force_for_every_user_and_feature(valkey: Valkey, tmp_path: Path) -> None:
    events, dead = tmp_path / "events.avro", tmp_path / "dead-letters"
    faults = [part for name, share in FAULTS.items() for part in (f"--{name}", str(share))]
    made = run_command("generate", "--users", "500", "--events", "20000", "--seed", "11", *faults, "--out", events)
    assert made.returncode == 0, made.stderr
    ran = run_command("run", "--spec", SPEC, "--input", events, "--redis", valkey.url, "--dead-letters", dead)
    assert "applied 18,400 + duplicate 1,000 + ignored 0 + dead letters 600" in ran.stderr
    verified = run_command("verify", "--spec", SPEC, "--events", events, "--redis", valkey.url)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert_compared(verified.stdout)
    assert "all equal" in verified.stdout

    # As crowded as it gets: with two keys kept, most tables are cut, and within their bound all the same.
    crowded = tmp_path / "crowded.yaml"
    text = (
        SPEC.read_text().replace("name: feed", "name: crowded").replace("k: 10\n", "k: 2\n").replace("k: 5\n", "k: 2\n")
    )
    crowded.write_text(
        text.replace("keys: 16\n", "keys: 2\n")
        .replace("keys: 32\n", "keys: 2\n")
        .replace("windows: [7d]\n", "k: 2\n    windows: [7d]\n")
    )
    shutil.rmtree(dead)
    ran = run_command("run", "--spec", crowded, "--input", events, "--redis", valkey.url, "--dead-letters", dead)
    assert "applied 18,400" in ran.stderr, ran.stderr
    verified = run_command("verify", "--spec", crowded, "--events", events, "--redis", valkey.url)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert_compared(verified.stdout)
