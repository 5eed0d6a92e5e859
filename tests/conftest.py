"""Fixtures that several test folders share."""

import os
from collections.abc import Iterator

import pytest

from tests.servers.pubsub import PubSubEmulator, emulator_missing, pubsub_emulator


@pytest.fixture(scope="session")
def pubsub() -> Iterator[PubSubEmulator]:
    """A real Pub/Sub emulator, named by PUBSUB_EMULATOR_HOST for the rest of the session; skips where there is none."""
    reason = emulator_missing()
    if reason is not None:
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
