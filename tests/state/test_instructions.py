"""Reading a record takes no more instructions than it may: `bench/instructions.py` counts them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="valgrind runs no build with a sanitizer")
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="instructions are counted by valgrind, which is not here")
def test_reading_a_record_takes_no_more_instructions_than_it_may():
    command = [sys.executable, "-W", "ignore", str(ROOT / "bench" / "instructions.py"), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    counts = json.loads(done.stdout.splitlines()[-1])
    assert set(counts) == {"starter_instructions_a_record", "feed_instructions_a_record"}
    assert min(counts.values()) > 1_000
