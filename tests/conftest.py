"""Fixtures that several test folders share."""

import functools
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

from tests.servers.pubsub import PubSubEmulator, emulator_missing, pubsub_emulator
from tests.servers.redis import Valkey, running_valkey

# pytest-xdist's workers have a terminal's size in their environment, the pipes of those who run our commands do not.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out for what it imports, so that nobody has to think of it.

    Without NIGHTLY=1, leave out what is marked `nightly`.

    `server`: the test's file, or a fixture that it uses, names something of tests/servers, which start processes, or
    calls a function of the tests that does.
    `beam`: the test stands in a file that imports Beam, the pipelines or transforms.
    """
    for item in items:
        if isinstance(item, pytest.Function):
            origins = {_origin(value) for value in vars(item.module).values()} | set(_origins_of_fixtures(item))
            if any(origin.startswith("tests.servers.") for origin in origins):
                item.add_marker("server")
            if any(origin.split(".")[0] in {"apache_beam", "beam_pipelines", "transforms"} for origin in origins):
                item.add_marker("beam")
    if os.environ.get("NIGHTLY") != "1":
        nightly = [item for item in items if item.get_closest_marker("nightly") is not None]
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item.get_closest_marker("nightly") is None]


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter that is bytes by its place: pytest-xdist wants the same names from every worker.

    Bytes that a test file makes as it is imported may differ, as gzip's do by the second.
    """
    return argname if isinstance(val, bytes) else None


def _origins_of_fixtures(item: pytest.Function) -> Iterator[str]:
    # Fixtures that are asked for by `request.getfixturevalue` have their names among the parameters.
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names, left = set(), [*item.fixturenames, *(value for value in parameters if isinstance(value, str))]
    while left:
        name = left.pop()
        if name in names:
            continue
        names.add(name)
        for definition in item.session._fixturemanager.getfixturedefs(name, item) or ():
            yield from _origins(definition.func)
            left += definition.argnames


@functools.cache
def _origins(function: object) -> frozenset[str]:
    """Return where everything comes from that a function names, and that functions of the tests name which it names."""
    found, seen, left = set(), set(), [function]
    while left:
        named = inspect.unwrap(left.pop())
        if not isinstance(named, FunctionType) or named in seen:
            continue
        seen.add(named)
        values = [named.__globals__.get(name) for name in named.__code__.co_names]
        found |= {_origin(value) for value in values}
        left += [value for value in values if _origin(value).startswith("tests.")]
    return frozenset(found)


def _origin(value: object) -> str:
    """Return the module that a value is, or comes from."""
    return str(getattr(value, "__module__", None) or getattr(value, "__name__", None) or "")


@pytest.fixture(scope="session")
def pubsub() -> Iterator[PubSubEmulator]:
    """A real Pub/Sub emulator, named by PUBSUB_EMULATOR_HOST for the rest of the session; skips where there is none.

    With REQUIRE_ALL=1, as CI sets it, there being none is a failure.
    """
    reason = emulator_missing()
    if reason is not None:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, and {reason}")
        pytest.skip(reason)
    before = os.environ.get("PUBSUB_EMULATOR_HOST")
    with pubsub_emulator() as emulator:
        os.environ["PUBSUB_EMULATOR_HOST"] = emulator.host
        try:
            yield emulator
        finally:
            if before is None:
                os.environ.pop("PUBSUB_EMULATOR_HOST", None)
            else:
                os.environ["PUBSUB_EMULATOR_HOST"] = before


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A real Valkey with nothing in it."""
    with running_valkey(tmp_path / "valkey") as server:
        yield server
