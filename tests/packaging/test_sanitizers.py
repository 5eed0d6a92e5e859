"""The compiled code, built with AddressSanitizer and UBSan, reads and writes no memory but its own: `.ci/sanitize`."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = (
    # fold, merge, migrate, features, histories, admission, decoding and joining of whatever bytes
    "tests/fuzz/test_fuzz.py::test_every_input_is_a_value_or_the_one_error_and_costs_what_it_is_long",
    "tests/state/test_golden.py",
    "tests/state/test_event_batch.py",
    "tests/events/test_any_bytes.py",
)
INPUTS = 8_000
"""Those that a build without sanitizers is given are many more; nightly, so are these."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(os.environ.get("REQUIRE_ALL") != "1", reason="takes minutes: CI does it, `make sanitize` does more")
def test_the_core_touches_no_memory_but_its_own() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    ended = subprocess.run(
        [ROOT / ".ci" / "sanitize"],
        cwd=ROOT,
        env={**kept, "PYTEST_ARGUMENTS": " ".join(TESTS), "FUZZ_INPUTS": str(INPUTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-20_000:]
    assert " passed" in ended.stdout.splitlines()[-1]
