"""Give damaged bytes to the core: `make fuzz INPUTS=1000000`, or one input again with `--seed S --input N`.

python -m tests.fuzz --inputs 50000 [--seed 1]
python -m tests.fuzz --seed 1 --input 4711
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.fuzz import memory
from tests.fuzz.rounds import ROUND, Found, Input, Round, fuzz


def main() -> int:
    """Fuzz; print what came of it; return 1 if anything must not be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--inputs", type=int, default=50_000, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="which")
    parser.add_argument("--input", type=int, help="this one alone, in this very process")
    args = parser.parse_args()
    if args.input is not None:
        return _one(args.seed, args.input)
    began_s = time.monotonic()

    def progress(done: int) -> None:
        if sys.stderr.isatty() or done % (25 * ROUND) == 0:
            end = "" if sys.stderr.isatty() else "\n"
            print(f"\r{done:,} of {args.inputs:,} inputs", end=end, file=sys.stderr, flush=True)

    outcome = fuzz(args.seed, args.inputs, progress=progress)
    if isinstance(outcome, Found):
        _describe(args.seed, outcome.input)
        print(outcome.what)
        return 1
    took_s = time.monotonic() - began_s
    looked = f"none took more than {memory.ALLOWED_BYTES:,} bytes and {memory.ALLOWED_TIMES} times its length"
    print(f"seed {args.seed}: {args.inputs:,} inputs in {took_s:.0f} s, each a value or refused")
    print(looked if memory.measured else "memory was not looked after here")
    print(", ".join(f"{what} {count:,}" for what, count in sorted(outcome.items())))
    return 0


def _one(seed: int, number: int) -> int:
    memory.prepare()
    round_ = Round(seed, number // ROUND)
    one = round_.input(number)
    _describe(seed, one)
    what = round_.run(one)
    print(what)
    return int(what not in ("value", "refused"))


def _describe(seed: int, one: Input) -> None:
    print(f"\ninput {one.number} of seed {seed}, given to {one.verb}, {len(one.data)} bytes:")
    print(one.data.hex())
    print(f"again: python -m tests.fuzz --seed {seed} --input {one.number}")


if __name__ == "__main__":
    sys.exit(main())
