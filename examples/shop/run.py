"""Type the commands of README.md, from step 2 on, one block after the other, and say how long each takes.

    python -m examples.shop.run RAW

RAW is `demo/jd-recommendation/data` of a clone of github.com/4paradigm/OpenMLDB. Redis is an embedded Valkey, and the
files are in a temporary folder; both end with this script. Exits with the code of the first command that fails: that
of `verify` is 1 if any value differs from brute force.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from beam_pipelines.demo import embedded_redis

REPOSITORY = Path(__file__).parents[2]
README = Path(__file__).parent / "README.md"
BLOCK_TIMEOUT_S = 900


def main() -> int:
    """Do it all, and return the exit code."""
    parser = argparse.ArgumentParser(description="Take a shop's click-stream from its raw files to features.")
    parser.add_argument("raw", type=Path, help="demo/jd-recommendation/data of a clone of 4paradigm/OpenMLDB")
    raw = parser.parse_args().raw.resolve()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shop-") as folder, embedded_redis() as redis:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "RAW": str(raw), "OUT": folder, "REDIS": redis}
        for heading, blocks in steps(README.read_text("utf-8")):
            print(f"\n{heading}", flush=True)
            step_began = time.monotonic()
            for language, text in blocks:
                code = typed(language, text, environment)
                if code != 0:
                    return code
            print(f"({time.monotonic() - step_began:.0f} s)", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0


def steps(page: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (heading, blocks of sh and python) of each numbered section that has such blocks."""
    sections = re.split(r"^## (?=\d)", page, flags=re.MULTILINE)[1:]
    found = [
        (text.partition("\n")[0], re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        for text in sections
    ]
    return [(heading, blocks) for heading, blocks in found if blocks]


def typed(language: str, text: str, environment: dict[str, str]) -> int:
    """Run a block from the repository's root, having printed it; return its exit code."""
    if language == "sh":
        print(re.sub("^", "$ ", text.rstrip(), flags=re.MULTILINE), flush=True)
        command = ["bash", "-e", "-c", text]
    else:
        print(text.rstrip(), flush=True)
        command = [sys.executable, "-c", text]
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, timeout=BLOCK_TIMEOUT_S, check=False
    )
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
