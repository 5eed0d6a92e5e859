"""Fixtures that several test folders share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.pubsub import PubSubEmulator, emulator_missing, pubsub_emulator
from tests.servers.redis import Valkey, running_valkey

# pytest-xdist's workers have a terminal's size in their environment, the pipes of those who run our commands do not.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)


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
