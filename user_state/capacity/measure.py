"""Measuring on this machine what depends on the spec: folding an event, and reading and writing a user.

Processor time of this process and of the server (its own INFO), so that whatever else runs matters little. Made-up
users of the demand's activity, as `user_state.costs` makes them: their past is folded first, unmeasured, so that
records have the size that the demand says. Then each user gets one event a fold, and then MANY events a fold; what
the two take tells the cost of an event from that of a write:

    seconds of a fold = writes * write_us + events * fold_us_an_event
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from user_state.capacity.demand import Demand
from user_state.capacity.measured import Constants
from user_state.costs import Activity, made_up, rows
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.state.events import EventRow
from user_state.store.connection import connect, translated
from user_state.store.keys import record_key, registry_key, seen_key
from user_state.store.redis_store import RedisStateStore

USERS = 200
ROUNDS = 5
MANY = 10
"""Events a user and fold in the second half."""

PAST_AT_MOST = 500
"""Events of a user's past that are folded: records hardly grow beyond, and time does."""


def measure(spec: LoadedSpec, demand: Demand, costs: Constants, redis: str) -> Constants:
    """Return the constants, those of folding and writing as they are here for such users.

    Writes some users under a name of its own, and deletes them.

    Args:
        spec: what is computed.
        demand: how much the users do.
        costs: all other constants.
        redis: URL of a Redis that nobody else uses meanwhile.

    Raises:
        StoreError, StoreUnavailable: Redis cannot be used.
    """
    plan = compile_plan(spec)
    name = f"user-state-plan-{secrets.token_hex(4)}"
    client = connect(redis, 10.0)
    store = RedisStateStore(redis, name)
    users = [f"u{number}" for number in range(USERS)]
    try:
        folder = Folder(plan, store, cache_bytes=0)
        folder.start()
        past, single, many = _traffic(spec, demand, users)
        for begin in range(0, len(past), 20_000):
            folder.fold(past[begin : begin + 20_000])
        own_one, server_one = _spent(folder, client, redis, single)
        own_many, _ = _spent(folder, client, redis, many)
    finally:
        with translated(redis):
            of_users = (key(name, user) for user in users for key in (record_key, seen_key))
            client.delete(registry_key(name), store.beat_key, *of_users)
        store.close()
        client.close()
    # Both are us a write: of one event, and of MANY.
    an_event = max(0.0, (own_many - own_one) / (MANY - 1))
    return replace(
        costs,
        fold_us_an_event=an_event,
        write_us=max(0.0, own_one - an_event),
        write_us_a_kb=0.0,
        redis_us=server_one,
        redis_us_a_kb=0.0,
    )


def _spent(folder: Folder, client: Any, redis: str, folds: Sequence[Sequence[EventRow]]) -> tuple[float, float]:
    """Fold; return processor time a write, us: of this process, and of the server."""
    writes = 0
    server, own = _server_s(client, redis), time.process_time()
    for batch in folds:
        writes += folder.fold(batch).writes
    own, server = time.process_time() - own, _server_s(client, redis) - server
    return 1e6 * own / max(1, writes), 1e6 * server / max(1, writes)


def _traffic(
    spec: LoadedSpec, demand: Demand, users: Sequence[str]
) -> tuple[list[EventRow], list[list[EventRow]], list[list[EventRow]]]:
    """Return the users' past; then ROUNDS folds of one event a user; then ROUNDS folds of MANY events a user."""
    plan = compile_plan(spec)
    last = ROUNDS * (1 + MANY)
    a_day = max(min(demand.events_a_user_and_day, PAST_AT_MOST / demand.days), last / demand.days)
    sessions = a_day / demand.events_a_session
    activity = Activity("mean", max(1 / demand.days, sessions), demand.events_a_session, demand.days)
    past: list[EventRow] = []
    single: list[list[EventRow]] = [[] for _ in range(ROUNDS)]
    many: list[list[EventRow]] = [[] for _ in range(ROUNDS)]
    for seed, user in enumerate(users):
        made = sorted(rows(plan, made_up(plan, activity, seed), user), key=lambda row: row[2])
        late = made[-last:]
        past += made[:-last]
        for number, row in enumerate(late):
            if number < ROUNDS:
                single[number].append(row)
            else:
                many[(number - ROUNDS) // MANY].append(row)
    return sorted(past, key=lambda row: row[2]), single, [batch for batch in many if batch]


def _server_s(client: Any, redis: str) -> float:
    """Return the processor time that the server has used, seconds."""
    with translated(redis):
        used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
