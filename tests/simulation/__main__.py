"""Simulates histories in which everything goes wrong: `make simulate SEEDS=1000`, or one again with `--seed N`.

python -m tests.simulation --seeds 1000 [--first 0] [--seconds 120] [--length 120] [--bug NAME]
python -m tests.simulation --seed 4711
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from tests.simulation.bugs import BUGS, with_bug
from tests.simulation.history import happened
from tests.simulation.schedule import FAULTS, Step, drawn, shortened
from tests.simulation.world import World

LENGTH = 120


def main() -> int:
    """Simulate; print what was found; return 1 if anything must not be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=1000, help="how many histories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one history alone, step by step")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no more than these")
    parser.add_argument("--length", type=int, default=LENGTH, help="steps of a history")
    parser.add_argument("--bug", choices=sorted(BUGS), help="with a fault put back that was mended")
    parser.add_argument("--json", action="store_true", help="the last line is the figures, as JSON")
    args = parser.parse_args()
    with with_bug(args.bug):
        if args.seed is not None:
            world = happened(drawn(args.seed, args.length))
            print("\n".join(world.log))
            return _verdict(args.seed, args.length, world)
        return _many(args)


def _many(args: argparse.Namespace) -> int:
    began_s = time.monotonic()
    done: Counter[str] = Counter()
    histories = steps = 0
    for seed in range(args.first, args.first + args.seeds):
        if time.monotonic() - began_s > args.seconds:
            break
        world = happened(drawn(seed, args.length))
        histories, steps = histories + 1, steps + world.step
        done += world.done
        if world.violations:
            return _verdict(seed, args.length, world)
        if sys.stderr.isatty() and histories % 20 == 0:
            print(f"\r{histories:,} histories, {steps:,} steps", end="", file=sys.stderr)
    took_s = time.monotonic() - began_s
    faults = {kind: done[kind] for kind in sorted(FAULTS) if done[kind]}
    print(f"{histories:,} histories, {steps:,} steps in {took_s:.0f} s: no violation")
    print("faults: " + ", ".join(f"{kind} {number:,}" for kind, number in faults.items()))
    if args.json:
        print(json.dumps({"histories": histories, "steps": steps, "faults": sum(faults.values()), "seconds": took_s}))
    return 0


def _verdict(seed: int, length: int, world: World) -> int:
    if not world.violations:
        print(f"seed {seed}: no violation")
        return 0
    print(f"seed {seed}: {world.violations[0]}")
    kind = world.violations[0].split(":")[0]

    def fails(part: list[Step]) -> bool:
        return any(one.startswith(f"{kind}:") for one in happened(part).violations)

    again = happened(short := shortened(drawn(seed, length), fails))
    print(f"{len(short)} of its steps are enough, and the peaceful end: {again.violations[0]}")
    print("  " + "\n  ".join(again.log[:200]))
    print(f"replay the whole one with: python -m tests.simulation --seed {seed} --length {length}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
