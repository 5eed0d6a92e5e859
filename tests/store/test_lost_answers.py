"""Folding through a real Valkey whose answers get lost, or which never says that a write is on disk."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.servers.redis import Valkey, running_valkey
from user_state.errors import StoreUnavailable
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import parse_spec
from user_state.state.events import EventRow
from user_state.state.outcome import Outcome
from user_state.store import redis_store
from user_state.store.redis_store import RedisStateStore
from user_state.store.store import Replaced, Replacement

SPEC = """\
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
timezone: UTC
features:
  views: {aggregate: count, windows: [1h]}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return compile_plan(parse_spec(SPEC, beside=tmp_path, name="spec.yaml"))


def _rows(*users: str) -> list[EventRow]:
    now_us = time.time_ns() // 1000
    return [(user, number, now_us, now_us) for number, user in enumerate(users)]


class _LosingAnswers(RedisStateStore):
    """The first batch is written for the first user alone and its answer lost; the second does not arrive at all."""

    calls = 0

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        self.calls += 1
        if self.calls == 1:
            super().replace(replacements[:1])
        if self.calls <= 2:
            raise StoreUnavailable("the connection is gone")
        return super().replace(replacements)


def test_an_event_written_when_its_answer_was_lost_counts_as_applied_however_often_the_next_try_fails(
    plan: Plan, valkey: Valkey
):
    store = _LosingAnswers(valkey.url, "feed")
    problems: list[StoreUnavailable] = []

    report = Folder(plan, store).fold(_rows("a", "b", "a"), problems.append)

    assert report.outcome.tolist() == [Outcome.APPLIED] * 3
    assert len(problems) == 2
    assert report.writes == 1  # b's; a's answer was lost
    store.close()


def test_a_duplicate_of_what_may_not_be_on_disk_is_not_settled_before_it_is(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`appendfsync no` leaves it to the kernel when to write: WAITAOF does not confirm in the time there is."""
    monkeypatch.setattr(redis_store, "CONFIRM_MS", 100)
    rows = _rows("a", "b")
    with running_valkey(tmp_path / "valkey", appendonly=True, appendfsync="no") as valkey:
        store = RedisStateStore(valkey.url, "feed", durability="fsync")
        folder = Folder(plan, store)
        for _ in range(2):  # at first nothing is known, then both are duplicates
            with pytest.raises(StoreUnavailable, match="did not confirm fsync"):
                folder.fold(rows)
        with valkey.client() as client:
            assert len(client.keys("*:state")) == 2
            client.config_set("appendfsync", "always")

        assert folder.fold(rows).outcome.tolist() == [Outcome.DUPLICATE] * 2
        store.close()
