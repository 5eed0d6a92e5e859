"""The model answers as a real server does, and leaves the same keys behind."""

import random
import time

from tests.simulation.client import ModelClient
from tests.simulation.redis_model import RedisModel
from tests.trying import plan_of
from user_state.errors import StoreError
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Registry, Writer
from user_state.store.store import Replacement

LATER_MS = 4_102_444_800_000
USERS = ("a", "b", "{c}")
LAYOUTS = [
    plan_of(features={"f": {"aggregate": "count", "windows": ["1h"], "where": {"action": action}}}).layout
    for action in ("view", "like")
]


def drawn_calls(rng: random.Random, length: int):
    """Yield calls of a store and a registry, as (worker, name, arguments)."""
    for _ in range(length):
        worker = rng.randrange(3)
        kind = rng.choice(
            ["replace"] * 5 + ["read", "claim", "restore", "propose", "force", "foreign", "forget", "drop"]
        )
        if kind == "replace":
            batch = [
                Replacement(
                    user,
                    expected=rng.choice([b"", *(number.to_bytes(8, "big") for number in (1, 2))]),
                    record=None
                    if rng.random() < 0.2
                    else bytes(10) + rng.choice([1, 2]).to_bytes(8, "big") + b"record",
                    seen=b"\1seen",
                    expire_at_ms=LATER_MS,
                    turn_ms=rng.choice([0, 0, 0, 3_600_000]),
                )
                for user in rng.sample(USERS, rng.randint(1, 3))
            ]
            yield worker, kind, batch
        elif kind in ("claim", "propose", "force"):
            which = rng.randrange(2)
            yield worker, kind, Writer(LAYOUTS[which], bytes([which] * 8), rng.randint(1, 5) * 10**15)
        elif kind in ("foreign", "drop"):
            yield worker, kind, f"tried:{{{rng.choice(['a', 'b'])}}}:{rng.choice(['state', 'seen', 'turn'])}"
        else:
            yield worker, kind, None


def answer(stores, registries, call, change):
    worker, kind, argument = call
    store, registry = stores[worker], registries[worker]
    try:
        if kind == "replace":
            return [getattr(one, "reason", one) for one in store.replace(argument).answers]
        if kind == "read":
            return store.read(USERS)
        if kind == "claim":
            return store.claim(argument)
        if kind == "restore":
            return store.registry.restore()
        if kind in ("propose", "force"):
            return getattr(registry, kind)(argument)
        return change(kind, argument)
    except StoreError as exc:
        return type(exc)


def test_the_model_answers_as_the_server_does(valkey):
    seen = set()
    for seed in range(80):
        seen |= _hold_against_each_other(valkey, random.Random(seed))
    # Among them: done, conflict, busy, refused, superseded, bytes and none.
    assert len(seen) > 20


def _hold_against_each_other(valkey, rng: random.Random) -> set[str]:
    """Make the same calls to both; return the kinds of answers."""
    model = RedisModel()
    model.now_ms = time.time_ns() // 1_000_000
    client = ModelClient(model, lambda: None, lambda: None, lambda _: None)
    model_stores = [RedisStateStore(valkey.url, "tried", client=client) for _ in range(3)]
    stores = [RedisStateStore(valkey.url, "tried") for _ in range(3)]
    for ours, theirs in zip(model_stores, stores, strict=True):
        ours._beat.worker, ours._beat.key = theirs._beat.worker, theirs._beat.key
        ours._script._worker = theirs._beat.worker

    def change_model(kind, key):
        if kind == "foreign":
            model.put(key, [b"x"])
        elif kind == "drop":
            model.evict(key.encode())
        else:
            model.restart(model.copy())

    with valkey.client() as real:
        real.flushall()

        def change_server(kind, key):
            if kind == "foreign":
                real.delete(key)
                real.rpush(key, b"x")
            elif kind == "drop":
                real.delete(key)
            else:
                real.script_flush()

        registries = [Registry(real, valkey.url, "tried") for _ in stores]
        model_registries = [Registry(client, valkey.url, "tried") for _ in stores]
        seen = set()
        first = Writer(LAYOUTS[0], bytes(8), 10**15)
        for call in [*((worker, "claim", first) for worker in range(3)), *drawn_calls(rng, 60)]:
            expected = answer(stores, registries, call, change_server)
            found = answer(model_stores, model_registries, call, change_model)
            if call[1] == "replace" and isinstance(expected, list):
                # The server's words for a refusal name the script's line.
                expected = [str(one)[:60] for one in expected]
                found = [str(one)[:60] for one in found]
            assert found == expected, call
            seen.add(str(expected)[:30])
            held = {key: _but_for_moments(_held(real, key)) for key in real.scan_iter()}
            assert held == {key: _but_for_moments(model.get(key.decode())) for key in model.all_keys()}
    for store in stores:
        store.close()
    return seen


def _but_for_moments(value):
    """Return a value without what the two clocks tell differently."""
    if isinstance(value, dict):
        return {field: b"some time" if field == b"turns_until" else text for field, text in value.items()}
    return value


def _held(real, key):
    kind = real.type(key)
    if kind == b"hash":
        return real.hgetall(key)
    return real.lrange(key, 0, -1) if kind == b"list" else real.get(key)
