"""One real Flink cluster for the tests that do not break it."""

import os
from collections.abc import Iterator

import pytest

from tests.servers.flink import Flink, flink_missing, running_flink


def skip_without_flink() -> None:
    """Skip where Flink cannot be started; with REQUIRE_ALL=1, as CI sets it, that is a failure."""
    reason = flink_missing()
    if reason is not None:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, and {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    """A running cluster with two slots, whose metrics can be scraped."""
    skip_without_flink()
    with running_flink(tmp_path_factory.mktemp("flink"), metrics=True) as cluster:
        yield cluster
