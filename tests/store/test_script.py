"""A server that is restarted again and again forgets its scripts; that passes, and is never an error for good."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.servers.redis import Valkey, running_valkey
from tests.trying import plan_of
from user_state.errors import StoreUnavailable
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Writer
from user_state.store.script import Script
from user_state.store.store import Answer, Replaced, Replacement
from user_state.store.view import RedisView


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


def _replacement() -> Replacement:
    return Replacement("u", b"", bytes(10) + b"\0\0\0\1chan" + bytes(8), b"\1seen", 4_000_000_000_000)


@pytest.mark.parametrize("kind", ["store", "view"])
def test_a_server_that_forgets_between_learning_and_running_is_unavailable_and_then_used(
    server: Valkey, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with (
        closing(RedisStateStore(server.url, "tried")) as store,
        closing(RedisView(server.url, "tried", registry=store.registry)) as view,
        server.client() as client,
    ):
        store.claim(Writer(plan_of().layout, b"the spec", 1))
        write: Callable[[list[Replacement]], object] = store.replace if kind == "store" else view.write
        load = Script.load

        def load_in_vain(script: Script, redis: object) -> None:
            load(script, redis)
            client.script_flush()

        with monkeypatch.context() as patched:
            patched.setattr(Script, "load", load_in_vain)
            with pytest.raises(StoreUnavailable, match="is not available"):
                write([_replacement()])
        assert write([_replacement()]) == (Replaced([Answer.DONE]) if kind == "store" else 0)
