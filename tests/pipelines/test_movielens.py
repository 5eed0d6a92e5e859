"""100,000 real interactions through Pub/Sub into Redis equal brute force; `make movielens` does the same for people."""

from pathlib import Path

import pytest

from examples.movielens import run
from tests.servers.pubsub import PubSubEmulator
from tests.servers.redis import Valkey
from user_state import oracle
from user_state.events.avro_files import read_arrivals
from user_state.spec import load_spec

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def events() -> Path:
    """The ratings as events; they stay in data/ for the next time."""
    try:
        ratings = run.fetch(run.DATA)
    except run.UnavailableError as exc:
        pytest.skip(str(exc))
    return run.converted(ratings)


@pytest.mark.pubsub
@pytest.mark.slow
def test_every_user_of_movielens_equals_brute_force(
    events: Path, pubsub: PubSubEmulator, valkey: Valkey, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run.run_through_pubsub(events, pubsub, valkey.url, tmp_path)
    assert "read 100,000 = applied 100,000" in capfd.readouterr().err
    assert run.held_against_brute_force(events, valkey.url) == []


def test_no_order_of_arrival_makes_a_rating_too_late(events: Path) -> None:
    """Otherwise what Pub/Sub delivers out of order would decide what is counted."""
    spec = load_spec(run.SPEC).spec
    applied = oracle.replay(spec, read_arrivals(events, spec)).applied
    spans_us = [max(e.time_us for e in of_user) - min(e.time_us for e in of_user) for of_user in applied.values()]
    assert len(spans_us) == run.USERS
    assert 7 * 86_400_000_000 < max(spans_us) <= spec.allowed_lateness


def test_without_the_wheel_it_says_why_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "DATA", tmp_path)
    monkeypatch.setattr(run, "PACKAGE", "recbole==0.0.0.dev0")
    assert run.main() == 0
    assert "skipped: pip could not download recbole==0.0.0.dev0" in capsys.readouterr().out
