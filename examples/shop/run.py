"""A shop's click-stream, from its raw files to features in Redis: every command as anybody would type it.

    python -m examples.shop.run RAW

RAW is `demo/jd-recommendation/data` of a clone of github.com/4paradigm/OpenMLDB. Redis is an embedded Valkey, which
ends with this script. Each step's seconds are printed; exits 1 if anything differs from brute force.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from beam_pipelines.demo import embedded_redis

REPOSITORY = Path(__file__).parents[2]
SPEC = Path("examples/shop/user_state.yaml")
SHOWN_USER = "262238"
AS_OF = "2016-04-10T15:46:13Z"
"""A second after the last action."""
COMMAND_TIMEOUT_S = 600


def main() -> int:
    """Do it all, and return the exit code."""
    parser = argparse.ArgumentParser(description="Take a shop's click-stream from its raw files to features.")
    parser.add_argument("raw", type=Path, help="demo/jd-recommendation/data of a clone of 4paradigm/OpenMLDB")
    raw = parser.parse_args().raw.resolve()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shop-") as folder, embedded_redis() as redis:
        days = Path(folder, "days")
        step("python", "-m", "examples.shop.prepare", raw, days)
        step("user-state", "check", SPEC)
        step(
            *("user-state", "run", "--spec", SPEC, "--input", days / "*.parquet", "--redis", redis),
            *("--dead-letters", Path(folder, "dead-letters")),
        )
        step(
            *("user-state", "items", "fit", "--spec", SPEC, "--input", days / "*.parquet", "--dimensions", "32"),
            *("--output", Path(folder, "products.npz"), "--load", "products", "--redis", redis),
        )
        step("user-state", "get", "--spec", SPEC, "--redis", redis, SHOWN_USER, "--at", AS_OF)
        step(
            *("user-state", "nearest", "--spec", SPEC, "--redis", redis, SHOWN_USER, "--embedding", "taste_7d"),
            *("--at", AS_OF),
        )
        step("user-state", "verify", "--spec", SPEC, "--input", days / "*.parquet", "--redis", redis, "--at", AS_OF)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0


def step(*words: str | Path) -> None:
    """Run a command, having printed it, and say how long it took; exit with its code if it fails."""
    texts = [str(word) for word in words]
    print(f"\n$ {' '.join(texts)}", flush=True)
    program = {"python": [sys.executable], "user-state": [sys.executable, "-m", "user_state.cli.main"]}[texts[0]]
    began = time.monotonic()
    ended = subprocess.run(
        [*program, *texts[1:]], cwd=REPOSITORY, stdin=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT_S, check=False
    )
    if ended.returncode != 0:
        raise SystemExit(ended.returncode)
    print(f"({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
