"""A writer that is always too late: `python -m tests.pipelines.stale_writer SPEC REDIS_URL USERS_FILE OUT`.

A zombie, in other words: it keeps the first bytes it saw of every user and, once somebody has replaced them, tries to
put them back through the store's own compare-and-set, expecting the version they had. It runs until SIGTERM, then
writes `ATTEMPTED REFUSED` to OUT.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.state.envelope import version_of
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Writer
from user_state.store.store import Answer, Replacement, Stored

PAUSE_S = 0.02


def main(spec_path: str, redis: str, users_file: str, out: str) -> None:
    """Write stale versions until told to stop."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    users = Path(users_file).read_text().split()
    first: dict[str, Stored] = {}
    attempted = refused = 0
    plan = compile_plan(load_spec(spec_path))
    store = RedisStateStore(redis, plan.name)
    store.claim(Writer(plan.layout, plan.definition, time.time_ns() // 1000))
    while not stopped:
        stale = []
        for user, found in zip(users, store.read(users), strict=True):
            if found.record is None or found.seen is None:
                continue
            held = first.setdefault(user, found)
            if version_of(held.record) != version_of(found.record) and held.record and held.seen:
                expire_at_ms = time.time_ns() // 1_000_000 + 3_600_000
                stale.append(Replacement(user, version_of(held.record), held.record, held.seen, expire_at_ms))
        if stale:
            answers = store.replace(stale).answers
            attempted += len(answers)
            refused += answers.count(Answer.CONFLICT)
        time.sleep(PAUSE_S)
    store.close()
    Path(out).write_text(f"{attempted} {refused}")


if __name__ == "__main__":
    main(*sys.argv[1:])
