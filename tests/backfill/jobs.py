"""A backfill without its command, which takes seconds to import Beam; as a process of its own: to be killed.

python -m tests.backfill.jobs FOLDER URL GENERATION WORK SHARDS
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from user_state.backfill.job import BackfillJob, Filled, Settings
from user_state.history.event_source import Refused
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, load_spec
from user_state.store.keys import record_and_seen_keys, record_pattern, user_of_record

WITHIN_S = 120


@contextmanager
def silent(_doing: str, _total: int | None) -> Any:
    """Show no progress."""
    yield bool


def spec_in(folder: Path, generation: str) -> LoadedSpec:
    """Return the spec of a folder, for a generation."""
    return load_spec(folder / "spec.yaml").of_generation(generation)


def backfill(
    folder: Path,
    url: str,
    generation: str,
    work: Path,
    letters: list[Refused] | None = None,
    say: Callable[[str], object] = bool,
    now_us: Callable[[], int] | None = None,
    **settings: Any,
) -> Filled:
    """Make a generation of the files of events in a folder."""
    loaded = spec_in(folder, generation)
    paths = settings.pop("inputs", None) or sorted(map(str, folder.glob("events-*.parquet")))
    store = (lambda _: None) if letters is None else letters.extend
    more = {} if now_us is None else {"now_us": now_us}
    job = BackfillJob(
        loaded, compile_plan(loaded), Settings(paths, url, **settings), work, silent, store, say=say, **more
    )
    return job.run()


def held(url: str, keyspace: str) -> dict[str, tuple[bytes, bytes, int]]:
    """Return (record, remembered ids, when both expire) of each user, without what names the write: its version."""
    with redis.Redis.from_url(url) as client:
        found = {}
        for key in client.scan_iter(record_pattern(keyspace)):
            user = user_of_record(keyspace, key.decode())
            record, seen = (client.get(one) for one in record_and_seen_keys(keyspace, user))
            assert record is not None
            assert seen is not None
            times = {client.pexpiretime(one) for one in record_and_seen_keys(keyspace, user)}
            assert len(times) == 1
            # The version, the checksum over it, and, beside the ids, the version and the epoch of the writer.
            found[user] = record[:10] + record[18:-4], seen[17:], times.pop()
        return found


if __name__ == "__main__":
    _, of, server, name, at, count = sys.argv
    print(backfill(Path(of), server, name, Path(at), shards=int(count)).counts["users"])
