"""What a change costs: a benchmark of this checkout beside the same one of another, run by turns in one go.

    python bench/against.py OTHER_CHECKOUT [pipeline|flink|...] [--turns 5] [--quick] [--json]

Both run with this interpreter, each from its own folder, so compiled code has to be there in both. For each rate that
the benchmark's JSON has (`..._events_per_second...`), the ratio of ours to theirs is taken turn by turn, and its median
counts: what disturbs one turn disturbs both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

OURS = Path(__file__).resolve().parent.parent
QUICK_TURNS, TURNS = 1, 5


def measured(checkout: Path, name: str, quick: bool) -> dict[str, Any]:
    """Return what a benchmark of a checkout prints as JSON."""
    command = [sys.executable, "-m", f"bench.{name}", "--json", *(["--quick"] if quick else [])]
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    ran = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"error: bench.{name} failed in {checkout}:\n{ran.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="a checkout of this project at another commit, with its compiled code")
    parser.add_argument("name", nargs="?", default="pipeline", help="the benchmark (default: pipeline)")
    parser.add_argument("--turns", type=int, help=f"pairs of runs (default: {TURNS}, or {QUICK_TURNS} with --quick)")
    parser.add_argument("--whole", action="store_true", help="each run at full length, instead of its quick version")
    parser.add_argument("--quick", action="store_true", help="one pair of quick runs")
    parser.add_argument("--json", action="store_true", help="end with one JSON object of the ratios")
    args = parser.parse_args()
    ratios: dict[str, list[float]] = {}
    for turn in range(args.turns or (QUICK_TURNS if args.quick else TURNS)):
        # Whoever comes second may find the machine warmer: they take turns at that too.
        both = {}
        for checkout in (OURS, args.other) if turn % 2 else (args.other, OURS):
            both[checkout] = measured(checkout, args.name, not args.whole)
        ours, theirs = both[OURS], both[args.other]
        for key in (key for key in ours if "events_per_second" in key and theirs.get(key)):
            ratios.setdefault(key, []).append(ours[key] / theirs[key])
            print(
                f"turn {turn + 1}  {key:40} {ours[key]:10,.0f} {theirs[key]:10,.0f}  {ratios[key][-1]:.3f}", flush=True
            )
    medians = {f"{key}_ours_to_theirs": statistics.median(found) for key, found in ratios.items()}
    for key, median in medians.items():
        print(f"median   {key:50} {median:.3f}")
    if args.json:
        print(json.dumps({key: round(median, 4) for key, median in medians.items()}))


if __name__ == "__main__":
    main()
